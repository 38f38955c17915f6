/* Scores, stems and tokens as the Python packages give them: the files of tests/unit/metric/golden,
 * made by tests/parity/metric_parity.py --write. */
#include "base/files.h"
#include "base/json.h"
#include "base/memory.h"
#include "metric/bleu_tokenize.h"
#include "metric/porter.h"
#include "text/python_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "metric_support.h"

#define GOLDEN "tests/unit/metric/golden/"

static char *load(const char *path, size_t *size)
{
    char *text;
    hone_error error;
    if (hone_file_load(path, 1 << 20, &text, size, &error) != HONE_OK)
        fail_msg("%s: %s", path, error.message);
    return text;
}

/* Calls check for each row of scores.jsonl. */
static void each_row(void (*check)(const hone_json *row))
{
    size_t size, rows = 0;
    char *text = load(GOLDEN "scores.jsonl", &size);
    for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1, rows++) {
        hone_json *row;
        hone_error error;
        assert_int_equal(
            hone_json_parse(line, (size_t)(end - line), "golden", (int64_t)rows + 1, &row, &error),
            HONE_OK);
        check(row);
        hone_json_free(row);
    }
    assert_true(rows > 20);
    hone_free(text);
}

static double number(const hone_json *value)
{
    double found;
    assert_true(hone_json_real(value, &found));
    return found;
}

static hone_text string(const hone_json *value)
{
    hone_text text;
    text.text = hone_json_string(value, &text.length);
    assert_non_null(text.text);
    return text;
}

/* A scorer with that row alone. */
static hone_scorer *score(const hone_json *row, hone_scorer *scorer)
{
    const hone_json *list = hone_json_get(row, "references");
    hone_text references[8];
    hone_error error;
    size_t count = hone_json_size(list);
    assert_true(count > 0 && count <= 8);
    for (size_t i = 0; i < count; i++)
        references[i] = string(hone_json_at(list, i));
    assert_int_equal(hone_scorer_add(scorer, string(hone_json_get(row, "prediction")), references,
                                     count, &error),
                     HONE_OK);
    return scorer;
}

static void is_close(const hone_json *row, const char *what, double found, double expected)
{
    if (!(found - expected <= 1e-9 && expected - found <= 1e-9))
        fail_msg("%s of \"%s\": %.17g, expected %.17g", what,
                 string(hone_json_get(row, "prediction")).text, found, expected);
}

static void check_rouge(const hone_json *row)
{
    for (int stem = 0; stem < 2; stem++) {
        hone_scorer *scorer =
            score(row, MAKE("metrics=rouge", stem ? "stemmer=true" : "stemmer=false",
                            "bootstrap_samples=0"));
        const hone_json *expected = hone_json_get(row, stem ? "rouge_stemmed" : "rouge");
        for (size_t i = 0; i < 4; i++) {
            const char *name = hone_scorer_name(scorer, i);
            const hone_json *parts = hone_json_get(expected, name);
            hone_score found = result_of(scorer, name);
            is_close(row, name, found.precision, number(hone_json_at(parts, 0)));
            is_close(row, name, found.recall, number(hone_json_at(parts, 1)));
            is_close(row, name, found.value, number(hone_json_at(parts, 2)));
        }
        hone_scorer_free(scorer);
    }
}

static void rouge_is_that_of_rouge_score(void **state)
{
    (void)state;
    each_row(check_rouge);
}

static void check_bleu(const hone_json *row)
{
    static const char *const settings[][3] = {{"13a", "exp", "false"},
                                              {"intl", "floor", "true"},
                                              {"char", "add-k", "false"},
                                              {"none", "none", "true"}};
    static const char *const metrics[] = {"bleu", "sentence_bleu"};
    for (size_t i = 0; i < 4; i++) {
        char options[3][64], key[128];
        snprintf(options[0], sizeof options[0], "bleu_tokenize=%s", settings[i][0]);
        snprintf(options[1], sizeof options[1], "bleu_smooth=%s", settings[i][1]);
        snprintf(options[2], sizeof options[2], "lowercase=%s", settings[i][2]);
        hone_scorer *scorer =
            score(row, MAKE("metrics=bleu,sentence_bleu", options[0], options[1], options[2]));
        for (size_t k = 0; k < 2; k++) {
            snprintf(key, sizeof key, "%s,%s,%s,%s", metrics[k], settings[i][0], settings[i][1],
                     settings[i][2]);
            is_close(row, key, result_of(scorer, metrics[k]).value,
                     number(hone_json_get(row, key)));
        }
        hone_scorer_free(scorer);
    }
}

static void bleu_is_that_of_sacrebleu(void **state)
{
    (void)state;
    each_row(check_bleu);
}

static void check_others(const hone_json *row)
{
    hone_scorer *scorer =
        score(row, MAKE("metrics=nltk_bleu,chrf,chrf++,exact_match,token_f1", "lowercase=false"));
    assert_int_equal(hone_scorer_count(scorer), 5);
    for (size_t i = 0; i < hone_scorer_count(scorer); i++) {
        const char *name = hone_scorer_name(scorer, i);
        is_close(row, name, result_of(scorer, name).value, number(hone_json_get(row, name)));
    }
    hone_scorer_free(scorer);
}

static void others_are_those_of_their_packages(void **state)
{
    (void)state;
    each_row(check_others);
}

static void check_tokens(const hone_json *row)
{
    static const char *const names[] = {"13a", "intl", "char", "none"};
    hone_text source = string(hone_json_get(row, "prediction"));
    for (size_t i = 0; i < 4; i++) {
        hone_text expected = string(hone_json_get(hone_json_get(row, "tokens"), names[i]));
        hone_text_buffer buffer = {0};
        const char *word;
        size_t at = 0, length;
        hone_error error;
        assert_int_equal(hone_text_buffer_set(&buffer, source.text, source.length, false, &error),
                         HONE_OK);
        assert_int_equal(hone_bleu_tokenize(hone_bleu_tokenizer_of(names[i]), &buffer, &error),
                         HONE_OK);
        while (hone_python_next_word(buffer.text, buffer.length, &at, &word, &length)) {
            assert_true(length <= expected.length);
            assert_memory_equal(word, expected.text, length);
            expected.text += length;
            expected.length -= length;
            if (expected.length > 0) {
                assert_int_equal(*expected.text++, ' ');
                expected.length--;
            }
        }
        assert_int_equal(expected.length, 0);
        hone_text_buffer_deinit(&buffer);
    }
}

static void tokens_are_those_of_sacrebleu(void **state)
{
    (void)state;
    each_row(check_tokens);
}

static void stems_are_those_of_nltk(void **state)
{
    (void)state;
    size_t size, count = 0;
    char *text = load(GOLDEN "stems.txt", &size);
    for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1, count++) {
        char *stem = strchr(line, ' ') + 1;
        *end = '\0';
        stem[-1] = '\0';
        char word[64];
        snprintf(word, sizeof word, "%s", line);
        word[hone_porter_stem(word, strlen(word))] = '\0';
        if (strcmp(word, stem) != 0)
            fail_msg("%s: %s, expected %s", line, word, stem);
    }
    assert_true(count > 100);
    hone_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rouge_is_that_of_rouge_score),
        cmocka_unit_test(bleu_is_that_of_sacrebleu),
        cmocka_unit_test(others_are_those_of_their_packages),
        cmocka_unit_test(tokens_are_those_of_sacrebleu),
        cmocka_unit_test(stems_are_those_of_nltk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
