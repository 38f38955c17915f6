/* See engine_support.h. */
#include "engine_support.h"

#include "base/files.h"
#include "base/hash.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

typedef struct listing {
    char **names;
    size_t count;
} listing;

static listing list_folder(const char *folder)
{
    listing files = {0};
    if (hone_folder_exists(folder))
        assert_ok(hone_folder_list(folder, &files.names, &files.count, error));
    return files;
}

/* "folder/name", in a buffer of the caller's, since in_scratch's are few. */
static const char *path_in(char path[1024], const char *folder, const char *name)
{
    snprintf(path, 1024, "%s/%s", folder, name);
    return path;
}

void copy_folder(const char *from, const char *to)
{
    char source[1024], target[1024];
    assert_ok(hone_folder_make(to, error));
    listing files = list_folder(from);
    assert_true(files.count > 0);
    for (size_t i = 0; i < files.count; i++) {
        if (hone_folder_exists(path_in(source, from, files.names[i])))
            continue;
        size_t size;
        char *text = read_text(source, &size);
        assert_ok(hone_file_write(path_in(target, to, files.names[i]), text, size, error));
        hone_free(text);
    }
    hone_names_free(files.names, files.count);
}

uint64_t hash_folder(const char *folder)
{
    char path[1024];
    uint64_t hash = 0;
    listing files = list_folder(folder);
    for (size_t i = 0; i < files.count; i++) {
        size_t size;
        hash = hone_hash64(files.names[i], strlen(files.names[i]), hash);
        if (hone_folder_exists(path_in(path, folder, files.names[i]))) {
            uint64_t inner = hash_folder(path);
            hash = hone_hash64(&inner, sizeof inner, hash);
            continue;
        }
        char *text = read_text(path, &size);
        hash = hone_hash64(text, size, hash);
        hone_free(text);
    }
    hone_names_free(files.names, files.count);
    return hash;
}

void assert_part_of(const char *part, const char *whole)
{
    char one[1024], two[1024];
    listing files = list_folder(part);
    for (size_t i = 0; i < files.count; i++) {
        if (strstr(files.names[i], ".tmp") != NULL)
            fail_msg("%s was left in %s", files.names[i], part);
        path_in(one, part, files.names[i]);
        path_in(two, whole, files.names[i]);
        if (hone_folder_exists(one))
            assert_part_of(one, two);
        else
            assert_same_file(one, two);
    }
    hone_names_free(files.names, files.count);
}
