/* Span corruption: sizes, what is taken and what is left, chances, and texts of a data file. */
#include "data_support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SENTINEL 255 /* the first; text is below 200 */
#define EOS BYTE_EOS

static const hone_span_corruption usual = {.noise_density = 0.15,
                                           .mean_span_length = 3,
                                           .first_sentinel = SENTINEL,
                                           .sentinel_count = 40,
                                           .eos = EOS};

/* The oracle is T5's formula in numpy: noise = round(n d) in [1, n - 1], spans = round(noise / m),
 * halves to even. 568 tokens fill 512 and 114, as random_spans_helper finds for T5. */
static void sizes_are_those_of_t5(void **state)
{
    (void)state;
    static const struct {
        int64_t length;
        double density, mean;
        int64_t noise, spans;
    } cases[] = {
        {2, 0.15, 3, 1, 1},       {3, 0.15, 3, 1, 1},     {6, 0.15, 3, 1, 1},
        {10, 0.15, 3, 2, 1},      {13, 0.15, 3, 2, 1},    {30, 0.15, 3, 4, 1},
        {50, 0.15, 3, 8, 3},      {97, 0.15, 3, 15, 5},   {512, 0.15, 3, 77, 26},
        {568, 0.15, 3, 85, 28},   {569, 0.15, 3, 85, 28}, {10, 0.5, 3, 5, 2},
        {11, 0.5, 3, 6, 2},       {512, 0.5, 8, 256, 32}, {100, 0, 3, 1, 1},
        {5, 0.9, 1, 4, 1},        /* one token is left, so there is one span */
        {1024, 0.15, 3, 154, 40}, /* 51 by the formula, but there are 40 sentinels */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        hone_span_corruption spans = usual;
        spans.noise_density = cases[i].density;
        spans.mean_span_length = cases[i].mean;
        hone_span_sizes sizes = hone_span_measure(&spans, cases[i].length);
        assert_int_equal(sizes.noise, cases[i].noise);
        assert_int_equal(sizes.spans, cases[i].spans);
        assert_int_equal(sizes.source, cases[i].length - sizes.noise + sizes.spans + 1);
        assert_int_equal(sizes.target, sizes.noise + sizes.spans + 1);
        spans.eos = -1;
        assert_int_equal(hone_span_measure(&spans, cases[i].length).source, sizes.source - 1);
        assert_int_equal(hone_span_measure(&spans, cases[i].length).target, sizes.target - 1);
    }
}

static void the_longest_text_fills_its_limits(void **state)
{
    (void)state;
    assert_int_equal(hone_span_longest(&usual, 512, 114), 568);
    assert_int_equal(hone_span_longest(&usual, 512, 113), 563);
    assert_int_equal(hone_span_longest(&usual, 3, 3), 2);
    assert_int_equal(hone_span_longest(&usual, 2, 100), 0);
    assert_int_equal(hone_span_longest(&usual, 100, 2), 0);
    assert_int_equal(hone_span_longest(&usual, 0, 0), 0);
    for (int64_t source = 3; source < 90; source += 7)
        for (int64_t target = 3; target < 60; target += 5) {
            int64_t longest = 0;
            for (int64_t length = 2; length <= source + target; length++) {
                hone_span_sizes sizes = hone_span_measure(&usual, length);
                if (sizes.source <= source && sizes.target <= target)
                    longest = length;
            }
            assert_int_equal(hone_span_longest(&usual, source, target), longest);
        }
    assert_true(hone_span_longest(&usual, INT32_MAX, INT32_MAX) > 1 << 30);
}

static bool is_sentinel(const hone_span_corruption *spans, int32_t id)
{
    return id <= spans->first_sentinel && id > spans->first_sentinel - spans->sentinel_count;
}

/* Puts the text together from source and target, checking that both are as they should be; the
 * lengths of the spans go to lengths. */
static void restore(const hone_span_corruption *spans, const int32_t *source, const int32_t *target,
                    hone_span_sizes sizes, int32_t *text, int64_t *lengths)
{
    int64_t at = 0, taken = 0, used = 0, noise = 0;
    bool kept = false; /* something stands before the next span */
    for (; at < sizes.source - 1; at++) {
        if (!is_sentinel(spans, source[at])) {
            text[used++] = source[at];
            kept = true;
            continue;
        }
        assert_true(kept);
        kept = false;
        assert_int_equal(source[at], spans->first_sentinel - taken);
        assert_int_equal(*target++, source[at]);
        int64_t length = 0;
        for (; *target != EOS && !is_sentinel(spans, *target); target++, length++)
            text[used++] = *target;
        assert_true(length >= 1);
        lengths[taken++] = length;
        noise += length;
    }
    assert_false(kept); /* the last thing is a span */
    assert_int_equal(source[at], EOS);
    assert_int_equal(*target, EOS);
    assert_int_equal(taken, sizes.spans);
    assert_int_equal(noise, sizes.noise);
}

