/* Picking, checking and rotating checkpoints: see checkpoint_folder.h. */
#include "train/checkpoint_folder.h"

#include "base/files.h"
#include "base/hash.h"

#include "train/json_file.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MANIFEST_LIMIT ((size_t)1 << 20)
#define PIECE ((size_t)1 << 20)

static const char format_name[] = "hone checkpoint 1";
static const char *const file_names[] = {"optimizer.safetensors", "state.json",
                                         "trainable.safetensors"};
enum { FILE_COUNT = sizeof file_names / sizeof *file_names };

/* ---- manifest ----------------------------------------------------------------------------- */

/* *size: the size that is expected, or -1; the size found. A file of another size isn't read. */
static hone_status hash_file(const char *path, int64_t *size, uint64_t *hash, hone_error *error)
{
    int descriptor = -1;
    int64_t expected = *size;
    HONE_TRY(hone_file_open(path, &descriptor, size, error));
    if (expected >= 0 && *size != expected) {
        hone_file_close(descriptor);
        return hone_fail_at(error, HONE_INPUT, path, -1, -1, "expected %lld bytes, found %lld",
                            (long long)expected, (long long)*size);
    }
    char *piece = hone_alloc(PIECE);
    hone_status status = piece != NULL ? HONE_OK : hone_fail_memory(error, path, PIECE);
    hone_hash sum;
    hone_hash_init(&sum, 0);
    for (int64_t done = 0; done < *size && status == HONE_OK;) {
        size_t now = *size - done < (int64_t)PIECE ? (size_t)(*size - done) : PIECE;
        status = hone_file_read_at(descriptor, path, piece, now, done, error);
        if (status == HONE_OK)
            hone_hash_add(&sum, piece, now);
        done += (int64_t)now;
    }
    *hash = hone_hash_get(&sum);
    hone_free(piece);
    hone_file_close(descriptor);
    return status;
}

static hone_json *hash_json(uint64_t hash)
{
    char text[24];
    snprintf(text, sizeof text, "%016" PRIx64, hash);
    return hone_json_new_string(text);
}

static bool parse_hash(const hone_json *value, uint64_t *hash)
{
    size_t length = 0;
    const char *text = hone_json_string(value, &length);
    if (text == NULL || length != 16)
        return false;
    *hash = 0;
    for (size_t i = 0; i < 16; i++) {
        const char *digits = "0123456789abcdef", *found = strchr(digits, text[i]);
        if (text[i] == '\0' || found == NULL)
            return false;
        *hash = *hash << 4 | (uint64_t)(found - digits);
    }
    return true;
}

/* One list for writing and reading. */
#define IDENTITY(X) X(settings) X(base) X(train) X(valid)

static hone_json *identity_json(const hone_run_identity *identity)
{
    hone_json *object = hone_json_new_object();
    bool made = object != NULL;
#define PUT(member) made = made && hone_json_set(object, #member, hash_json(identity->member));
    IDENTITY(PUT)
#undef PUT
    if (made)
        return object;
    hone_json_free(object);
    return NULL;
}

static bool parse_identity(const hone_json *object, hone_run_identity *identity)
{
    bool found = true;
#define GET(member) found = found && parse_hash(hone_json_get(object, #member), &identity->member);
    IDENTITY(GET)
#undef GET
    return found;
}

static hone_json *file_json(int64_t size, uint64_t hash)
{
    hone_json *object = hone_json_new_object();
    if (object != NULL && hone_json_set(object, "bytes", hone_json_new_integer(size)) &&
        hone_json_set(object, "xxh64", hash_json(hash)))
        return object;
    hone_json_free(object);
    return NULL;
}

hone_status hone_manifest_write(const char *path, int64_t step, const hone_run_identity *identity,
                                hone_error *error)
{
    hone_json *root = hone_json_new_object(), *files = hone_json_new_object();
    bool made = root != NULL && files != NULL;
    for (int i = 0; i < FILE_COUNT && made; i++) {
        int64_t size = -1;
        uint64_t hash = 0;
        char *file = hone_path_join(path, file_names[i]);
        hone_status status = file != NULL ? hash_file(file, &size, &hash, error)
                                          : hone_fail_memory(error, "path", 0);
        hone_free(file);
        if (status != HONE_OK) {
            hone_json_free(files);
            hone_json_free(root);
            return status;
        }
        made = hone_json_set(files, file_names[i], file_json(size, hash));
    }
    made = made && hone_json_set(root, "format", hone_json_new_string(format_name)) &&
           hone_json_set(root, "step", hone_json_new_integer(step)) &&
           hone_json_set(root, "identity", identity_json(identity)) &&
           hone_json_set(root, "files", hone_json_share(files));
    hone_json_free(files);
    if (!made) {
        hone_json_free(root);
        root = NULL;
    }
    return hone_json_file_write(path, "manifest.json", root, 17, error);
}

