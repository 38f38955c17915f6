/* Allocation inside the library: checked sizes, one hook, large page blocks, and an arena.
 * Nothing else in the tree calls malloc. */
#ifndef HONE_BASE_MEMORY_H
#define HONE_BASE_MEMORY_H

#include <hone/memory.h>
#include <stdbool.h>
#include <stdint.h>

#define HONE_ALIGNMENT ((size_t)64) /* of values and weights: a cache line, an AVX-512 register */

/* Heap blocks, aligned to 16 bytes, content undefined. NULL when memory has run out. A size of 0
 * gives a block that may be freed. */
void *hone_alloc(size_t size);
/* Zeroed array; NULL too when count * size overflows. */
void *hone_alloc_array(size_t count, size_t size);
/* Grows or shrinks; on failure NULL, and the old block stands. */
void *hone_realloc(void *block, size_t size);
/* hone_realloc for arrays: NULL too when count * size overflows. */
void *hone_realloc_array(void *block, size_t count, size_t size);
void hone_free(void *block); /* takes NULL */
char *hone_strdup(const char *text);
char *hone_strndup(const char *text, size_t length); /* copies length bytes, adds a NUL */

/* Zeroed pages aligned to 2 MiB, on huge pages where the system gives them. */
void *hone_pages_alloc(size_t size);
void hone_pages_free(void *block, size_t size); /* takes NULL */

/* Checked arithmetic: false (and *result untouched) on overflow. */
bool hone_size_mul(size_t a, size_t b, size_t *result);
bool hone_size_add(size_t a, size_t b, size_t *result);
/* Next multiple of `alignment` (a power of two); false on overflow. */
bool hone_size_align(size_t size, size_t alignment, size_t *result);

/* Makes *array (capacity *capacity elements of `size` bytes) hold at least `needed`. Doubles. */
bool hone_array_reserve(void **array, size_t *capacity, size_t needed, size_t size);

/* Many small blocks freed together (strings of a vocabulary, nodes of a program). */
typedef struct hone_arena {
    struct hone_arena_chunk *chunks;
} hone_arena;

void *hone_arena_alloc(hone_arena *arena, size_t size); /* aligned to 16, undefined; or NULL */
char *hone_arena_strdup(hone_arena *arena, const char *text);
char *hone_arena_strndup(hone_arena *arena, const char *text, size_t length);
void hone_arena_deinit(hone_arena *arena);

#endif
