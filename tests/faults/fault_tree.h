/* A folder with all that is in it, in memory: read, written, compared. */
#ifndef HONE_TESTS_FAULT_TREE_H
#define HONE_TESTS_FAULT_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct tree_item {
    char *path; /* within the folder */
    bool folder;
    char *bytes;
    size_t size;
} tree_item;

typedef struct tree {
    tree_item *items; /* sorted by path once loaded or sorted */
    size_t count, capacity;
} tree;

/* Memory that is there, or the end of the program: these are tests. */
void *must_alloc(void *block, size_t size);
/* "folder/name", or the one of them that is not empty; good until eight more calls. */
const char *path_in(const char *folder, const char *name);

void tree_add(tree *t, const char *path, bool folder, const void *bytes, size_t size);
void tree_sort(tree *t);
void tree_load(tree *t, const char *root);
/* Makes the folder hold this and nothing else. */
void tree_store(const tree *t, const char *root);
void tree_free(tree *t);
const tree_item *tree_find(const tree *t, const char *path);

/* Removes what depends on the clock, on memory and on the number of the process. */
void tree_settle(tree *t);
/* Leaves out what one of the patterns (fnmatch, up to NULL) stands for. */
void tree_drop(tree *t, const char *const *patterns);
uint64_t tree_hash(const tree *t);
/* False: the first difference is in `why`. */
bool tree_same(const tree *expected, const tree *found, char *why, size_t size);
/* The first item whose name is that of something half written, or NULL. */
const char *tree_leftover(const tree *t);

#endif
