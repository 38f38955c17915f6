/* Beam search on made-up scores: every branch of a step, whole searches against Transformers, and
 * the best of all texts where there are beams for all. */
#include "infer/beam.h"
#include "infer/sampling.h"

#include "beam_golden.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { END = 99, MOST_CANDIDATES = 4096 };

static const int32_t prompt[] = {50, 51};

static hone_beams beams_of(int64_t num_beams, double length_penalty, hone_early_stopping early,
                           int64_t most)
{
    const hone_beam_rules rules = {num_beams, length_penalty, early, most};
    hone_beams beams;
    assert_int_equal(hone_beams_create(&rules, prompt, 2, &beams, NULL), HONE_OK);
    return beams;
}

static hone_beam_candidate goes_on(float score, int32_t beam, int32_t token)
{
    return (hone_beam_candidate){.score = score, .beam = beam, .token = token};
}

static hone_beam_candidate ends(float score, int32_t beam, int32_t token, hone_finish finish)
{
    return (hone_beam_candidate){score, beam, token, true, finish};
}

static void check_ids(const hone_beam *beam, int64_t count, const int32_t *ids)
{
    assert_int_equal(beam->count, 2 + count);
    assert_memory_equal(beam->ids, prompt, sizeof prompt);
    assert_memory_equal(beam->ids + 2, ids, (size_t)count * sizeof *ids);
}

/* ---- candidates --------------------------------------------------------------------------- */

static void log_probabilities_sum_to_one(void **state)
{
    (void)state;
    float row[] = {3.0f, -2.0f, -INFINITY, 100.0f, 99.5f};
    double sum = 0.0;
    assert_true(hone_beam_log_softmax(row, 5));
    for (int i = 0; i < 5; i++)
        sum += exp((double)row[i]);
    assert_true(fabs(sum - 1.0) < 1e-6);
    assert_true(row[2] == -INFINITY);
    assert_float_equal(row[3] - row[4], 0.5f, 1e-6f);
    float bad[][2] = {{0.0f, NAN}, {INFINITY, 0.0f}, {-INFINITY, -INFINITY}};
    for (size_t i = 0; i < 3; i++)
        assert_false(hone_beam_log_softmax(bad[i], 2));
}

static void the_best_of_a_row_are_in_order(void **state)
{
    (void)state;
    static const float row[] = {-3.0f, -1.0f, -INFINITY, -1.0f, -2.0f, -0.5f, -1.0f};
    static const int32_t order[] = {5, 1, 3, 6, 4, 0};
    hone_beam_candidate best[8];
    for (int64_t most = 1; most <= 8; most++) {
        int64_t count = hone_beam_best(row, 7, 3, -10.0f, most, best);
        assert_int_equal(count, most < 6 ? most : 6); /* what cannot be is left out */
        for (int64_t i = 0; i < count; i++) {
            assert_int_equal(best[i].token, order[i]);
            assert_int_equal(best[i].beam, 3);
            assert_true(best[i].score == row[order[i]] - 10.0f);
        }
    }
}

static void equal_candidates_stand_by_beam_and_token(void **state)
{
    (void)state;
    hone_beam_candidate all[] = {goes_on(-2.0f, 1, 4), goes_on(-1.0f, 1, 7), goes_on(-2.0f, 0, 9),
                                 goes_on(-1.0f, 1, 2), goes_on(-2.0f, 0, 3)};
    static const int32_t tokens[] = {2, 7, 3, 9, 4};
    assert_int_equal(hone_beam_merge(all, 5, 9), 5);
    for (int i = 0; i < 5; i++)
        assert_int_equal(all[i].token, tokens[i]);
    assert_int_equal(hone_beam_merge(all, 5, 3), 3);
}

/* Of `width` candidates num_beams go on, even when every beam's best tokens are all ends. */
static void there_are_candidates_enough(void **state)
{
    (void)state;
    assert_int_equal(hone_beam_candidates(4, 0), 8);
    assert_int_equal(hone_beam_candidates(4, 1), 8);
    assert_int_equal(hone_beam_candidates(4, 3), 16);
}

