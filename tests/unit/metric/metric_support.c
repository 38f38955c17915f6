#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "metric_support.h"

hone_text text_of(const char *text)
{
    return (hone_text){text, strlen(text)};
}

hone_scorer *make_scorer(const char *const *options)
{
    hone_score_settings settings;
    hone_option_set set = hone_score_option_set(&settings);
    hone_error error;
    hone_scorer *scorer;
    assert_int_equal(hone_options_init(&set, &error), HONE_OK);
    for (; *options != NULL; options++) {
        char key[64];
        size_t length = strcspn(*options, "=");
        snprintf(key, sizeof key, "%.*s", (int)length, *options);
        assert_int_equal(hone_options_set_text(&set, 1, key, *options + length + 1, key, &error),
                         HONE_OK);
    }
    if (hone_scorer_create(&settings, &scorer, &error) != HONE_OK)
        fail_msg("%s", error.message);
    hone_options_deinit(&set);
    return scorer;
}

void add_row(hone_scorer *scorer, const char *prediction, const char *reference)
{
    hone_error error;
    hone_text references[] = {text_of(reference)};
    assert_int_equal(hone_scorer_add(scorer, text_of(prediction), references, 1, &error), HONE_OK);
}

hone_score result_of(hone_scorer *scorer, const char *name)
{
    hone_score score;
    hone_error error;
    int64_t index = hone_scorer_find(scorer, name);
    assert_true(index >= 0);
    assert_int_equal(hone_scorer_result(scorer, (size_t)index, &score, &error), HONE_OK);
    assert_string_equal(score.name, name);
    return score;
}
