/* Reading and writing whole files safely: only regular files are read; what is written appears
 * under its name complete and synced, or not at all. */
#ifndef HONE_BASE_FILES_H
#define HONE_BASE_FILES_H

#include "base/failure.h"

#include <stdbool.h>
#include <stddef.h>

/* Opens a regular file for reading (O_NONBLOCK and fstat, so a FIFO or device is an error and
 * never blocks). *size may be NULL. Close with hone_file_close. */
hone_status hone_file_open(const char *path, int *descriptor, int64_t *size, hone_error *error);
void hone_file_close(int descriptor);
/* Reads exactly size bytes at offset; a short file is HONE_INPUT naming expected and found. */
hone_status hone_file_read_at(int descriptor, const char *path, void *buffer, size_t size,
                              int64_t offset, hone_error *error);
/* The whole file with a NUL after it; HONE_INPUT when it is longer than limit. hone_free it. */
hone_status hone_file_load(const char *path, size_t limit, char **text, size_t *size,
                           hone_error *error);
bool hone_file_exists(const char *path);           /* anything of that name */
bool hone_folder_exists(const char *path);         /* a folder */
bool hone_file_same(const char *a, const char *b); /* both exist and are one file or folder */

/* A file being written beside its final name: "<path>.tmp.<pid>". Exactly one of commit and
 * abandon ends it; both accept a failed or zeroed writer. Opening removes what processes that were
 * killed have left of the same file. */
typedef struct hone_writer {
    char *path, *temporary;
    int descriptor;
    char *buffer;
    size_t used;
    int64_t written; /* bytes handed in so far */
} hone_writer;

hone_status hone_writer_open(hone_writer *writer, const char *path, hone_error *error);
hone_status hone_writer_put(hone_writer *writer, const void *data, size_t size, hone_error *error);
/* Flush, fsync, close, rename, fsync of the folder. On failure the temporary file is removed. */
hone_status hone_writer_commit(hone_writer *writer, hone_error *error);
void hone_writer_abandon(hone_writer *writer);
/* Changes the name, in the same folder, that commit will give. */
hone_status hone_writer_rename(hone_writer *writer, const char *path, hone_error *error);
/* The three together. */
hone_status hone_file_write(const char *path, const void *data, size_t size, hone_error *error);

/* Whether the file is there with these bytes. */
hone_status hone_file_holds(const char *path, const void *data, size_t size, bool *holds,
                            hone_error *error);
/* Removes a file, durably; fine when there is none. */
hone_status hone_file_remove(const char *path, hone_error *error);

/* Appends one record (a line with its newline) to a log with a single write. */
hone_status hone_file_append(const char *path, const void *data, size_t size, hone_error *error);
/* Syncs a file and tells its size; 0 when there is none. */
hone_status hone_file_sync(const char *path, int64_t *size, hone_error *error);
/* Cuts a file to a size; one that is shorter is HONE_MISMATCH, none fits the size 0. */
hone_status hone_file_cut(const char *path, int64_t size, hone_error *error);
/* Makes a folder and its parents, durably; fine when it exists. */
hone_status hone_folder_make(const char *path, hone_error *error);
hone_status hone_folder_sync(const char *path, hone_error *error);
hone_status hone_folder_remove(const char *path, hone_error *error); /* with all in it */
/* Names in a folder, sorted, without . and ..; free each and the list with hone_names_free. */
hone_status hone_folder_list(const char *path, char ***names, size_t *count, hone_error *error);
void hone_names_free(char **names, size_t count);
/* "folder/name" to a fresh string, or NULL when out of memory. */
char *hone_path_join(const char *folder, const char *name);

#endif