static hone_status broken(const char *path, const char *what, hone_error *error)
{
    return hone_fail_at(error, HONE_INPUT, path, -1, -1, "%s", what);
}

/* Reads a manifest and what it says about itself. */
static hone_status load_manifest(const char *path, int64_t step, hone_json **root,
                                 hone_run_identity *identity, hone_error *error)
{
    *root = NULL;
    char *file = hone_path_join(path, "manifest.json");
    if (file == NULL)
        return hone_fail_memory(error, "path", 0);
    int64_t found = -1;
    hone_status status = hone_json_load(file, MANIFEST_LIMIT, root, error);
    if (status == HONE_OK) {
        const char *format = hone_json_string(hone_json_get(*root, "format"), NULL);
        if (format == NULL || strcmp(format, format_name) != 0)
            status = broken(file, "\"format\" is not \"hone checkpoint 1\"", error);
        else if (!hone_json_integer(hone_json_get(*root, "step"), &found) || found != step)
            status = broken(file, "\"step\" is not that of the folder's name", error);
        else if (!parse_identity(hone_json_get(*root, "identity"), identity))
            status = broken(file, "\"identity\" is incomplete", error);
    }
    if (status != HONE_OK) {
        hone_json_free(*root);
        *root = NULL;
    }
    hone_free(file);
    return status;
}

static hone_status check_file(const char *path, const char *name, const hone_json *entry,
                              hone_error *error)
{
    int64_t size = -1;
    uint64_t expected, hash = 0;
    char *file = hone_path_join(path, name);
    if (file == NULL)
        return hone_fail_memory(error, "path", 0);
    hone_status status;
    if (!hone_json_integer(hone_json_get(entry, "bytes"), &size) || size < 0 ||
        !parse_hash(hone_json_get(entry, "xxh64"), &expected)) {
        status = broken(file, "the manifest does not describe this file", error);
    } else {
        status = hash_file(file, &size, &hash, error);
        if (status == HONE_OK && hash != expected)
            status = broken(file, "the content does not have the hash of the manifest", error);
    }
    hone_free(file);
    return status;
}

hone_status hone_checkpoint_check(const char *path, int64_t step, hone_run_identity *identity,
                                  hone_error *error)
{
    hone_run_identity own;
    hone_json *root;
    HONE_TRY(load_manifest(path, step, &root, identity != NULL ? identity : &own, error));
    hone_json *files = hone_json_get(root, "files");
    hone_status status = HONE_OK;
    if (files == NULL || hone_json_size(files) != FILE_COUNT)
        status = broken(path, "the manifest does not list the files of a checkpoint", error);
    for (int i = 0; i < FILE_COUNT && status == HONE_OK; i++)
        status = check_file(path, file_names[i], hone_json_get(files, file_names[i]), error);
    hone_json_free(root);
    return status;
}

/* ---- the folder --------------------------------------------------------------------------- */

/* The step of a name "step-N" exactly as it is written (no sign, no leading zero); -1 for another
 * name. */
static int64_t parse_step(const char *name)
{
    if (strncmp(name, "step-", 5) != 0 || !isdigit((unsigned char)name[5]) ||
        (name[5] == '0' && isdigit((unsigned char)name[6])))
        return -1;
    char *end;
    errno = 0;
    long long step = strtoll(name + 5, &end, 10);
    return errno == 0 && *end == '\0' ? step : -1;
}

