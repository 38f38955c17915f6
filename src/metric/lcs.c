/* Longest common subsequences: see lcs.h.
 * Let t(i, j) be the length for the first i words of the reference and the first j of the
 * candidate. A row i is kept as bits: bit j is 0 where t(i, j+1) - t(i, j) = 1. The next row comes
 * from it by an addition, whose carry runs through the row (Hyyro, figure 2): with M the places of
 * the reference's word i+1 in the candidate, V' = (V + (V & M)) | (V & ~M). t(i, j) is the number
 * of zeros below bit j.
 *
 * Going back needs all rows. Of a table that is too large every K-th row is kept, K the square root
 * of their number, and the rows between two of them are made again when they are reached. */
#include "metric/lcs.h"

#include "base/memory.h"

#include <math.h>
#include <string.h>

#define NONE UINT32_MAX
#define ROW_LIMIT ((size_t)1 << 20) /* 8 MiB */

/* All zero when the word is not in the candidate. */
struct hone_lcs_word {
    uint32_t first; /* 1 + its last place there */
    uint32_t count;
    uint32_t mask; /* 1 + index of its mask, when it is frequent */
};

/* The job at hand. */
typedef struct lcs_job {
    hone_lcs *lcs;
    hone_span reference, candidate;
    size_t words;      /* of 64 bits in a row */
    size_t listed;     /* places of the candidate that are in the lists */
    uint64_t *scratch; /* the mask of `scratch_id`, or zeros */
    uint32_t scratch_id;
} lcs_job;

void hone_lcs_deinit(hone_lcs *lcs)
{
    hone_free(lcs->words);
    hone_free(lcs->next);
    hone_free(lcs->masks);
    hone_free(lcs->rows);
    *lcs = (hone_lcs){0};
}

static bool reserve_words(hone_lcs *lcs, size_t vocabulary)
{
    size_t before = lcs->word_capacity;
    if (!hone_array_reserve((void **)&lcs->words, &lcs->word_capacity, vocabulary,
                            sizeof *lcs->words))
        return false;
    memset(lcs->words + before, 0, (lcs->word_capacity - before) * sizeof *lcs->words);
    return true;
}

static void put_mask(const lcs_job *job, uint32_t id, uint64_t *mask)
{
    for (uint32_t place = job->lcs->words[id].first; place != 0;
         place = job->lcs->next[place - 1]) {
        uint32_t bit = place - 1;
        mask[bit / 64] |= (uint64_t)1 << bit % 64;
    }
}

static void clear_mask(const lcs_job *job, uint32_t id, uint64_t *mask)
{
    for (uint32_t place = job->lcs->words[id].first; place != 0; place = job->lcs->next[place - 1])
        mask[(place - 1) / 64] = 0;
}

/* Lists the places of each word and makes the masks of those that occur more often than a row has
 * words: there are fewer than 64 of them, so they take no more memory than the candidate. */
static hone_status begin(lcs_job *job, size_t vocabulary, hone_error *error)
{
    hone_lcs *lcs = job->lcs;
    hone_span candidate = job->candidate;
    size_t frequent = 0, masks;
    job->words = (candidate.count + 63) / 64;
    job->scratch_id = NONE;
    if (!reserve_words(lcs, vocabulary) ||
        !hone_array_reserve((void **)&lcs->next, &lcs->next_capacity, candidate.count,
                            sizeof *lcs->next))
        return hone_fail_memory(error, "ROUGE-L", vocabulary * sizeof *lcs->words);
    for (size_t j = 0; j < candidate.count; j++) {
        struct hone_lcs_word *word = &lcs->words[candidate.ids[j]];
        frequent += ++word->count == job->words + 1;
        lcs->next[j] = word->first;
        word->first = (uint32_t)j + 1;
    }
    job->listed = candidate.count;
    if (!hone_size_mul(frequent + 1, job->words, &masks) ||
        !hone_array_reserve((void **)&lcs->masks, &lcs->mask_capacity, masks, sizeof *lcs->masks))
        return hone_fail_memory(error, "ROUGE-L", frequent * job->words * sizeof *lcs->masks);
    memset(lcs->masks, 0, masks * sizeof *lcs->masks);
    job->scratch = lcs->masks + frequent * job->words;
    for (size_t j = 0; j < candidate.count; j++) {
        struct hone_lcs_word *word = &lcs->words[candidate.ids[j]];
        if (word->count > job->words && word->mask == 0) {
            word->mask = (uint32_t)frequent--;
            put_mask(job, candidate.ids[j], lcs->masks + (word->mask - 1) * job->words);
        }
    }
    return HONE_OK;
}

/* Leaves the table of words zero, as the next job wants it. */
static void finish(const lcs_job *job)
{
    for (size_t j = 0; j < job->listed; j++)
        job->lcs->words[job->candidate.ids[j]] = (struct hone_lcs_word){0};
}

/* The places of a word of the reference, or NULL when the candidate lacks it. */
static const uint64_t *mask_of(lcs_job *job, uint32_t id)
{
    struct hone_lcs_word word = job->lcs->words[id];
    if (word.count == 0)
        return NULL;
    if (word.mask != 0)
        return job->lcs->masks + (word.mask - 1) * job->words;
    if (job->scratch_id != id) {
        if (job->scratch_id != NONE)
            clear_mask(job, job->scratch_id, job->scratch);
        put_mask(job, id, job->scratch);
        job->scratch_id = id;
    }
    return job->scratch;
}