/* ---- steps -------------------------------------------------------------------------------- */

static void the_best_that_do_not_end_go_on(void **state)
{
    (void)state;
    hone_beams b = beams_of(2, 1.0, HONE_STOP_LIKELY, 9);
    const hone_beam_candidate first[] = {goes_on(-1.0f, 0, 5), ends(-2.0f, 0, END, HONE_FINISH_EOS),
                                         goes_on(-3.0f, 0, 6), goes_on(-4.0f, 0, 7)};
    hone_beams_advance(&b, first, 4);
    assert_int_equal(b.running_count, 2);
    check_ids(&b.running[0], 1, (const int32_t[]){5});
    check_ids(&b.running[1], 1, (const int32_t[]){6});
    const hone_beam_candidate second[] = {goes_on(-3.5f, 1, 1), goes_on(-4.0f, 1, 2),
                                          goes_on(-5.0f, 0, 3), goes_on(-6.0f, 0, 4)};
    hone_beams_advance(&b, second, 4);
    assert_int_equal(b.made, 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(b.running[i].parent, 1);
        check_ids(&b.running[i], 2, (const int32_t[]){6, i == 0 ? 1 : 2});
    }
    assert_true(b.running[0].score == -3.5f);
    assert_false(b.done);
    hone_beams_free(&b);
}

static void only_the_first_beams_may_end(void **state)
{
    (void)state;
    hone_beams b = beams_of(2, 1.0, HONE_STOP_LIKELY, 9);
    const hone_beam_candidate all[] = {goes_on(-1.0f, 0, 5), ends(-2.0f, 0, END, HONE_FINISH_EOS),
                                       ends(-2.5f, 0, END + 1, HONE_FINISH_EOS),
                                       goes_on(-3.0f, 0, 6)};
    hone_beams_advance(&b, all, 4);
    assert_int_equal(b.finished_count, 1);
    assert_true(b.finished[0].score == -2.0f);
    check_ids(&b.finished[0], 0, NULL);
    hone_beams_free(&b);
}

/* The end token counts in the length; it is not part of the text, other last tokens are. */
static void a_score_is_divided_by_the_length_to_the_penalty(void **state)
{
    (void)state;
    static const double penalties[] = {0.0, 0.6, 1.0, 2.0, -1.0};
    for (size_t i = 0; i < sizeof penalties / sizeof penalties[0]; i++) {
        hone_beams b = beams_of(2, penalties[i], HONE_STOP_NEVER, 3);
        const hone_beam_candidate first[] = {goes_on(-1.0f, 0, 5), goes_on(-2.0f, 0, 6)};
        const hone_beam_candidate second[] = {ends(-3.0f, 0, END, HONE_FINISH_EOS),
                                              goes_on(-3.5f, 1, 8), goes_on(-3.6f, 0, 7)};
        const hone_beam_candidate third[] = {ends(-3.8f, 1, 9, HONE_FINISH_LENGTH),
                                             ends(-4.0f, 0, 4, HONE_FINISH_STOP)};
        hone_beams_advance(&b, first, 2);
        hone_beams_advance(&b, second, 3);
        assert_int_equal(b.finished_count, 1);
        check_ids(&b.finished[0], 1, (const int32_t[]){5});
        assert_int_equal(b.finished[0].finish, HONE_FINISH_EOS);
        assert_true(fabs((double)b.finished[0].score + 3.0 / pow(2.0, penalties[i])) < 1e-6);
        hone_beams_advance(&b, third, 2);
        assert_true(b.done);
        assert_int_equal(b.finished_count, 2);
        /* With a penalty of 0 or less the shorter text is the better one. */
        const hone_beam *later = &b.finished[penalties[i] > 0.59 ? 0 : 1];
        check_ids(later, 3, (const int32_t[]){5, 7, 9});
        assert_int_equal(later->finish, HONE_FINISH_LENGTH);
        assert_true(fabs((double)later->score + 3.8 / pow(3.0, penalties[i])) < 1e-6);
        hone_beams_free(&b);
    }
}

