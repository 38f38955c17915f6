/* Whole files: see files.h. The invariant of a writer: under the final name there is the old file
 * or the complete new one, whatever happens in between. */
#include "base/files.h"

#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER ((size_t)1 << 20)

/* ---- calls that a signal may interrupt ---------------------------------------------------- */

static int open_file(const char *path, int flags)
{
    int descriptor;
    do
        descriptor = open(path, flags | O_CLOEXEC, 0666);
    while (descriptor < 0 && errno == EINTR);
    return descriptor;
}

/* Of a failed sync the system may have forgotten what it could not write: it is not tried again. */
static bool sync_file(int descriptor)
{
    int result;
    do
        result = fsync(descriptor);
    while (result != 0 && errno == EINTR);
    return result == 0;
}

static bool cut_file(int descriptor, int64_t size)
{
    int result;
    do
        result = ftruncate(descriptor, size);
    while (result != 0 && errno == EINTR);
    return result == 0;
}

static DIR *open_folder(const char *path)
{
    DIR *folder;
    do
        folder = opendir(path);
    while (folder == NULL && errno == EINTR);
    return folder;
}

/* An interrupted close has closed. */
static bool close_file(int descriptor)
{
    return close(descriptor) == 0 || errno == EINTR;
}

/* ---- reading ------------------------------------------------------------------------------ */