static void source_and_target_make_up_the_text(void **state)
{
    (void)state;
    static int32_t text[1300], source[1300], target[1300], restored[1300];
    static int64_t lengths[1300];
    static const double densities[] = {0.15, 0.5, 0.03, 0.9};
    for (int i = 0; i < 1300; i++)
        text[i] = i % 199;
    for (uint32_t i = 0; i < 4; i++) {
        hone_span_corruption spans = usual;
        spans.noise_density = densities[i];
        for (int64_t length = 2; length < 1300; length += length < 200 ? 1 : 37) {
            hone_span_key key = {.seed = 7, .epoch = i, .document = (uint32_t)length};
            hone_span_sizes sizes = hone_span_measure(&spans, length);
            source[sizes.source] = target[sizes.target] = -7;
            hone_span_corrupt(&spans, key, text, length, source, target);
            assert_int_equal(source[sizes.source], -7);
            assert_int_equal(target[sizes.target], -7);
            restore(&spans, source, target, sizes, restored, lengths);
            assert_memory_equal(restored, text, (size_t)length * sizeof *text);
        }
    }
}

static void the_key_alone_decides(void **state)
{
    (void)state;
    int32_t text[200], source[4][200], target[4][200];
    static const hone_span_key keys[] = {{1, 0, 0}, {2, 0, 0}, {1, 1, 0}, {1, 0, 1}};
    for (int i = 0; i < 200; i++)
        text[i] = i % 199;
    for (int i = 0; i < 4; i++) {
        int32_t again[200], again_target[200];
        hone_span_corrupt(&usual, keys[i], text, 200, source[i], target[i]);
        hone_span_corrupt(&usual, keys[i], text, 200, again, again_target);
        hone_span_sizes sizes = hone_span_measure(&usual, 200);
        assert_memory_equal(again, source[i], (size_t)sizes.source * sizeof *again);
        assert_memory_equal(again_target, target[i], (size_t)sizes.target * sizeof *again);
        for (int j = 0; j < i; j++)
            assert_memory_not_equal(source[i], source[j], (size_t)sizes.source * sizeof *again);
    }
}

/* 10 tokens, 4 of them noise in 2 spans: 5 ways to cut the rest, 3 to cut the noise. */
static void all_masks_are_equally_likely(void **state)
{
    (void)state;
    enum { DRAWS = 30000, WAYS = 15 };
    hone_span_corruption spans = usual;
    spans.noise_density = 0.4;
    spans.mean_span_length = 2;
    int32_t text[10], source[16], target[16];
    int counts[5][3] = {{0}};
    for (int i = 0; i < 10; i++)
        text[i] = i;
    for (uint32_t document = 0; document < DRAWS; document++) {
        hone_span_corrupt(&spans, (hone_span_key){3, 1, document}, text, 10, source, target);
        int kept = 0, taken = 0;
        while (source[kept] != SENTINEL)
            kept++;
        while (target[taken + 1] != SENTINEL - 1)
            taken++;
        assert_in_range(kept, 1, 5);
        assert_in_range(taken, 1, 3);
        counts[kept - 1][taken - 1]++;
    }
    for (int i = 0; i < 5; i++)
        for (int j = 0; j < 3; j++) /* 2000 expected, sigma 43 */
            assert_in_range(counts[i][j], 2000 - 4 * 43, 2000 + 4 * 43);
}

/* Of 77 noise tokens in 26 spans a span is j long in C(76 - j, 24) of C(76, 25) ways. */
static void span_lengths_have_the_expected_spread(void **state)
{
    (void)state;
    enum { DOCUMENTS = 400, LENGTH = 512 };
    static int32_t text[LENGTH], source[LENGTH], target[LENGTH], restored[LENGTH];
    int64_t lengths[LENGTH], counts[80] = {0}, sum = 0, spans = 0;
    for (uint32_t document = 0; document < DOCUMENTS; document++) {
        hone_span_sizes sizes = hone_span_measure(&usual, LENGTH);
        hone_span_corrupt(&usual, (hone_span_key){11, 0, document}, text, LENGTH, source, target);
        restore(&usual, source, target, sizes, restored, lengths);
        for (int64_t i = 0; i < sizes.spans; i++) {
            counts[lengths[i]]++;
            sum += lengths[i];
            spans++;
        }
    }
    assert_int_equal(spans, DOCUMENTS * 26);
    assert_int_equal(sum, DOCUMENTS * 77);
    double share = 25.0 / 76; /* of length 1 */
    for (int j = 1; j <= 12; j++) {
        double expected = share * (double)spans, found = (double)counts[j];
        assert_true((found - expected) * (found - expected) < 20 * expected);
        share *= (double)(76 - j - 24) / (76 - j); /* C(75 - j, 24) / C(76 - j, 24) */
    }
}

