/* Presets name the keys of known data sets, give way to keys that are named, and read their rows.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "data/document_reader.h"
#include "data/preset.h"

#include <string.h>

static void presets_fill_what_is_as_by_default(void **state)
{
    (void)state;
    static const struct {
        const char *preset, *source, *target, *found_source, *found_target;
        bool allow_empty;
    } cases[] = {
        {"none", "source", "target", "source", "target", false},
        {"cnn_dailymail", "source", "target", "article", "highlights", false},
        {"cnn_dailymail", "text", "target", "text", "highlights", false},
        {"cnn_dailymail", "", "", "", "", false},
        {"imdb", "source", "target", "source", "target", false},
        {"wikitext", "source", "target", "source", "target", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_data_settings settings;
        hone_option_set set = hone_data_option_set(&settings);
        assert_int_equal(hone_options_init(&set, NULL), HONE_OK);
        const char *const values[][2] = {{"preset", cases[i].preset},
                                         {"source_field", cases[i].source},
                                         {"target_field", cases[i].target}};
        for (size_t v = 0; v < 3; v++)
            assert_int_equal(hone_options_set_text(&set, 1, values[v][0], values[v][1], "", NULL),
                             HONE_OK);
        hone_data_settings found = hone_data_preset_apply(&settings);
        assert_string_equal(found.source_field != NULL ? found.source_field : "",
                            cases[i].found_source);
        assert_string_equal(found.target_field != NULL ? found.target_field : "",
                            cases[i].found_target);
        assert_true(found.allow_empty == cases[i].allow_empty);
        hone_options_deinit(&set);
    }
}

static void rows_of_cnn_dailymail_are_pairs(void **state)
{
    (void)state;
    static const char row[] =
        "{\"id\": \"1\", \"article\": \"long\", \"highlights\": \"short\", \"text\": \"other\"}";
    hone_data_settings settings;
    hone_option_set set = hone_data_option_set(&settings);
    assert_int_equal(hone_options_init(&set, NULL), HONE_OK);
    assert_int_equal(hone_options_set_text(&set, 1, "preset", "cnn_dailymail", "", NULL), HONE_OK);
    assert_int_equal(hone_options_set_text(&set, 1, "prompt_template", "sum: {source}", "", NULL),
                     HONE_OK);
    hone_document_reader reader;
    hone_record record = {0};
    assert_int_equal(hone_document_reader_init(&reader, &settings, false, NULL), HONE_OK);
    assert_int_equal(hone_record_read(&reader, row, strlen(row), "f", 1, 10, &record, NULL),
                     HONE_OK);
    assert_int_equal(record.form, HONE_RECORD_PAIR);
    assert_memory_equal(record.source, "sum: long", record.source_length);
    assert_memory_equal(record.text, "short", record.text_length);
    hone_record_deinit(&record);
    hone_document_reader_deinit(&reader);
    hone_options_deinit(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(presets_fill_what_is_as_by_default),
        cmocka_unit_test(rows_of_cnn_dailymail_are_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
