/* Fingerprints: see fingerprint.h. */
#include "study/fingerprint.h"

#include "base/files.h"
#include "base/memory.h"

#include <string.h>

#define WHOLE ((int64_t)16 << 20)
#define PIECE ((int64_t)64 << 10)

enum { PIECES = 64 };

static hone_status add_content(hone_hash *hash, int descriptor, const char *path, int64_t size,
                               hone_error *error)
{
    char *piece = hone_alloc((size_t)PIECE);
    if (piece == NULL)
        return hone_fail_memory(error, path, (size_t)PIECE);
    int64_t count = (size + PIECE - 1) / PIECE, apart = PIECE;
    if (size > WHOLE) {
        count = PIECES;
        apart = (size - PIECE) / (PIECES - 1);
    }
    hone_status status = HONE_OK;
    for (int64_t i = 0; i < count && status == HONE_OK; i++) {
        int64_t at = i * apart, length = size - at < PIECE ? size - at : PIECE;
        status = hone_file_read_at(descriptor, path, piece, (size_t)length, at, error);
        if (status == HONE_OK)
            hone_hash_add(hash, piece, (size_t)length);
    }
    hone_free(piece);
    return status;
}

hone_status hone_fingerprint_file(hone_hash *hash, const char *path, hone_error *error)
{
    int descriptor;
    int64_t size;
    HONE_TRY(hone_file_open(path, &descriptor, &size, error));
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
    hone_hash_add(hash, name, strlen(name) + 1);
    hone_hash_add(hash, &size, sizeof size);
    hone_status status = add_content(hash, descriptor, path, size, error);
    hone_file_close(descriptor);
    return status;
}

hone_status hone_fingerprint_folder(hone_hash *hash, const char *path, hone_error *error)
{
    char **names;
    size_t count;
    HONE_TRY(hone_folder_list(path, &names, &count, error));
    hone_status status = HONE_OK;
    for (size_t i = 0; i < count && status == HONE_OK; i++) {
        char *file = hone_path_join(path, names[i]);
        if (file == NULL)
            status = hone_fail_memory(error, "path", 0);
        else if (!hone_folder_exists(file))
            status = hone_fingerprint_file(hash, file, error);
        hone_free(file);
    }
    hone_names_free(names, count);
    return status;
}
