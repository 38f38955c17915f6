/* Merging gives, for words of any length, what the plain definition gives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "text/bpe.h"

#include <string.h>

#define LETTERS 3
#define MERGES 61
#define LONGEST 401

typedef struct merge {
    int32_t left, right;
} merge;

/* Lowest rank first, leftmost of those, one at a time. */
static size_t merge_plainly(const merge *merges, int32_t *ids, size_t count)
{
    for (;;) {
        size_t rank = MERGES, place = 0;
        for (size_t i = 0; i + 1 < count; i++)
            for (size_t m = 0; m < rank; m++)
                if (ids[i] == merges[m].left && ids[i + 1] == merges[m].right) {
                    rank = m;
                    place = i;
                }
        if (rank == MERGES)
            return count;
        ids[place] = 256 + (int32_t)rank;
        memmove(ids + place + 1, ids + place + 2, (count - place - 2) * sizeof *ids);
        count--;
    }
}

static void merges_words_of_any_length_by_rank_then_place(void **state)
{
    (void)state;
    hone_bpe_scratch scratch = {0};
    for (uint32_t table = 0; table < 40; table++) {
        hone_random_key key = {7, table, 0};
        hone_bpe bpe;
        merge merges[MERGES];
        assert_int_equal(hone_bpe_init(&bpe, MERGES, NULL), HONE_OK);
        for (int32_t b = 0; b < 256; b++)
            bpe.bytes[b] = b;
        for (size_t m = 0; m < MERGES;) {
            /* Any of the letters and of the tokens so far; also of later ones, where a rank may be
             * lower than that of the merge which makes its parts. */
            uint64_t total = LETTERS + (table % 2 == 0 ? m : MERGES);
            uint32_t draw[4];
            hone_random_block(key, m + 1000 * (uint64_t)bpe.count, draw);
            key.step++;
            int32_t part[2];
            for (int i = 0; i < 2; i++) {
                part[i] = (int32_t)(draw[i] % total);
                part[i] += part[i] < LETTERS ? 'a' : 256 - LETTERS;
            }
            if (!hone_bpe_add(&bpe, part[0], part[1], 256 + (int32_t)m))
                continue; /* drawn before */
            merges[m++] = (merge){part[0], part[1]};
        }
        for (size_t length = 1; length <= LONGEST; length += length < 80 ? 1 : 53) {
            char word[LONGEST];
            int32_t wanted[LONGEST], ids[LONGEST];
            size_t count;
            for (size_t i = 0; i < length; i++) {
                word[i] = (char)('a' + hone_random_below(key, i + 1000 * length, LETTERS));
                wanted[i] = word[i];
            }
            size_t expected = merge_plainly(merges, wanted, length);
            assert_int_equal(hone_bpe_encode(&bpe, &scratch, word, length, ids, &count, NULL),
                             HONE_OK);
            assert_int_equal(count, expected);
            assert_memory_equal(ids, wanted, count * sizeof *ids);
        }
        hone_bpe_deinit(&bpe);
    }
    hone_bpe_scratch_deinit(&scratch);
}

static void unknown_bytes_are_dropped_replaced_or_fused(void **state)
{
    (void)state;
    static const struct {
        int32_t unknown;
        bool fuse;
        int32_t ids[6];
        size_t count;
    } cases[] = {
        {-1, false, {0, 2}, 2},
        {5, false, {5, 0, 5, 5, 2}, 5},
        {5, true, {5, 0, 5, 2}, 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_bpe bpe;
        hone_bpe_scratch scratch = {0};
        int32_t ids[6];
        size_t count;
        assert_int_equal(hone_bpe_init(&bpe, 0, NULL), HONE_OK);
        bpe.bytes['a'] = 0;
        bpe.bytes['b'] = 2;
        bpe.unknown = cases[i].unknown;
        bpe.fuse_unknown = cases[i].fuse;
        assert_int_equal(hone_bpe_encode(&bpe, &scratch, "xaxyb", 5, ids, &count, NULL), HONE_OK);
        assert_int_equal(count, cases[i].count);
        assert_memory_equal(ids, cases[i].ids, count * sizeof *ids);
        hone_bpe_deinit(&bpe);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(merges_words_of_any_length_by_rank_then_place),
        cmocka_unit_test(unknown_bytes_are_dropped_replaced_or_fused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