static int newest_first(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

/* Steps of all folders named like a checkpoint, newest first; free *steps. */
static hone_status list_steps(const char *folder, int64_t **steps, size_t *count, hone_error *error)
{
    *steps = NULL;
    *count = 0;
    if (!hone_folder_exists(folder))
        return HONE_OK;
    char **names;
    size_t name_count;
    HONE_TRY(hone_folder_list(folder, &names, &name_count, error));
    *steps = hone_alloc_array(name_count + 1, sizeof **steps);
    if (*steps == NULL) {
        hone_names_free(names, name_count);
        return hone_fail_memory(error, folder, name_count * sizeof **steps);
    }
    for (size_t i = 0; i < name_count; i++) {
        int64_t step = parse_step(names[i]);
        if (step >= 0)
            (*steps)[(*count)++] = step;
    }
    hone_names_free(names, name_count);
    qsort(*steps, *count, sizeof **steps, newest_first);
    return HONE_OK;
}

static char *step_path(const char *folder, int64_t step)
{
    char name[40];
    snprintf(name, sizeof name, "step-%lld", (long long)step);
    return hone_path_join(folder, name);
}

hone_status hone_checkpoint_find(const char *folder, char **path, hone_run_identity *identity,
                                 hone_error *error)
{
    *path = NULL;
    int64_t *steps;
    size_t count;
    HONE_TRY(list_steps(folder, &steps, &count, error));
    hone_status status = HONE_OK;
    hone_error all, one;
    if (count > 0)
        hone_fail_at(&all, HONE_INPUT, folder, -1, -1,
                     "no checkpoint is whole; start the run anew:");
    for (size_t i = 0; i < count && status == HONE_OK; i++) {
        char *candidate = step_path(folder, steps[i]);
        if (candidate == NULL) {
            status = hone_fail_memory(error, "path", 0);
            break;
        }
        hone_status whole = hone_checkpoint_check(candidate, steps[i], identity, &one);
        if (whole == HONE_OK) {
            *path = candidate;
            break;
        }
        hone_free(candidate);
        char reason[1024];
        hone_error_format(&one, reason, sizeof reason);
        if (whole == HONE_MEMORY) {
            status = hone_fail(error, HONE_MEMORY, "%s", one.message);
        } else {
            hone_log(HONE_LOG_WARNING, "checkpoint passed over: %s", reason);
            hone_error_append(&all, "\n  %s", reason);
        }
    }
    hone_free(steps);
    if (status == HONE_OK && count > 0 && *path == NULL) {
        if (error != NULL)
            *error = all;
        return HONE_INPUT;
    }
    return status;
}

/* Renamed first, and for good, so that a kill or a loss of power while removing leaves a temporary
 * folder, never half a checkpoint under a checkpoint's name. */
static hone_status remove_checkpoint(const char *folder, int64_t step, hone_error *error)
{
    char name[96];
    snprintf(name, sizeof name, "step-%lld.tmp.%ld", (long long)step, (long)getpid());
    char *path = step_path(folder, step), *aside = hone_path_join(folder, name);
    hone_status status = HONE_OK;
    if (path == NULL || aside == NULL)
        status = hone_fail_memory(error, "path", 0);
    else if (rename(path, aside) != 0)
        status = hone_fail_errno(error, path, "cannot remove the old checkpoint");
    else if ((status = hone_folder_sync(folder, error)) != HONE_OK)
        (void)rename(aside, path); /* it is whole still */
    else
        status = hone_folder_remove(aside, error);
    hone_free(aside);
    hone_free(path);
    return status;
}

/* Without a manifest that can be understood it belongs to nobody. That one can't be read is another
 * matter. */
static hone_status belongs_to(const char *folder, int64_t step, const hone_run_identity *identity,
                              bool *ours, hone_error *error)
{
    hone_json *root = NULL;
    hone_run_identity found;
    *ours = false;
    char *path = step_path(folder, step);
    char *manifest = path != NULL ? hone_path_join(path, "manifest.json") : NULL;
    hone_status status = HONE_OK;
    if (manifest == NULL)
        status = hone_fail_memory(error, "path", 0);
    else if (hone_file_exists(manifest))
        status = load_manifest(path, step, &root, &found, error);
    *ours = root != NULL && memcmp(&found, identity, sizeof found) == 0;
    hone_json_free(root);
    hone_free(manifest);
    hone_free(path);
    return status == HONE_IO || status == HONE_MEMORY ? status : HONE_OK;
}

hone_status hone_checkpoint_rotate(const char *folder, int64_t newest, int64_t limit,
                                   const hone_run_identity *identity, hone_error *error)
{
    int64_t *steps;
    size_t count;
    HONE_TRY(list_steps(folder, &steps, &count, error));
    hone_status status = HONE_OK;
    int64_t kept = 1;
    for (size_t i = 0; i < count && status == HONE_OK; i++) {
        bool ours = false;
        if (steps[i] < newest)
            status = belongs_to(folder, steps[i], identity, &ours, error);
        if (status != HONE_OK || !ours)
            continue;
        if (kept < limit)
            kept++;
        else
            status = remove_checkpoint(folder, steps[i], error);
    }
    hone_free(steps);
    return status;
}
