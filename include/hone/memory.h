/* The one allocator hook. Every byte that hone allocates passes through it, so a host program
 * can count, limit or refuse, and the tests can make the n-th allocation fail. */
#ifndef HONE_MEMORY_H
#define HONE_MEMORY_H

#include <stddef.h>

typedef struct hone_allocator {
    /* Like realloc with sizes: (NULL, 0, n) allocates, (p, n, 0) frees and returns NULL, else
     * resizes. Returns NULL when refused; the old block then stands. Thread-safe. */
    void *(*reallocate)(void *context, void *block, size_t old_size, size_t new_size);
    /* Large zeroed blocks of whole pages (weights, arenas), aligned to 2 MiB. NULL when refused. */
    void *(*map_pages)(void *context, size_t size);
    void (*unmap_pages)(void *context, void *block, size_t size);
    void *context;
} hone_allocator;

/* Replaces the allocator for the whole process; NULL restores the default (malloc and mmap).
 * Call it before anything else of hone, or when hone owns no memory. */
void hone_memory_set_allocator(const hone_allocator *allocator);

#endif
