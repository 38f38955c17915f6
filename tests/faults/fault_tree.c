/* See fault_tree.h. */
#include "fault_tree.h"

#include "base/files.h"
#include "base/hash.h"
#include "base/memory.h"

#include <ctype.h>
#include <dirent.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void *must_alloc(void *block, size_t size)
{
    void *made = realloc(block, size > 0 ? size : 1);
    if (made == NULL)
        abort();
    return made;
}

const char *path_in(const char *folder, const char *name)
{
    static char *paths[8];
    static size_t next;
    char *made, **slot = &paths[next++ % 8];
    bool both = folder[0] != '\0' && name[0] != '\0';
    if (asprintf(&made, "%s%s%s", folder, both ? "/" : "", name) < 0)
        abort();
    free(*slot);
    return *slot = made;
}

void tree_add(tree *t, const char *path, bool folder, const void *bytes, size_t size)
{
    if (t->count == t->capacity) {
        t->capacity = 2 * t->capacity + 16;
        t->items = must_alloc(t->items, t->capacity * sizeof *t->items);
    }
    tree_item *item = &t->items[t->count++];
    *item = (tree_item){.path = strdup(path), .folder = folder, .size = size};
    item->bytes = must_alloc(NULL, size + 1);
    if (size > 0)
        memcpy(item->bytes, bytes, size);
    item->bytes[size] = '\0';
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const tree_item *)a)->path, ((const tree_item *)b)->path);
}

void tree_sort(tree *t)
{
    if (t->count > 0)
        qsort(t->items, t->count, sizeof *t->items, by_path);
}

static void load_below(tree *t, const char *root, const char *below)
{
    DIR *folder = opendir(path_in(root, below));
    if (folder == NULL)
        return;
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        const char *inner = path_in(below, entry->d_name), *path = path_in(root, inner);
        if (hone_folder_exists(path)) {
            tree_add(t, inner, true, NULL, 0);
            load_below(t, root, t->items[t->count - 1].path);
            continue;
        }
        char *text = NULL;
        size_t size = 0;
        if (hone_file_load(path, (size_t)1 << 28, &text, &size, NULL) != HONE_OK)
            abort();
        tree_add(t, inner, false, text, size);
        hone_free(text);
    }
    closedir(folder);
}

void tree_load(tree *t, const char *root)
{
    char *own = strdup(root); /* it may be of path_in */
    *t = (tree){0};
    load_below(t, own, "");
    tree_sort(t);
    free(own);
}

void tree_store(const tree *t, const char *root)
{
    if (hone_folder_remove(root, NULL) != HONE_OK || mkdir(root, 0777) != 0)
        abort();
    for (size_t i = 0; i < t->count; i++) {
        const char *path = path_in(root, t->items[i].path);
        if (t->items[i].folder) {
            if (mkdir(path, 0777) != 0)
                abort();
            continue;
        }
        FILE *file = fopen(path, "w");
        if (file == NULL ||
            fwrite(t->items[i].bytes, 1, t->items[i].size, file) != t->items[i].size ||
            fclose(file) != 0)
            abort();
    }
}

void tree_free(tree *t)
{
    for (size_t i = 0; i < t->count; i++) {
        free(t->items[i].path);
        free(t->items[i].bytes);
    }
    free(t->items);
    *t = (tree){0};
}

const tree_item *tree_find(const tree *t, const char *path)
{
    for (size_t i = 0; i < t->count; i++)
        if (strcmp(t->items[i].path, path) == 0)
            return &t->items[i];
    return NULL;
}

/* ---- what may differ ---------------------------------------------------------------------- */

static void cut_out(tree_item *item, char *from, const char *to)
{
    size_t tail = (size_t)(item->bytes + item->size - to);
    memmove(from, to, tail + 1);
    item->size -= (size_t)(to - from);
}

/* Empties every value of a key: up to the comma, the end of the line or of the object. */
static void blank_value(tree_item *item, const char *key)
{
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    for (char *at = item->bytes; (at = strstr(at, quoted)) != NULL;) {
        at += strlen(quoted);
        cut_out(item, at, at + strcspn(at, ",\n}"));
    }
}