/* ---- data files --------------------------------------------------------------------------- */

static const byte_tokenizer plain = {.bos = BYTE_BOS, .eos = BYTE_EOS};
static char corruption[] = "span_corruption";

static hone_data_settings corruption_settings(void)
{
    hone_data_settings settings = default_settings();
    settings.objective = corruption;
    return settings;
}

static hone_status open_rows(const char *content, const hone_data_settings *settings,
                             hone_dataset **out, hone_error *error)
{
    hone_dataset_options options = {.settings = settings,
                                    .tokenizer = as_tokenizer(&plain),
                                    .vocabulary = 258,
                                    .encoder_decoder = true,
                                    .decoder_start = 250,
                                    .first_sentinel = SENTINEL,
                                    .sentinel_count = 40};
    return hone_dataset_open(write_file("rows.jsonl", content, strlen(content)), &options, out,
                             error);
}

/* Checks one document's segment in a batch against what its text and key say. */
static void expect_segment(const hone_batch *batch, int64_t segment, const hone_document *document)
{
    int32_t source[600], target[600];
    hone_stream_rows rows = hone_document_rows(document);
    const int64_t from = batch->source.starts[segment], to = batch->target.starts[segment];
    assert_int_equal(batch->source.starts[segment + 1] - from, rows.source);
    assert_int_equal(batch->target.starts[segment + 1] - to, rows.target);
    assert_int_equal(hone_document_labels(document), rows.target);
    hone_span_corrupt(document->spans, document->key, document->ids, document->length, source,
                      target);
    assert_memory_equal(batch->source.ids + from, source, (size_t)rows.source * sizeof *source);
    assert_memory_equal(batch->labels + to, target, (size_t)rows.target * sizeof *target);
    assert_int_equal(batch->target.ids[to], 250);
    assert_memory_equal(batch->target.ids + to + 1, target,
                        (size_t)(rows.target - 1) * sizeof *target);
    for (int64_t i = 0; i < rows.target; i++)
        assert_int_equal(batch->target.positions[to + i], i);
}

static void texts_are_corrupted_when_packed_and_pairs_stay(void **state)
{
    (void)state;
    hone_data_settings settings = corruption_settings();
    hone_dataset *dataset;
    hone_packer *packer;
    hone_error error = {0};
    assert_int_equal(open_rows("{\"text\":\"the quick brown fox jumps over the lazy dog\"}\n"
                               "{\"source\":\"ab\",\"target\":\"cd\"}\n"
                               "{\"ids\":[1,2,3,4,5,6,7]}\n"
                               "{\"text\":\"xy\"}",
                               &settings, &dataset, &error),
                     HONE_OK);
    assert_int_equal(hone_dataset_size(dataset), 4);
    hone_document text = hone_dataset_at(dataset, 0);
    assert_int_equal(text.length, 43); /* neither bos nor eos */
    assert_int_equal(text.ids[42], 'g');
    assert_null(text.source);
    assert_null(hone_dataset_at(dataset, 1).spans);
    assert_int_equal(hone_packer_create(&packer, &error), HONE_OK);
    for (uint32_t epoch = 0; epoch < 2; epoch++) {
        int64_t labels = 0;
        hone_packer_reset(packer);
        for (int64_t i = 0; i < 4; i++) {
            hone_document document = hone_dataset_at(dataset, i);
            assert_int_equal(document.key.document, i);
            assert_int_equal(document.key.epoch, 0);
            document.key.epoch = epoch;
            labels += hone_document_labels(&document);
            assert_int_equal(hone_packer_add(packer, document, &error), HONE_OK);
        }
        hone_batch batch = hone_packer_batch(packer);
        assert_int_equal(hone_packer_labels(packer), labels);
        for (int64_t i = 0; i < 4; i++) {
            hone_document document = hone_dataset_at(dataset, i);
            document.key.epoch = epoch;
            if (i != 1)
                expect_segment(&batch, i, &document);
        }
        static const int32_t source[] = {BYTE_BOS, 'a', 'b', EOS};
        assert_memory_equal(batch.source.ids + batch.source.starts[1], source, sizeof source);
        hone_stream_rows most = hone_dataset_most_rows(dataset, 4);
        assert_int_equal(batch.source.rows, most.source);
        assert_int_equal(batch.target.rows, most.target);
        hone_dataset_counts counts = hone_dataset_count(dataset);
        assert_int_equal(counts.tokens, most.target);
        assert_int_equal(counts.source_tokens, most.source);
        assert_int_equal(counts.trained_tokens, labels);
    }
    text.length = 1;
    assert_int_equal(hone_packer_add(packer, text, &error), HONE_USAGE);
    hone_packer_free(packer);
    hone_dataset_close(dataset);
}