/* Row i+1 from row i; both may be one. */
static void step(lcs_job *job, size_t i, const uint64_t *before, uint64_t *after)
{
    const uint64_t *mask = mask_of(job, job->reference.ids[i]);
    unsigned carry = 0;
    if (mask == NULL) {
        if (after != before)
            memcpy(after, before, job->words * sizeof *after);
        return;
    }
    for (size_t w = 0; w < job->words; w++) {
        uint64_t row = before[w], sum;
        unsigned over = __builtin_add_overflow(row, row & mask[w], &sum);
        over |= __builtin_add_overflow(sum, (uint64_t)carry, &sum);
        carry = over;
        after[w] = sum | (row & ~mask[w]);
    }
}

/* t of a row for the first `bits` places. */
static size_t zeros(const uint64_t *row, size_t bits)
{
    size_t count = 0;
    for (size_t w = 0; w < bits / 64; w++)
        count += (size_t)__builtin_popcountll(~row[w]);
    if (bits % 64 != 0)
        count += (size_t)__builtin_popcountll(~row[bits / 64] << (64 - bits % 64));
    return count;
}

static bool is_zero(const uint64_t *row, size_t bit)
{
    return (row[bit / 64] >> bit % 64 & 1) == 0;
}

static hone_status reserve_rows(lcs_job *job, size_t count, hone_error *error)
{
    hone_lcs *lcs = job->lcs;
    size_t needed;
    if (!hone_size_mul(count, job->words, &needed) ||
        !hone_array_reserve((void **)&lcs->rows, &lcs->row_capacity, needed, sizeof *lcs->rows))
        return hone_fail_memory(error, "ROUGE-L", count * job->words * sizeof *lcs->rows);
    return HONE_OK;
}

hone_status hone_lcs_length(hone_lcs *lcs, hone_span reference, hone_span candidate,
                            size_t vocabulary, size_t *length, hone_error *error)
{
    lcs_job job = {.lcs = lcs, .reference = reference, .candidate = candidate};
    *length = 0;
    if (reference.count == 0 || candidate.count == 0)
        return HONE_OK;
    hone_status status = begin(&job, vocabulary, error);
    if (status == HONE_OK)
        status = reserve_rows(&job, 1, error);
    if (status == HONE_OK) {
        memset(lcs->rows, 0xFF, job.words * sizeof *lcs->rows);
        for (size_t i = 0; i < reference.count; i++)
            step(&job, i, lcs->rows, lcs->rows);
        *length = zeros(lcs->rows, candidate.count);
    }
    finish(&job);
    return status;
}

/* The rows of a table that are there: every stride-th, and a block from one of them to the next.
 * At the start the block is the last one. */
typedef struct lcs_table {
    lcs_job *job;
    size_t stride, block; /* the block has rows block * stride .. (block + 1) * stride */
    uint64_t *kept, *rows;
} lcs_table;

static void fill_block(lcs_table *table, size_t block)
{
    size_t words = table->job->words, first = block * table->stride;
    memcpy(table->rows, table->kept + block * words, words * sizeof *table->rows);
    for (size_t i = 0; i < table->stride && first + i < table->job->reference.count; i++)
        step(table->job, first + i, table->rows + i * words, table->rows + (i + 1) * words);
    table->block = block;
}

static hone_status table_init(lcs_table *table, lcs_job *job, hone_error *error)
{
    size_t count = job->reference.count, words = job->words;
    size_t limit = job->lcs->row_limit > 0 ? job->lcs->row_limit : ROW_LIMIT;
    *table = (lcs_table){.job = job, .stride = count};
    if (count + 1 > limit / words)
        table->stride = (size_t)sqrt((double)count) + 1;
    size_t blocks = (count + table->stride - 1) / table->stride;
    HONE_TRY(reserve_rows(job, blocks + table->stride + 1, error));
    table->kept = job->lcs->rows;
    table->rows = table->kept + blocks * words;
    memset(table->kept, 0xFF, words * sizeof *table->kept);
    for (size_t block = 0; block < blocks; block++) {
        fill_block(table, block);
        if (block + 1 < blocks)
            memcpy(table->kept + (block + 1) * words, table->rows + table->stride * words,
                   words * sizeof *table->rows);
    }
    return HONE_OK;
}

/* Row i - 1, for i > 0 going down. */
static const uint64_t *row_above(lcs_table *table, size_t i)
{
    size_t block = (i - 1) / table->stride;
    if (block != table->block)
        fill_block(table, block);
    return table->rows + (i - 1 - block * table->stride) * table->job->words;
}

static void go_back(lcs_table *table, bool *marks)
{
    const hone_span reference = table->job->reference, candidate = table->job->candidate;
    size_t i = reference.count, j = candidate.count;
    const uint64_t *before = row_above(table, i);
    size_t here = zeros(before + table->job->words, j); /* t(i, j) */
    size_t above = zeros(before, j);                    /* t(i-1, j) */
    while (here > 0) {
        bool equal = reference.ids[i - 1] == candidate.ids[j - 1];
        if (!equal && here > above) {
            j--;
            above -= is_zero(before, j);
            continue;
        }
        if (equal) {
            marks[i - 1] = true;
            j--;
            above -= is_zero(before, j);
        }
        i--;
        here = above;
        if (here == 0)
            return;
        before = row_above(table, i);
        above = zeros(before, j);
    }
}

hone_status hone_lcs_mark(hone_lcs *lcs, hone_span reference, hone_span candidate,
                          size_t vocabulary, bool *marks, hone_error *error)
{
    lcs_job job = {.lcs = lcs, .reference = reference, .candidate = candidate};
    lcs_table table;
    if (reference.count == 0 || candidate.count == 0)
        return HONE_OK;
    hone_status status = begin(&job, vocabulary, error);
    if (status == HONE_OK)
        status = table_init(&table, &job, error);
    if (status == HONE_OK)
        go_back(&table, marks);
    finish(&job);
    return status;
}