hone_status hone_file_open(const char *path, int *descriptor, int64_t *size, hone_error *error)
{
    *descriptor = -1;
    int opened = open_file(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (opened < 0)
        return hone_fail_errno(error, path, "cannot open");
    struct stat facts;
    if (fstat(opened, &facts) != 0) {
        hone_status status = hone_fail_errno(error, path, "cannot stat");
        close(opened);
        return status;
    }
    if (!S_ISREG(facts.st_mode)) {
        close(opened);
        return hone_fail_at(error, HONE_INPUT, path, -1, -1, "expected a regular file, found %s",
                            S_ISDIR(facts.st_mode) ? "a folder" : "a device, pipe or socket");
    }
    *descriptor = opened;
    if (size != NULL)
        *size = facts.st_size;
    return HONE_OK;
}

void hone_file_close(int descriptor)
{
    if (descriptor >= 0)
        close(descriptor);
}

hone_status hone_file_read_at(int descriptor, const char *path, void *buffer, size_t size,
                              int64_t offset, hone_error *error)
{
    size_t done = 0;
    while (done < size) {
        ssize_t got = pread(descriptor, (char *)buffer + done, size - done, offset + (int64_t)done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return hone_fail_errno(error, path, "cannot read");
        if (got == 0)
            return hone_fail_at(error, HONE_INPUT, path, -1, offset + (int64_t)done,
                                "the file is cut short: expected %zu more bytes, found its end",
                                size - done);
        done += (size_t)got;
    }
    return HONE_OK;
}

hone_status hone_file_load(const char *path, size_t limit, char **text, size_t *size,
                           hone_error *error)
{
    *text = NULL;
    *size = 0;
    int descriptor = -1;
    int64_t length = 0;
    HONE_TRY(hone_file_open(path, &descriptor, &length, error));
    hone_status status = HONE_OK;
    char *loaded = NULL;
    if (length < 0 || (uint64_t)length > limit || (uint64_t)length >= SIZE_MAX)
        status = hone_fail_at(error, HONE_INPUT, path, -1, -1,
                              "expected at most %zu bytes, found %lld", limit, (long long)length);
    else if ((loaded = hone_alloc((size_t)length + 1)) == NULL)
        status = hone_fail_memory(error, path, (size_t)length);
    else
        status = hone_file_read_at(descriptor, path, loaded, (size_t)length, 0, error);
    hone_file_close(descriptor);
    if (status != HONE_OK) {
        hone_free(loaded);
        return status;
    }
    loaded[length] = '\0';
    *text = loaded;
    *size = (size_t)length;
    return HONE_OK;
}

bool hone_file_exists(const char *path)
{
    struct stat facts;
    return lstat(path, &facts) == 0;
}

bool hone_file_same(const char *a, const char *b)
{
    struct stat one, two;
    return stat(a, &one) == 0 && stat(b, &two) == 0 && one.st_dev == two.st_dev &&
           one.st_ino == two.st_ino;
}

bool hone_folder_exists(const char *path)
{
    struct stat facts;
    return stat(path, &facts) == 0 && S_ISDIR(facts.st_mode);
}

/* ---- writing ------------------------------------------------------------------------------ */

static bool write_all(int descriptor, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t put = write(descriptor, data, size);
        if (put < 0 && errno == EINTR)
            continue;
        if (put == 0)
            errno = ENOSPC; /* as some systems tell it */
        if (put <= 0)
            return false;
        data += put;
        size -= (size_t)put;
    }
    return true;
}

/* Gives up on the temporary file. The writer stays known as failed: path set, no descriptor. */
static void writer_drop(hone_writer *writer)
{
    if (writer->descriptor >= 0) {
        close(writer->descriptor);
        unlink(writer->temporary);
    }
    writer->descriptor = -1;
}

static void writer_release(hone_writer *writer)
{
    hone_free(writer->path);
    hone_free(writer->temporary);
    hone_free(writer->buffer);
    *writer = (hone_writer){.descriptor = -1};
}

static bool is_leftover_of(const char *name, const char *stem)
{
    size_t length = strlen(stem);
    if (strncmp(name, stem, length) != 0 || strncmp(name + length, ".tmp.", 5) != 0)
        return false;
    const char *digits = name + length + 5;
    return digits[0] != '\0' && digits[strspn(digits, "0123456789")] == '\0';
}

/* Whoever writes a temporary file holds its lock: one that nobody holds was left by a process that
 * was killed. */
static void remove_abandoned(const char *path)
{
    int descriptor = open_file(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
    if (descriptor < 0)
        return;
    if (flock(descriptor, LOCK_EX | LOCK_NB) == 0)
        unlink(path);
    close(descriptor);
}

/* Removes what killed processes left of this file, as far as it can: what stays is in nobody's way.
 */
static hone_status sweep(const char *path, hone_error *error)
{
    const char *slash = strrchr(path, '/'), *stem = slash != NULL ? slash + 1 : path;
    char *folder =
        slash != NULL ? hone_strndup(path, (size_t)(slash - path) + 1) : hone_strdup(".");
    if (folder == NULL)
        return hone_fail_memory(error, path, strlen(path));
    hone_status status = HONE_OK;
    DIR *opened = open_folder(folder);
    for (const struct dirent *entry; opened != NULL && (entry = readdir(opened)) != NULL;) {
        if (!is_leftover_of(entry->d_name, stem))
            continue;
        char *found = hone_path_join(folder, entry->d_name);
        if (found != NULL)
            remove_abandoned(found);
        else
            status = hone_fail_memory(error, path, strlen(path));
        hone_free(found);
    }
    if (opened != NULL)
        closedir(opened);
    hone_free(folder);
    return status;
}

hone_status hone_writer_open(hone_writer *writer, const char *path, hone_error *error)
{
    size_t length = strlen(path);
    *writer = (hone_writer){.descriptor = -1};
    writer->path = hone_strdup(path);
    writer->temporary = hone_alloc(length + 32);
    writer->buffer = hone_alloc(BUFFER);
    if (writer->path == NULL || writer->temporary == NULL || writer->buffer == NULL) {
        writer_release(writer);
        return hone_fail_memory(error, path, BUFFER);
    }
    hone_status swept = sweep(path, error);
    if (swept != HONE_OK) {
        writer_release(writer);
        return swept;
    }
    snprintf(writer->temporary, length + 32, "%s.tmp.%ld", path, (long)getpid());
    writer->descriptor = open_file(writer->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW);
    if (writer->descriptor < 0) {
        hone_status status = hone_fail_errno(error, path, "cannot create");
        writer_release(writer);
        return status;
    }
    /* File systems that have no locks do without; nothing is swept there. */
    (void)flock(writer->descriptor, LOCK_EX | LOCK_NB);
    return HONE_OK;
}

static hone_status writer_failed(hone_writer *writer, const char *what, hone_error *error)
{
    hone_status status = hone_fail_errno(error, writer->path, what);
    writer_drop(writer);
    return status;
}

static hone_status writer_gone(const hone_writer *writer, hone_error *error)
{
    return hone_fail_at(error, HONE_IO, writer->path, -1, -1, "writing this file failed before");
}

hone_status hone_writer_put(hone_writer *writer, const void *data, size_t size, hone_error *error)
{
    if (writer->path == NULL || writer->descriptor < 0)
        return writer_gone(writer, error);
    if (size > BUFFER - writer->used) {
        if (!write_all(writer->descriptor, writer->buffer, writer->used))
            return writer_failed(writer, "cannot write", error);
        writer->used = 0;
    }
    if (size >= BUFFER) {
        if (!write_all(writer->descriptor, data, size))
            return writer_failed(writer, "cannot write", error);
    } else if (size > 0) {
        memcpy(writer->buffer + writer->used, data, size);
        writer->used += size;
    }
    writer->written += (int64_t)size;
    return HONE_OK;
}

/* A folder that may not be read can't be synced. */
static hone_status sync_folder(const char *path, bool readable, hone_error *error)
{
    int descriptor = open_file(path, O_RDONLY | O_DIRECTORY);
    if (descriptor < 0)
        return errno == EACCES && !readable
                   ? HONE_OK
                   : hone_fail_errno(error, path, "cannot open the folder");
    hone_status status = HONE_OK;
    /* Some file systems have nothing to sync in a folder and say so. */
    if (!sync_file(descriptor) && errno != EINVAL && errno != ENOTSUP)
        status = hone_fail_errno(error, path, "cannot sync the folder");
    close(descriptor);
    return status;
}

static hone_status sync_parent(const char *path, bool readable, hone_error *error)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        return sync_folder(".", readable, error);
    char *folder = hone_strndup(path, slash > path ? (size_t)(slash - path) : 1);
    if (folder == NULL)
        return hone_fail_memory(error, path, strlen(path));
    hone_status status = sync_folder(folder, readable, error);
    hone_free(folder);
    return status;
}

hone_status hone_writer_commit(hone_writer *writer, hone_error *error)
{
    hone_status status = HONE_OK;
    if (writer->path == NULL || writer->descriptor < 0) {
        status = writer_gone(writer, error);
    } else if (!write_all(writer->descriptor, writer->buffer, writer->used) ||
               !sync_file(writer->descriptor)) {
        status = writer_failed(writer, "cannot write", error);
    } else {
        int descriptor = writer->descriptor;
        writer->descriptor = -1;
        if (!close_file(descriptor) || rename(writer->temporary, writer->path) != 0) {
            status = hone_fail_errno(error, writer->path, "cannot finish writing");
            unlink(writer->temporary);
        } else {
            status = sync_parent(writer->path, true, error);
        }
    }
    writer_release(writer);
    return status;
}

void hone_writer_abandon(hone_writer *writer)
{
    if (writer->path != NULL)
        writer_drop(writer);
    writer_release(writer);
}

hone_status hone_writer_rename(hone_writer *writer, const char *path, hone_error *error)
{
    char *copy = hone_strdup(path);
    if (copy == NULL)
        return hone_fail_memory(error, path, strlen(path));
    hone_free(writer->path);
    writer->path = copy;
    return HONE_OK;
}

hone_status hone_file_write(const char *path, const void *data, size_t size, hone_error *error)
{
    hone_writer writer;
    HONE_TRY(hone_writer_open(&writer, path, error));
    hone_status status = hone_writer_put(&writer, data, size, error);
    if (status == HONE_OK)
        return hone_writer_commit(&writer, error);
    hone_writer_abandon(&writer);
    return status;
}

hone_status hone_file_holds(const char *path, const void *data, size_t size, bool *holds,
                            hone_error *error)
{
    struct stat facts;
    char *text = NULL;
    size_t found = 0;
    *holds = false;
    if (lstat(path, &facts) != 0 || !S_ISREG(facts.st_mode) || (size_t)facts.st_size != size)
        return HONE_OK;
    HONE_TRY(hone_file_load(path, size, &text, &found, error));
    *holds = found == size && memcmp(text, data, size) == 0;
    hone_free(text);
    return HONE_OK;
}

hone_status hone_file_remove(const char *path, hone_error *error)
{
    if (unlink(path) == 0)
        return sync_parent(path, true, error);
    return errno == ENOENT ? HONE_OK : hone_fail_errno(error, path, "cannot remove");
}

hone_status hone_file_append(const char *path, const void *data, size_t size, hone_error *error)
{
    int descriptor = open_file(path, O_WRONLY | O_APPEND | O_CREAT);
    if (descriptor < 0)
        return hone_fail_errno(error, path, "cannot open to append");
    struct stat before;
    hone_status status = HONE_OK;
    if (fstat(descriptor, &before) != 0) {
        status = hone_fail_errno(error, path, "cannot stat");
    } else if (!write_all(descriptor, data, size)) {
        status = hone_fail_errno(error, path, "cannot append");
        /* A full disk must not leave half a record behind. */
        if (!cut_file(descriptor, before.st_size))
            hone_error_append(error, "; the last line is incomplete");
    }
    if (!close_file(descriptor) && status == HONE_OK)
        status = hone_fail_errno(error, path, "cannot append");
    return status;
}

hone_status hone_file_sync(const char *path, int64_t *size, hone_error *error)
{
    *size = 0;
    int descriptor = open_file(path, O_RDONLY | O_NONBLOCK);
    if (descriptor < 0 && errno == ENOENT)
        return HONE_OK;
    if (descriptor < 0)
        return hone_fail_errno(error, path, "cannot open");
    struct stat facts;
    hone_status status = HONE_OK;
    /* A descriptor that is no file (EINVAL) has nothing to sync. */
    if (fstat(descriptor, &facts) != 0 || (!sync_file(descriptor) && errno != EINVAL))
        status = hone_fail_errno(error, path, "cannot sync");
    else
        *size = facts.st_size;
    close(descriptor);
    return status;
}

hone_status hone_file_cut(const char *path, int64_t size, hone_error *error)
{
    int descriptor = open_file(path, O_WRONLY | O_NONBLOCK);
    if (descriptor < 0 && errno == ENOENT && size == 0)
        return HONE_OK;
    if (descriptor < 0)
        return hone_fail_errno(error, path, "cannot open");
    struct stat facts;
    hone_status status = HONE_OK;
    if (fstat(descriptor, &facts) != 0)
        status = hone_fail_errno(error, path, "cannot stat");
    else if (facts.st_size < size)
        status = hone_fail_at(error, HONE_MISMATCH, path, -1, -1,
                              "expected %lld bytes at least, found %lld", (long long)size,
                              (long long)facts.st_size);
    else if (!cut_file(descriptor, size))
        status = hone_fail_errno(error, path, "cannot cut");
    if (!close_file(descriptor) && status == HONE_OK)
        status = hone_fail_errno(error, path, "cannot cut");
    return status;
}

/* ---- folders ------------------------------------------------------------------------------ */

/* A new folder is there for good once its parent is synced; parents that are not ours may be
 * unreadable. */
static hone_status make_one(const char *path, hone_error *error)
{
    if (mkdir(path, 0777) == 0)
        return sync_parent(path, false, error);
    int failure = errno;
    if (hone_folder_exists(path))
        return HONE_OK;
    errno = failure;
    return hone_fail_errno(error, path, "cannot make the folder");
}

hone_status hone_folder_make(const char *path, hone_error *error)
{
    char *copy = hone_strdup(path);
    if (copy == NULL)
        return hone_fail_memory(error, path, strlen(path));
    hone_status status = HONE_OK;
    for (char *slash = copy; *slash != '\0' && (slash = strchr(slash + 1, '/')) != NULL;) {
        *slash = '\0';
        status = make_one(copy, error);
        *slash = '/';
        if (status != HONE_OK)
            break;
    }
    if (status == HONE_OK)
        status = make_one(copy, error);
    hone_free(copy);
    return status;
}

hone_status hone_folder_sync(const char *path, hone_error *error)
{
    return sync_folder(path, true, error);
}

static int remove_entry(const char *path, const struct stat *facts, int kind, struct FTW *where)
{
    (void)facts;
    (void)kind;
    (void)where;
    return remove(path);
}

hone_status hone_folder_remove(const char *path, hone_error *error)
{
    if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
        return hone_fail_errno(error, path, "cannot remove the folder");
    return HONE_OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

hone_status hone_folder_list(const char *path, char ***names, size_t *count, hone_error *error)
{
    *names = NULL;
    *count = 0;
    DIR *folder = open_folder(path);
    if (folder == NULL)
        return hone_fail_errno(error, path, "cannot list the folder");
    char **list = NULL;
    size_t used = 0, capacity = 0;
    hone_status status = HONE_OK;
    while (status == HONE_OK) {
        errno = 0;
        const struct dirent *entry = readdir(folder);
        if (entry == NULL) {
            if (errno != 0)
                status = hone_fail_errno(error, path, "cannot list the folder");
            break;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        char *copy = NULL;
        if (hone_array_reserve((void **)&list, &capacity, used + 1, sizeof *list))
            copy = hone_strdup(entry->d_name);
        if (copy == NULL)
            status = hone_fail_memory(error, path, sizeof *list);
        else
            list[used++] = copy;
    }
    closedir(folder);
    if (status != HONE_OK) {
        hone_names_free(list, used);
        return status;
    }
    if (used > 0)
        qsort(list, used, sizeof *list, compare_names);
    *names = list;
    *count = used;
    return HONE_OK;
}

void hone_names_free(char **names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        hone_free(names[i]);
    hone_free(names);
}

char *hone_path_join(const char *folder, const char *name)
{
    size_t head = strlen(folder), tail = strlen(name);
    char *path = hone_alloc(head + tail + 2);
    if (path == NULL)
        return NULL;
    bool slash = head > 0 && folder[head - 1] != '/';
    memcpy(path, folder, head);
    if (slash)
        path[head] = '/';
    memcpy(path + head + slash, name, tail + 1);
    return path;
}
