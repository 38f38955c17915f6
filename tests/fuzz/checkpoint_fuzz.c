/* Any manifest.json and state.json: checking and reading a checkpoint end in an error with a
 * message or in a state that is in range. The first byte says which of the two files the rest is.
 */
#include "base/files.h"
#include "train/checkpoint_folder.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[64];

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void remove_folder(void)
{
    hone_folder_remove(folder, NULL);
}

static const char *in_folder(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const void *data, size_t size)
{
    FILE *file = fopen(in_folder(name), "wb");
    check(file != NULL);
    check(fwrite(data, 1, size, file) == size && fclose(file) == 0);
}

static void make_folder(void)
{
    bool memory = hone_folder_exists("/dev/shm");
    snprintf(folder, sizeof folder, "%s/hone-fuzz-XXXXXX", memory ? "/dev/shm" : "/tmp");
    check(mkdtemp(folder) != NULL);
    atexit(remove_folder);
    write_file("trainable.safetensors", "t", 1);
    write_file("optimizer.safetensors", "o", 1);
    write_file("state.json", "s", 1);
}

static void read_manifest(void)
{
    hone_error error = {.message = ""};
    hone_run_identity identity;
    hone_status status = hone_checkpoint_check(folder, 8, &identity, &error);
    check(status == HONE_OK || (error.message[0] != '\0' && error.status == status));
}

static void read_state(void)
{
    hone_error error = {.message = ""};
    hone_run_state state;
    hone_json *settings;
    hone_status status = hone_checkpoint_read_state(folder, &state, &settings, &error);
    check((status == HONE_OK) == (settings != NULL));
    check(status == HONE_OK || error.message[0] != '\0');
    if (status == HONE_OK) {
        check(state.step >= 0 && state.stopping.bad >= 0 && isfinite(state.seconds));
        for (int i = 0; i < HONE_RUN_LOGS; i++)
            check(state.log_sizes[i] >= 0);
    }
    hone_json_free(settings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (folder[0] == '\0')
        make_folder();
    bool manifest = data[0] == 'm';
    write_file(manifest ? "manifest.json" : "state.json", data + 1, size - 1);
    if (manifest)
        read_manifest();
    else
        read_state();
    if (!manifest)
        write_file("state.json", "s", 1);
    return 0;
}