static void of_equal_texts_the_first_stays(void **state)
{
    (void)state;
    hone_beams b = beams_of(2, 0.0, HONE_STOP_NEVER, 9);
    const hone_beam_candidate first[] = {goes_on(-1.0f, 0, 5), ends(-2.0f, 0, END, HONE_FINISH_EOS),
                                         goes_on(-3.0f, 0, 6)};
    const hone_beam_candidate second[] = {ends(-2.0f, 0, END, HONE_FINISH_EOS),
                                          ends(-2.0f, 0, END + 1, HONE_FINISH_EOS),
                                          goes_on(-1.5f, 0, 7)};
    const hone_beam_candidate third[] = {ends(-1.75f, 0, END, HONE_FINISH_EOS),
                                         goes_on(-1.8f, 0, 8)};
    hone_beams_advance(&b, first, 3);
    hone_beams_advance(&b, second, 3);
    assert_int_equal(b.finished_count, 2);
    check_ids(&b.finished[0], 0, NULL);
    check_ids(&b.finished[1], 1, (const int32_t[]){5});
    hone_beams_advance(&b, third, 2); /* a better one goes before, and the last is dropped */
    check_ids(&b.finished[0], 2, (const int32_t[]){5, 7});
    check_ids(&b.finished[1], 0, NULL);
    hone_beams_free(&b);
}