static void a_long_text_becomes_pieces_that_fill_the_limits(void **state)
{
    (void)state;
    char row[1600];
    hone_data_settings settings = corruption_settings();
    hone_dataset *dataset, *rest;
    hone_error error = {0};
    settings.max_target_length = 114;
    snprintf(row, sizeof row, "{\"text\":\"%01137d\"}\n{\"text\":\"%0100d\"}", 7, 8);
    assert_int_equal(open_rows(row, &settings, &dataset, &error), HONE_OK);
    /* 1137 = 2 x 568 and a token, which can't be both noise and rest. */
    assert_int_equal(hone_dataset_size(dataset), 3);
    assert_int_equal(hone_dataset_at(dataset, 0).length, 568);
    assert_int_equal(hone_dataset_at(dataset, 1).length, 568);
    assert_int_equal(hone_dataset_at(dataset, 1).ids[567], '0');
    assert_int_equal(hone_dataset_longest(dataset).source, 512);
    assert_int_equal(hone_dataset_longest(dataset).target, 114);
    hone_dataset_counts counts = hone_dataset_count(dataset);
    assert_int_equal(counts.split, 1);
    assert_int_equal(counts.dropped_tokens, 1);
    assert_int_equal(counts.truncated, 0);
    assert_int_equal(hone_dataset_split(dataset, 0.5, 1, &rest, &error), HONE_OK);
    /* Pieces of one line stay together, and a set's documents keep what they need. */
    hone_dataset *both = hone_dataset_size(dataset) == 2 ? dataset : rest;
    assert_int_equal(hone_dataset_at(both, 0).line, 1);
    assert_int_equal(hone_dataset_at(both, 1).line, 1);
    hone_document moved = hone_dataset_at(rest, 0);
    hone_dataset_close(dataset);
    assert_int_equal(moved.spans->first_sentinel, SENTINEL);
    hone_dataset_close(rest);
}

static void what_the_objective_needs_is_checked(void **state)
{
    (void)state;
    static const struct {
        const char *part;
        bool whole;
        int32_t first, count;
        int64_t max_source;
    } cases[] = {
        {"needs an encoder-decoder model", true, SENTINEL, 40, 0},
        {"no <extra_id_0>", false, -1, 0, 0},
        {"no <extra_id_0>", false, 258, 3, 0},
        {"no <extra_id_0>", false, 3, 5, 0},
        {"no text fits", false, SENTINEL, 40, 2},
    };
    hone_data_settings settings = corruption_settings();
    hone_dataset *dataset;
    hone_error error = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        hone_dataset_options options = {.settings = &settings,
                                        .tokenizer = as_tokenizer(&plain),
                                        .vocabulary = 258,
                                        .max_length = 41,
                                        .encoder_decoder = !cases[i].whole,
                                        .first_sentinel = cases[i].first,
                                        .sentinel_count = cases[i].count};
        settings.max_source_length = cases[i].max_source;
        assert_int_equal(
            hone_dataset_open(write_file("t.txt", "abc", 3), &options, &dataset, &error),
            HONE_USAGE);
        assert_non_null(strstr(error.message, cases[i].part));
        assert_null(dataset);
    }
    settings.max_source_length = 0;
    assert_int_equal(open_rows("{\"ids\":[1,2],\"labels\":[1,2]}", &settings, &dataset, &error),
                     HONE_INPUT);
    assert_int_equal(open_rows("{\"text\":\"a\"}", &settings, &dataset, &error), HONE_INPUT);
    assert_non_null(strstr(error.message, "nothing to train on: its text is empty or a single"));
}

static int make_the_folder(void **state)
{
    (void)state;
    make_folder();
    return 0;
}

static int remove_the_folder(void **state)
{
    (void)state;
    remove_folder();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_those_of_t5),
        cmocka_unit_test(the_longest_text_fills_its_limits),
        cmocka_unit_test(source_and_target_make_up_the_text),
        cmocka_unit_test(the_key_alone_decides),
        cmocka_unit_test(all_masks_are_equally_likely),
        cmocka_unit_test(span_lengths_have_the_expected_spread),
        cmocka_unit_test(texts_are_corrupted_when_packed_and_pairs_stay),
        cmocka_unit_test(a_long_text_becomes_pieces_that_fill_the_limits),
        cmocka_unit_test(what_the_objective_needs_is_checked),
    };
    return cmocka_run_group_tests(tests, make_the_folder, remove_the_folder);
}