/* The rest of every line from this text on. */
static void blank_lines(tree_item *item, const char *text)
{
    for (char *at = item->bytes; (at = strstr(at, text)) != NULL;)
        cut_out(item, at, at + strcspn(at, "\n"));
}

static void blank_entry(tree_item *item, const char *key)
{
    char *at = strstr(item->bytes, key), *end = at != NULL ? strchr(at, '}') : NULL;
    if (end != NULL)
        cut_out(item, at + strlen(key), end);
}

/* ".tmp.123" becomes ".tmp.". */
static void blank_number(char *path)
{
    for (char *at = path; (at = strstr(at, ".tmp.")) != NULL;) {
        at += 5;
        size_t digits = strspn(at, "0123456789");
        memmove(at, at + digits, strlen(at + digits) + 1);
    }
}

static void settle_item(tree_item *item)
{
    static const struct {
        const char *file, *key;
    } values[] = {{"summary.json", "seconds"},   {"summary.json", "tokens_per_second"},
                  {"summary.json", "rss_bytes"}, {"summary.json", "peak_rss_bytes"},
                  {"state.json", "seconds"},     {"state.json", "log.jsonl"}};
    const char *slash = strrchr(item->path, '/'), *name = slash != NULL ? slash + 1 : item->path;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (strncmp(name, values[i].file, strlen(values[i].file)) == 0)
            blank_value(item, values[i].key);
    if (strcmp(name, "log.jsonl") == 0)
        blank_lines(item, ",\"tokens_per_second\"");
    /* Its size and hash follow from the seconds in it. */
    if (strncmp(name, "manifest.json", 13) == 0)
        blank_entry(item, "\"state.json\"");
    blank_number(item->path);
}

void tree_settle(tree *t)
{
    for (size_t i = 0; i < t->count; i++)
        settle_item(&t->items[i]);
    tree_sort(t);
}

void tree_drop(tree *t, const char *const *patterns)
{
    size_t kept = 0;
    for (size_t i = 0; i < t->count; i++) {
        bool drop = false;
        for (size_t p = 0; patterns != NULL && patterns[p] != NULL; p++)
            drop = drop || fnmatch(patterns[p], t->items[i].path, 0) == 0;
        if (drop) {
            free(t->items[i].path);
            free(t->items[i].bytes);
        } else {
            t->items[kept++] = t->items[i];
        }
    }
    t->count = kept;
}

/* ---- comparing ---------------------------------------------------------------------------- */

uint64_t tree_hash(const tree *t)
{
    hone_hash hash;
    hone_hash_init(&hash, 0);
    for (size_t i = 0; i < t->count; i++) {
        const tree_item *item = &t->items[i];
        hone_hash_add(&hash, item->path, strlen(item->path) + 1);
        hone_hash_add(&hash, &item->folder, sizeof item->folder);
        hone_hash_add(&hash, &item->size, sizeof item->size);
        hone_hash_add(&hash, item->bytes, item->size);
    }
    return hone_hash_get(&hash);
}

static size_t first_difference(const tree_item *a, const tree_item *b)
{
    size_t at = 0;
    while (at < a->size && at < b->size && a->bytes[at] == b->bytes[at])
        at++;
    return at;
}

bool tree_same(const tree *expected, const tree *found, char *why, size_t size)
{
    for (size_t i = 0, j = 0; i < expected->count || j < found->count; i++, j++) {
        const tree_item *a = i < expected->count ? &expected->items[i] : NULL;
        const tree_item *b = j < found->count ? &found->items[j] : NULL;
        int order = a == NULL ? 1 : b == NULL ? -1 : strcmp(a->path, b->path);
        if (order < 0)
            snprintf(why, size, "%s is missing", a->path);
        else if (order > 0)
            snprintf(why, size, "%s should not be there", b->path);
        else if (a->folder != b->folder || a->size != b->size ||
                 memcmp(a->bytes, b->bytes, a->size) != 0)
            snprintf(why, size, "%s differs: %zu bytes, expected %zu, from byte %zu on", a->path,
                     b->size, a->size, first_difference(a, b));
        else
            continue;
        return false;
    }
    return true;
}

const char *tree_leftover(const tree *t)
{
    for (size_t i = 0; i < t->count; i++)
        if (strstr(t->items[i].path, ".tmp.") != NULL)
            return t->items[i].path;
    return NULL;
}