/* Two texts are finished after two tokens; is the running beam, at -3.1, worth going on? */
static void early_stopping_says_when_a_search_is_over(void **state)
{
    (void)state;
    static const struct {
        hone_early_stopping early;
        double length_penalty;
        int64_t most;
        float running;
        bool done;
    } cases[] = {
        {HONE_STOP_FULL, 1.0, 9, -1.0f, true},    /* full is full */
        {HONE_STOP_LIKELY, 1.0, 9, -2.9f, false}, /* -2.9 / 2 over -3 / 2 */
        {HONE_STOP_LIKELY, 1.0, 9, -3.0f, true},  /* equal is no better */
        {HONE_STOP_LIKELY, 1.0, 9, -3.1f, true},  /* though at 9 tokens it might be */
        {HONE_STOP_NEVER, 1.0, 9, -3.1f, false},  /* -3.1 / 9 over -3 / 2 */
        {HONE_STOP_NEVER, 1.0, 9, -14.0f, true},  /* not even then */
        {HONE_STOP_NEVER, 0.0, 9, -3.1f, true},   /* no length makes it better */
        {HONE_STOP_NEVER, -1.0, 9, -3.1f, true},  {HONE_STOP_NEVER, -1.0, 9, -2.9f, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        hone_beams b = beams_of(2, cases[i].length_penalty, cases[i].early, cases[i].most);
        const hone_beam_candidate first[] = {goes_on(-0.5f, 0, 5), goes_on(-0.6f, 0, 6)};
        const hone_beam_candidate second[] = {ends(-2.0f, 0, END, HONE_FINISH_EOS),
                                              ends(-3.0f, 1, END, HONE_FINISH_EOS),
                                              goes_on(cases[i].running, 0, 7)};
        hone_beams_advance(&b, first, 2);
        assert_false(b.done);
        hone_beams_advance(&b, second, 3);
        if (b.done != cases[i].done)
            fail_msg("case %zu: done is %d", i, b.done);
        assert_int_equal(b.running_count, b.done ? 0 : 1);
        hone_beams_free(&b);
    }
}

static void a_search_without_candidates_keeps_what_it_has(void **state)
{
    (void)state;
    hone_beams b = beams_of(3, 1.0, HONE_STOP_LIKELY, 9);
    hone_beams none = beams_of(3, 1.0, HONE_STOP_LIKELY, 9);
    const hone_beam_candidate first[] = {goes_on(-1.0f, 0, 5), goes_on(-2.0f, 0, 6)};
    hone_beams_advance(&b, first, 2);
    hone_beams_advance(&b, first, 2);
    hone_beams_advance(&b, NULL, 0);
    assert_true(b.done);
    assert_int_equal(b.finished_count, 2);
    check_ids(&b.finished[0], 2, (const int32_t[]){5, 5});
    check_ids(&b.finished[1], 2, (const int32_t[]){5, 6});
    assert_int_equal(b.finished[0].finish, HONE_FINISH_LENGTH);
    assert_true(b.finished[1].score == -1.0f);
    hone_beams_advance(&none, NULL, 0); /* not even a first token */
    assert_true(none.done);
    assert_int_equal(none.finished_count, 1);
    check_ids(&none.finished[0], 0, NULL);
    hone_beams_free(&b);
    hone_beams_free(&none);
}

/* ---- whole searches ----------------------------------------------------------------------- */

/* Logits (vocabulary) after a row of ids. */
typedef void (*logits_fn)(const int32_t *ids, int64_t count, float *logits);

static void search(hone_beams *b, const hone_generate_settings *settings, logits_fn logits_of,
                   int64_t vocabulary, const int32_t *end_tokens, size_t end_count)
{
    double scratch[64];
    float logits[16];
    static hone_beam_candidate all[MOST_CANDIDATES];
    int64_t width = hone_beam_candidates(b->rules.num_beams, (int64_t)end_count);
    assert_true(b->rules.num_beams * width <= MOST_CANDIDATES && vocabulary <= 16);
    while (!b->done) {
        int64_t count = 0;
        for (int32_t beam = 0; beam < b->running_count; beam++) {
            const hone_beam *from = &b->running[beam];
            hone_sampling_row row = {logits,  vocabulary, from->ids, from->count,
                                     b->made, end_tokens, end_count};
            logits_of(from->ids, from->count, logits);
            assert_true(hone_beam_log_softmax(logits, vocabulary));
            hone_sampling_adjust(settings, &row, scratch);
            count += hone_beam_best(logits, vocabulary, beam, from->score, width, all + count);
        }
        count = hone_beam_merge(all, count, width);
        for (int64_t i = 0; i < count; i++) {
            bool eos = false;
            for (size_t k = 0; k < end_count; k++)
                eos |= all[i].token == end_tokens[k];
            all[i].ends = eos || b->made + 1 == b->rules.most;
            all[i].finish = eos ? HONE_FINISH_EOS : HONE_FINISH_LENGTH;
        }
        hone_beams_advance(b, all, count);
    }
}

static void table_logits(const int32_t *ids, int64_t count, float *logits)
{
    const float *row = golden_table[ids[count - 2] * GOLDEN_VOCABULARY + ids[count - 1]];
    memcpy(logits, row, sizeof golden_table[0]);
}

static void searches_find_what_transformers_finds(void **state)
{
    (void)state;
    for (size_t c = 0; c < sizeof golden_cases / sizeof golden_cases[0]; c++) {
        const struct golden_case *golden = &golden_cases[c];
        const hone_generate_settings settings = {.repetition_penalty = golden->repetition_penalty,
                                                 .no_repeat_ngram_size =
                                                     golden->no_repeat_ngram_size,
                                                 .min_new_tokens = golden->min_new_tokens};
        const hone_beam_rules rules = {.num_beams = golden->num_beams,
                                       .length_penalty = golden->length_penalty,
                                       .early_stopping =
                                           golden->early_stopping[0] == 't'   ? HONE_STOP_FULL
                                           : golden->early_stopping[0] == 'n' ? HONE_STOP_NEVER
                                                                              : HONE_STOP_LIKELY,
                                       .most = GOLDEN_MOST};
        hone_beams b;
        assert_int_equal(hone_beams_create(&rules, golden_prompt, 2, &b, NULL), HONE_OK);
        search(&b, &settings, table_logits, GOLDEN_VOCABULARY, golden->ends, golden->end_count);
        assert_true(b.finished_count >= golden->num_return_sequences);
        for (int64_t i = 0; i < golden->num_return_sequences; i++) {
            const struct golden_text *text = &golden->texts[i];
            const hone_beam *found = &b.finished[i];
            if (found->count - 2 != text->count ||
                memcmp(found->ids + 2, text->ids, (size_t)text->count * sizeof *text->ids) != 0)
                fail_msg("case %zu, text %lld: other ids", c, (long long)i);
            assert_int_equal(found->finish == HONE_FINISH_EOS, text->ended);
            assert_float_equal(found->score, text->score, 1e-5f * fabsf(text->score));
        }
        hone_beams_free(&b);
    }
}

/* Logits that depend on the whole text. */
static void hashed_logits(const int32_t *ids, int64_t count, float *logits)
{
    uint64_t seed = 7;
    for (int64_t i = 0; i < count; i++)
        seed = seed * 1000003u + (uint64_t)ids[i];
    for (uint64_t i = 0; i < 3; i++)
        logits[i] = 2.0f * (float)hone_random_normal((hone_random_key){seed, 0, 0}, i);
}

/* With a beam for each of 3^4 texts nothing is lost: the search orders all of them. */
static void beams_for_all_texts_find_the_best(void **state)
{
    (void)state;
    enum { LENGTH = 4, TEXTS = 81 };
    static const hone_generate_settings plain = {.repetition_penalty = 1.0};
    hone_beams b = beams_of(TEXTS / 3, 1.0, HONE_STOP_LIKELY, LENGTH);
    search(&b, &plain, hashed_logits, 3, NULL, 0);
    assert_int_equal(b.finished_count, TEXTS / 3);
    int better[TEXTS / 3] = {0};
    for (int text = 0; text < TEXTS; text++) {
        int32_t ids[2 + LENGTH] = {prompt[0], prompt[1]};
        float logits[3];
        double score = 0.0;
        for (int i = 0, rest = text; i < LENGTH; i++, rest /= 3) {
            hashed_logits(ids, 2 + i, logits);
            hone_beam_log_softmax(logits, 3);
            ids[2 + i] = rest % 3;
            score += (double)logits[rest % 3];
        }
        for (int i = 0; i < TEXTS / 3; i++)
            better[i] += score / LENGTH > (double)b.finished[i].score + 1e-6;
    }
    for (int i = 0; i < TEXTS / 3; i++)
        assert_int_equal(better[i], i);
    hone_beams_free(&b);
}

/* Without end tokens a search with one beam takes the best token each time. */
static void one_beam_is_greedy(void **state)
{
    (void)state;
    static const hone_generate_settings plain = {.repetition_penalty = 1.0};
    hone_beams b = beams_of(1, 1.0, HONE_STOP_LIKELY, 40);
    int32_t ids[2 + 40] = {prompt[0], prompt[1]};
    search(&b, &plain, hashed_logits, 3, NULL, 0);
    for (int i = 0; i < 40; i++) {
        float logits[3];
        hashed_logits(ids, 2 + i, logits);
        ids[2 + i] = hone_sampling_largest(logits, 3);
    }
    check_ids(&b.finished[0], 40, ids + 2);
    hone_beams_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_probabilities_sum_to_one),
        cmocka_unit_test(the_best_of_a_row_are_in_order),
        cmocka_unit_test(equal_candidates_stand_by_beam_and_token),
        cmocka_unit_test(there_are_candidates_enough),
        cmocka_unit_test(the_best_that_do_not_end_go_on),
        cmocka_unit_test(only_the_first_beams_may_end),
        cmocka_unit_test(a_score_is_divided_by_the_length_to_the_penalty),
        cmocka_unit_test(of_equal_texts_the_first_stays),
        cmocka_unit_test(early_stopping_says_when_a_search_is_over),
        cmocka_unit_test(a_search_without_candidates_keeps_what_it_has),
        cmocka_unit_test(searches_find_what_transformers_finds),
        cmocka_unit_test(beams_for_all_texts_find_the_best),
        cmocka_unit_test(one_beam_is_greedy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
