/* The allocator hook and its users: see memory.h. Blocks carry their size in a 16-byte header, so
 * that the hook is told sizes and callers need not keep them. */
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HEADER ((size_t)16)
#define SMALL_PAGE ((size_t)1 << 16) /* the largest that a supported system has */
#define HUGE_PAGE ((size_t)2 << 20)

static void *default_reallocate(void *context, void *block, size_t old_size, size_t new_size)
{
    (void)context;
    (void)old_size;
    if (new_size == 0) {
        free(block);
        return NULL;
    }
    return realloc(block, new_size);
}

static void *default_map_pages(void *context, size_t size)
{
    (void)context;
    size_t total;
    if (!hone_size_align(size, SMALL_PAGE, &size) || !hone_size_add(size, HUGE_PAGE, &total))
        return NULL;
    char *base = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED)
        return NULL;
    /* Cut the mapping to a 2 MiB boundary, so that every page of it can be a huge one. */
    size_t head = (HUGE_PAGE - (uintptr_t)base % HUGE_PAGE) % HUGE_PAGE;
    if (head > 0)
        munmap(base, head);
    munmap(base + head + size, HUGE_PAGE - head);
#ifdef MADV_HUGEPAGE
    madvise(base + head, size, MADV_HUGEPAGE);
#endif
    return base + head;
}

static void default_unmap_pages(void *context, void *block, size_t size)
{
    (void)context;
    if (hone_size_align(size, SMALL_PAGE, &size))
        munmap(block, size);
}

static const hone_allocator default_allocator = {default_reallocate, default_map_pages,
                                                 default_unmap_pages, NULL};
static hone_allocator allocator = {default_reallocate, default_map_pages, default_unmap_pages,
                                   NULL};

void hone_memory_set_allocator(const hone_allocator *replacement)
{
    allocator = replacement != NULL ? *replacement : default_allocator;
}

bool hone_size_mul(size_t a, size_t b, size_t *result)
{
    return !__builtin_mul_overflow(a, b, result);
}

bool hone_size_add(size_t a, size_t b, size_t *result)
{
    return !__builtin_add_overflow(a, b, result);
}

bool hone_size_align(size_t size, size_t alignment, size_t *result)
{
    size_t sum;
    if (!hone_size_add(size, alignment - 1, &sum))
        return false;
    *result = sum & ~(alignment - 1);
    return true;
}

void *hone_realloc(void *block, size_t size)
{
    size_t total;
    if (!hone_size_add(size, HEADER, &total))
        return NULL;
    char *old = block != NULL ? (char *)block - HEADER : NULL;
    size_t old_size = 0;
    if (old != NULL)
        memcpy(&old_size, old, sizeof old_size);
    char *fresh = allocator.reallocate(allocator.context, old, old_size, total);
    if (fresh == NULL)
        return NULL;
    memcpy(fresh, &total, sizeof total);
    return fresh + HEADER;
}

void *hone_alloc(size_t size)
{
    return hone_realloc(NULL, size);
}

void *hone_realloc_array(void *block, size_t count, size_t size)
{
    size_t bytes;
    return hone_size_mul(count, size, &bytes) ? hone_realloc(block, bytes) : NULL;
}

void *hone_alloc_array(size_t count, size_t size)
{
    size_t bytes;
    if (!hone_size_mul(count, size, &bytes))
        return NULL;
    void *block = hone_alloc(bytes);
    if (block != NULL)
        memset(block, 0, bytes);
    return block;
}

void hone_free(void *block)
{
    if (block == NULL)
        return;
    char *base = (char *)block - HEADER;
    size_t size;
    memcpy(&size, base, sizeof size);
    allocator.reallocate(allocator.context, base, size, 0);
}

char *hone_strndup(const char *text, size_t length)
{
    size_t size;
    if (!hone_size_add(length, 1, &size))
        return NULL;
    char *copy = hone_alloc(size);
    if (copy != NULL) {
        memcpy(copy, text, length);
        copy[length] = '\0';
    }
    return copy;
}

char *hone_strdup(const char *text)
{
    return hone_strndup(text, strlen(text));
}

void *hone_pages_alloc(size_t size)
{
    size_t rounded;
    if (!hone_size_align(size > 0 ? size : 1, 4096, &rounded))
        return NULL;
    return allocator.map_pages(allocator.context, rounded);
}

void hone_pages_free(void *block, size_t size)
{
    size_t rounded;
    if (block != NULL && hone_size_align(size > 0 ? size : 1, 4096, &rounded))
        allocator.unmap_pages(allocator.context, block, rounded);
}

bool hone_array_reserve(void **array, size_t *capacity, size_t needed, size_t size)
{
    if (needed <= *capacity)
        return true;
    size_t grown = *capacity > 0 ? *capacity : 8;
    while (grown < needed)
        if (!hone_size_mul(grown, 2, &grown))
            return false;
    void *fresh = hone_realloc_array(*array, grown, size);
    if (fresh == NULL)
        return false;
    *array = fresh;
    *capacity = grown;
    return true;
}

struct hone_arena_chunk {
    struct hone_arena_chunk *next;
    size_t used, size;
};

#define CHUNK ((size_t)64 << 10)
#define CHUNK_HEADER ((sizeof(struct hone_arena_chunk) + 15) & ~(size_t)15)

void *hone_arena_alloc(hone_arena *arena, size_t size)
{
    size_t rounded;
    if (!hone_size_align(size, 16, &rounded))
        return NULL;
    struct hone_arena_chunk *chunk = arena->chunks;
    if (chunk == NULL || chunk->size - chunk->used < rounded) {
        size_t body = rounded > CHUNK ? rounded : CHUNK, total;
        if (!hone_size_add(body, CHUNK_HEADER, &total))
            return NULL;
        chunk = hone_alloc(total);
        if (chunk == NULL)
            return NULL;
        *chunk = (struct hone_arena_chunk){arena->chunks, 0, body};
        arena->chunks = chunk;
    }
    char *block = (char *)chunk + CHUNK_HEADER + chunk->used;
    chunk->used += rounded;
    return block;
}

char *hone_arena_strndup(hone_arena *arena, const char *text, size_t length)
{
    size_t size;
    if (!hone_size_add(length, 1, &size))
        return NULL;
    char *copy = hone_arena_alloc(arena, size);
    if (copy != NULL) {
        memcpy(copy, text, length);
        copy[length] = '\0';
    }
    return copy;
}

char *hone_arena_strdup(hone_arena *arena, const char *text)
{
    return hone_arena_strndup(arena, text, strlen(text));
}

void hone_arena_deinit(hone_arena *arena)
{
    while (arena->chunks != NULL) {
        struct hone_arena_chunk *next = arena->chunks->next;
        hone_free(arena->chunks);
        arena->chunks = next;
    }
}
