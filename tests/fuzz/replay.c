/* Runs a fuzz target once over every file of the folders and files named: the stored corpus as an
 * ordinary test, for compilers without libFuzzer. Arguments that start with '-' are skipped. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static long replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return 0;
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    /* Exactly `size` bytes on the heap, so that a sanitizer sees the first byte past the end. */
    uint8_t *data = malloc(size > 0 ? (size_t)size : 1);
    long ran = 0;
    if (size >= 0 && data != NULL && fread(data, 1, (size_t)size, file) == (size_t)size) {
        LLVMFuzzerTestOneInput(data, (size_t)size);
        ran = 1;
    }
    free(data);
    fclose(file);
    return ran;
}

int main(int argc, char **argv)
{
    long ran = 0;
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] == '-')
            continue;
        DIR *folder = opendir(argv[i]);
        if (folder == NULL) {
            ran += replay_file(argv[i]);
            continue;
        }
        for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
            char path[4096];
            snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
            if (entry->d_name[0] != '.')
                ran += replay_file(path);
        }
        closedir(folder);
    }
    printf("%ld inputs replayed\n", ran);
    return ran > 0 ? 0 : 1;
}
