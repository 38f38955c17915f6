/* Options: strict values, near names, lists with regular expressions, files that read back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/files.h"
#include "base/memory.h"
#include "base/random.h"

#include <hone/settings.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct all_settings {
    hone_model_settings model;
    hone_adapter_settings adapter;
    hone_data_settings data;
    hone_train_settings train;
    hone_generate_settings generate;
    hone_option_set sets[5];
} all_settings;

enum { SETS = 5 };

static void init(all_settings *all)
{
    all->sets[0] = hone_model_option_set(&all->model);
    all->sets[1] = hone_adapter_option_set(&all->adapter);
    all->sets[2] = hone_data_option_set(&all->data);
    all->sets[3] = hone_train_option_set(&all->train);
    all->sets[4] = hone_generate_option_set(&all->generate);
    for (size_t i = 0; i < SETS; i++) {
        hone_error error;
        if (hone_options_init(&all->sets[i], &error) != HONE_OK)
            fail_msg("%s", error.message);
    }
}

static void deinit(all_settings *all)
{
    for (size_t i = 0; i < SETS; i++)
        hone_options_deinit(&all->sets[i]);
}

static hone_status set(all_settings *all, const char *key, const char *text, hone_error *error)
{
    return hone_options_set_text(all->sets, SETS, key, text, key, error);
}

static void defaults_are_those_of_the_table(void **state)
{
    (void)state;
    all_settings all;
    init(&all);
    assert_null(all.model.model);
    assert_string_equal(all.model.compute, "f32");
    assert_int_equal(all.adapter.r, 8);
    assert_true(all.train.learning_rate == 2e-4);
    assert_true(all.data.shuffle);
    assert_false(all.adapter.use_rslora);
    assert_int_equal(all.adapter.target_modules.count, 0);
    assert_true(all.train.model_dropout == -1);
    deinit(&all);
}

static void keys_are_unique_over_all_sets(void **state)
{
    (void)state;
    all_settings all;
    init(&all);
    for (size_t s = 0; s < SETS; s++)
        for (size_t i = 0; i < all.sets[s].count; i++)
            assert_ptr_equal(hone_options_find(all.sets, SETS, all.sets[s].options[i].key, NULL),
                             &all.sets[s].options[i]);
    deinit(&all);
}

static void values_outside_the_grammar_or_range_are_refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"r", "8x"},
        {"r", ""},
        {"r", " 8"},
        {"r", "8.0"},
        {"r", "0x10"},
        {"r", "0"},
        {"r", "65537"},
        {"r", "99999999999999999999999"},
        {"learning_rate", "1e-4x"},
        {"learning_rate", "nan"},
        {"learning_rate", "inf"},
        {"learning_rate", "0x1p-3"},
        {"learning_rate", "1e999"},
        {"learning_rate", "-1e-9"},
        {"learning_rate", "."},
        {"learning_rate", "1e"},
        {"learning_rate", "1,5"},
        {"shuffle", "yes"},
        {"shuffle", ""},
        {"compute", "f16"},
        {"compute", "f3"},
        {"compute", ""},
        {"compute", "f32|bf16"},
        {"model", "\xff\xfe"},
        {"model", "\xed\xa0\x80"},
        {"target_modules", "a,,b"},
        {"target_modules", "a,"},
        {"rank_pattern", "a"},
        {"rank_pattern", "a=x"},
        {"rank_pattern", "=4"},
        {"rank_pattern", "a=1,a=2"},
        {"rank_pattern", "{\"a\":\"b\"}"},
        {"no_such", "1"},
    };
    all_settings all;
    init(&all);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_error error;
        hone_status status = set(&all, cases[i][0], cases[i][1], &error);
        print_message("%s\n", error.message);
        assert_int_equal(status, HONE_USAGE);
        assert_memory_equal(error.message, cases[i][0], strlen(cases[i][0]));
    }
    /* What was refused changed nothing. */
    assert_int_equal(all.adapter.r, 8);
    assert_string_equal(all.model.compute, "f32");
    deinit(&all);
}

static void values_are_accepted_as_people_write_them(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"learning-rate", "1e-4", "0.0001"},
        {"learning_rate", ".5", "0.5"},
        {"learning_rate", "5.", "5"},
        {"learning_rate", "0.1", "0.1"},
        {"learning_rate", "+1E-3", "0.001"},
        {"epochs", "0", "0"},
        {"lora_alpha", "1e3", "1000"},
        {"seed", "9007199254740991", "9007199254740991"},
        {"use-rslora", "True", "true"},
        {"init_lora_weights", "False", "false"},
        {"compute", "BF16", "bf16"},
        {"model", "", ""},
        {"model", "models/a b", "models/a b"},
        {"stop", "a, b", "a, b"},
        {"target_modules", "", ""},
        {"target_modules", "c_attn, c_proj", "c_attn,c_proj"},
        {"target_modules", ".*\\.(q|v)_proj", ".*\\.(q|v)_proj"},
        {"target_modules", "h\\.\\d{1,2}\\.attn", "h\\.\\d{1,2}\\.attn"},
        {"target_modules", "[\"a\",\"b,c\"]", "[\"a\",\"b,c\"]"},
        {"target_modules", "[ab]_proj", "[\"[ab]_proj\"]"},
        {"rank_pattern", "a=4,b=16", "a=4,b=16"},
        {"rank_pattern", "h\\.\\d{1,2}\\.x=4,y=2.5", "{\"h\\\\.\\\\d{1,2}\\\\.x\":4.0,\"y\":2.5}"},
    };
    all_settings all;
    init(&all);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_error error;
        if (set(&all, cases[i][0], cases[i][1], &error) != HONE_OK)
            fail_msg("%s", error.message);
        const hone_option_set *owner;
        const hone_option *option = hone_options_find(all.sets, SETS, cases[i][0], &owner);
        char *text = hone_options_get_text(owner, option);
        assert_string_equal(text, cases[i][2]);
        assert_int_equal(set(&all, cases[i][0], text, &error), HONE_OK);
        char *again = hone_options_get_text(owner, option);
        assert_string_equal(text, again);
        hone_options_free_text(again);
        hone_options_free_text(text);
    }
    assert_int_equal(all.adapter.target_modules.count, 1);
    assert_int_equal(all.adapter.rank_pattern.count, 2);
    assert_string_equal(all.adapter.rank_pattern.keys[0], "h\\.\\d{1,2}\\.x");
    deinit(&all);
}

static void numbers_do_not_depend_on_the_locale(void **state)
{
    (void)state;
    if (setlocale(LC_NUMERIC, "de_DE.UTF-8") == NULL)
        print_message("notice: no de_DE locale here, only C was tried\n");
    all_settings all;
    init(&all);
    assert_true(all.train.learning_rate == 2e-4);
    assert_int_equal(set(&all, "learning_rate", "0.25", NULL), HONE_OK);
    assert_true(all.train.learning_rate == 0.25);
    deinit(&all);
    setlocale(LC_NUMERIC, "C");
}

static void repeated_list_flags_append(void **state)
{
    (void)state;
    all_settings all;
    init(&all);
    assert_int_equal(set(&all, "target_modules", "a", NULL), HONE_OK);
    assert_int_equal(hone_options_add_text(all.sets, SETS, "target_modules", "b,c", "", NULL),
                     HONE_OK);
    assert_int_equal(hone_options_add_text(all.sets, SETS, "r", "4", "", NULL), HONE_OK);
    static const char *const kept[] = {"[\"a\",\"b\"]", "", "x, y"};
    hone_options_set_text(all.sets, SETS, "stop", "", "", NULL);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(hone_options_add_item(all.sets, SETS, "stop", kept[i], "", NULL), HONE_OK);
    assert_int_equal(all.generate.stop.count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(all.generate.stop.items[i], kept[i]);
    assert_int_equal(hone_options_add_item(all.sets, SETS, "no_such", "x", "", NULL), HONE_USAGE);
    assert_int_equal(all.adapter.target_modules.count, 3);
    assert_string_equal(all.adapter.target_modules.items[2], "c");
    assert_int_equal(all.adapter.r, 4);
    deinit(&all);
}

static void a_misspelt_key_names_the_nearest(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"lerning_rate", "learning_rate"},
        {"learning-rte", "learning_rate"},
        {"targetmodules", "target_modules"},
        {"warmup", "warmup_ratio"},
        {"max_seq_length", "max_length"},
        {"gradient_acumulation_step", "gradient_accumulation_steps"},
        {"epcohs", "epochs"},
        {"zzzzzzzz", NULL},
        {"", NULL},
        {"alpha", "lora_alpha"},
    };
    all_settings all;
    init(&all);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *near = hone_options_nearest(all.sets, SETS, cases[i][0]);
        if (cases[i][1] == NULL)
            assert_null(near);
        else if (near == NULL)
            fail_msg("nothing near %s", cases[i][0]);
        else
            assert_string_equal(near, cases[i][1]);
    }
    char longest[5000];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_null(hone_options_nearest(all.sets, SETS, longest));
    deinit(&all);
}

static char path[64];

static int make_path(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "/tmp/hone-options-XXXXXX");
    int descriptor = mkstemp(path);
    if (descriptor < 0)
        return 1;
    close(descriptor);
    return 0;
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

static hone_status load(all_settings *all, const char *text, hone_error *error)
{
    assert_int_equal(hone_file_write(path, text, strlen(text), NULL), HONE_OK);
    return hone_options_load(all->sets, SETS, path, error);
}

static void a_file_sets_scalars_lists_and_maps(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "# a run\n---\nmodel: models/tiny\nr: 16\nlearning-rate: 1e-4\n"
        "target_modules: [c_attn, \"a,b\"]\nrank_pattern:\n  h.0: 4\n  '{x': 2.5\n"
        "use_rslora: true\nvalid:\nstop: null\nlayers_to_transform:\n- 0\n- 1\n",
        "{\"model\": \"models/tiny\", \"r\": 16, \"learning_rate\": 0.0001,\n"
        "\t\"target_modules\": [\"c_attn\", \"a,b\"], \"rank_pattern\": {\"h.0\": 4, \"{x\": 2.5},"
        " \"use_rslora\": true, \"valid\": null, \"layers_to_transform\": [0, 1]}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        all_settings all;
        init(&all);
        hone_error error;
        if (load(&all, texts[i], &error) != HONE_OK)
            fail_msg("%lld %s", (long long)error.line, error.message);
        assert_string_equal(all.model.model, "models/tiny");
        assert_int_equal(all.adapter.r, 16);
        assert_true(all.train.learning_rate == 1e-4);
        assert_int_equal(all.adapter.target_modules.count, 2);
        assert_string_equal(all.adapter.target_modules.items[1], "a,b");
        assert_int_equal(all.adapter.rank_pattern.count, 2);
        assert_string_equal(all.adapter.rank_pattern.keys[1], "{x");
        assert_true(all.adapter.rank_pattern.values[1] == 2.5);
        assert_true(all.adapter.use_rslora);
        assert_null(all.train.valid);
        assert_string_equal(all.adapter.layers_to_transform.items[1], "1");
        deinit(&all);
    }
}

static void a_broken_file_is_refused_with_its_lines(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t line;
        const char *says, *says_too;
    } cases[] = {
        {"r: 8\nlerning_rate: 1\n", 2, "did you mean learning_rate", NULL},
        {"r: 8\n\nx: 1\nepochs: -1\n", 3, "'x'", ":4: epochs: expected a number from 0"},
        {"r: 8\nr: 9\n", 2, "twice", "line 1"},
        {"max_length: 8\nmax-length: 9\n", 2, "twice", "line 1"},
        {"r: &a 8\nlora_alpha: *a\n", 1, "anchor", NULL},
        {"r: !!int 8\n", 1, "tags", NULL},
        {"target_modules: !x [a]\n", 1, "tags", NULL},
        {"r: [8]\n", 1, "expected an integer, found a list", NULL},
        {"r: {a: 8}\n", 1, "found a mapping", NULL},
        {"r:\n", 1, "found nothing", NULL},
        {"compute: null\n", 1, "found nothing", NULL},
        {"target_modules: [a, [b]]\n", 1, "nested", NULL},
        {"target_modules: [a, ~]\n", 1, "empty", NULL},
        {"rank_pattern: {a: {b: 1}}\n", 1, "nested", NULL},
        {"rank_pattern: {a: 1, a: 2}\n", 1, "twice", NULL},
        {"rank_pattern: {a: x}\n", 1, "expected a number", NULL},
        {"? [a]\n: 1\n", 1, "as the key", NULL},
        {"- r\n", 1, "key: value", NULL},
        {"hello\n", 1, "key: value", NULL},
        {"r: 8\n---\nr: 9\n", 2, "second", NULL},
        {"model: \"a\\0b\"\n", 1, "zero byte", NULL},
        {"r: 8\n\tq: 1\n", 2, "not valid YAML", NULL},
        {"model: \"abc\n", 2, "not valid YAML", NULL},
        {"model: \xff\xfe\n", -1, "not valid YAML", NULL},
    };
    all_settings all;
    init(&all);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_error error;
        hone_status status = load(&all, cases[i].text, &error);
        print_message("%lld: %s\n", (long long)error.line, error.message);
        assert_int_equal(status, HONE_INPUT);
        assert_string_equal(error.file, path);
        assert_int_equal(error.line, cases[i].line);
        assert_non_null(strstr(error.message, cases[i].says));
        if (cases[i].says_too != NULL)
            assert_non_null(strstr(error.message, cases[i].says_too));
    }
    assert_int_equal(load(&all, "", NULL), HONE_OK);
    assert_int_equal(load(&all, "# nothing\n", NULL), HONE_OK);
    assert_int_equal(load(&all, "---\n...\n", NULL), HONE_OK);
    char deep[20001];
    memset(deep, '[', 20000);
    deep[20000] = '\0';
    assert_int_equal(load(&all, deep, NULL), HONE_INPUT);
    assert_int_equal(hone_options_load(all.sets, SETS, "/nonexistent.yaml", NULL), HONE_IO);
    deinit(&all);
}

/* A text that YAML could mistake for something else. */
static void random_text(hone_random_key key, uint64_t *index, char *text)
{
    static const char *const parts[] = {"a",
                                        "Z",
                                        "0",
                                        "-",
                                        ":",
                                        " ",
                                        "#",
                                        ",",
                                        "[",
                                        "]",
                                        "{",
                                        "}",
                                        "\"",
                                        "'",
                                        "\\",
                                        "\n",
                                        "\t",
                                        "&",
                                        "*",
                                        "!",
                                        "|",
                                        ">",
                                        "%",
                                        "@",
                                        "`",
                                        "null",
                                        "true",
                                        "~",
                                        "1e5",
                                        "é",
                                        "\r",
                                        "\x7f",
                                        "\x01",
                                        "\xc2\x85",
                                        "\xe2\x80\xa8",
                                        "\xef\xbb\xbf",
                                        "\xf0\x9f\x98\x80",
                                        "=",
                                        "?",
                                        ".",
                                        "- ",
                                        ": ",
                                        " #",
                                        "\x1b",
                                        "\xef\xbf\xbe"};
    size_t count = 1 + hone_random_below(key, (*index)++, 12);
    text[0] = '\0';
    for (size_t i = 0; i < count; i++)
        strcat(text, parts[hone_random_below(key, (*index)++, sizeof parts / sizeof *parts)]);
}

static double random_real(hone_random_key key, uint64_t *index, double low, double high)
{
    double u = hone_random_uniform(key, (*index)++);
    double value = low + (high - low) * pow(u, 1 + (double)hone_random_below(key, (*index)++, 30));
    return value < low ? low : value > high ? high : value;
}

static void fill_randomly(all_settings *all, hone_random_key key)
{
    uint64_t index = 0;
    for (size_t s = 0; s < SETS; s++)
        for (size_t i = 0; i < all->sets[s].count; i++) {
            const hone_option *option = &all->sets[s].options[i];
            char *field = (char *)all->sets[s].object + option->offset, text[256];
            size_t count = hone_random_below(key, index++, 4);
            if (option->type == HONE_OPTION_BOOL) {
                *(bool *)(void *)field = count > 1;
            } else if (option->type == HONE_OPTION_INTEGER) {
                *(int64_t *)(void *)field =
                    (int64_t)random_real(key, &index, option->minimum, option->maximum);
            } else if (option->type == HONE_OPTION_REAL) {
                *(double *)(void *)field =
                    random_real(key, &index, option->minimum, option->maximum);
            } else if (option->type == HONE_OPTION_STRING && option->choices == NULL) {
                random_text(key, &index, text);
                assert_int_equal(set(all, option->key, count > 0 ? text : "", NULL), HONE_OK);
            } else if (option->type == HONE_OPTION_LIST) {
                hone_list *list = (hone_list *)(void *)field;
                list->items = hone_alloc_array(count, sizeof *list->items);
                list->count = count;
                for (size_t n = 0; n < count; n++) {
                    random_text(key, &index, text);
                    list->items[n] = hone_strdup(text);
                }
            } else if (option->type == HONE_OPTION_MAP) {
                hone_map *map = (hone_map *)(void *)field;
                map->keys = hone_alloc_array(count, sizeof *map->keys);
                map->values = hone_alloc_array(count, sizeof *map->values);
                map->count = count;
                for (size_t n = 0; n < count; n++) {
                    random_text(key, &index, text);
                    sprintf(text + strlen(text), "%zu", n);
                    map->keys[n] = hone_strdup(text);
                    map->values[n] = random_real(key, &index, -1e30, 1e30);
                }
            }
        }
}

static void assert_same_value(const hone_option *option, const void *a, const void *b)
{
    if (option->type == HONE_OPTION_REAL) {
        assert_memory_equal(a, b, sizeof(double));
    } else if (option->type == HONE_OPTION_LIST) {
        const hone_list *x = a, *y = b;
        assert_int_equal(x->count, y->count);
        for (size_t i = 0; i < x->count; i++)
            assert_string_equal(x->items[i], y->items[i]);
    } else if (option->type == HONE_OPTION_MAP) {
        const hone_map *x = a, *y = b;
        assert_int_equal(x->count, y->count);
        for (size_t i = 0; i < x->count; i++) {
            assert_string_equal(x->keys[i], y->keys[i]);
            assert_true(x->values[i] == y->values[i]);
        }
    } else if (option->type == HONE_OPTION_STRING) {
        const char *x = *(char *const *)a, *y = *(char *const *)b;
        assert_int_equal(x == NULL, y == NULL);
        if (x != NULL)
            assert_string_equal(x, y);
    } else if (option->type == HONE_OPTION_INTEGER) {
        assert_true(*(const int64_t *)a == *(const int64_t *)b);
    } else {
        assert_int_equal(*(const bool *)a, *(const bool *)b);
    }
}

static void saved_values_read_back_to_the_same(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 100; round++) {
        all_settings saved, read;
        init(&saved);
        init(&read);
        fill_randomly(&saved, (hone_random_key){7, 0, round});
        hone_error error;
        if (hone_options_save(saved.sets, SETS, path, &error) != HONE_OK ||
            hone_options_load(read.sets, SETS, path, &error) != HONE_OK)
            fail_msg("round %u: line %lld: %s", round, (long long)error.line, error.message);
        for (size_t s = 0; s < SETS; s++)
            for (size_t i = 0; i < saved.sets[s].count; i++) {
                const hone_option *option = &saved.sets[s].options[i];
                char *field = (char *)read.sets[s].object + option->offset;
                const char *original = (char *)saved.sets[s].object + option->offset;
                assert_same_value(option, original, field);
                /* The same through the text of a flag. */
                char *text = hone_options_get_text(&saved.sets[s], option);
                if (set(&read, option->key, text, &error) != HONE_OK)
                    fail_msg("%s: %s", text, error.message);
                assert_same_value(option, original, field);
                hone_options_free_text(text);
            }
        deinit(&saved);
        deinit(&read);
    }
}

static size_t allocations_left;

static void *failing(void *context, void *block, size_t old_size, size_t new_size)
{
    (void)context;
    (void)old_size;
    if (new_size == 0) {
        free(block);
        return NULL;
    }
    if (allocations_left == 0)
        return NULL;
    allocations_left--;
    return realloc(block, new_size);
}

static hone_status use_everything(const char *file)
{
    all_settings all;
    memset(&all, 0, sizeof all);
    all.sets[0] = hone_model_option_set(&all.model);
    all.sets[1] = hone_adapter_option_set(&all.adapter);
    all.sets[2] = hone_data_option_set(&all.data);
    all.sets[3] = hone_train_option_set(&all.train);
    all.sets[4] = hone_generate_option_set(&all.generate);
    hone_status status = HONE_OK;
    size_t ready = 0;
    while (status == HONE_OK && ready < SETS)
        if ((status = hone_options_init(&all.sets[ready], NULL)) == HONE_OK)
            ready++;
    if (status == HONE_OK)
        status = hone_options_load(all.sets, SETS, file, NULL);
    if (status == HONE_OK)
        status = hone_options_add_text(all.sets, SETS, "target_modules", "[\"x\",\"y\"]", "", NULL);
    if (status == HONE_OK)
        status = hone_options_set_text(all.sets, SETS, "alpha_pattern", "{\"x\":1}", "", NULL);
    if (status == HONE_OK)
        status = hone_options_save(all.sets, SETS, path, NULL);
    while (ready > 0)
        hone_options_deinit(&all.sets[--ready]);
    return status;
}

static void running_out_of_memory_is_told_as_such(void **state)
{
    (void)state;
    char file[80];
    snprintf(file, sizeof file, "%s.in", path);
    static const char text[] = "model: a\ntarget_modules: [a, b]\nrank_pattern: {a: 1, b: 2}\n";
    assert_int_equal(hone_file_write(file, text, sizeof text - 1, NULL), HONE_OK);
    const hone_allocator allocator = {failing, NULL, NULL, NULL};
    hone_memory_set_allocator(&allocator);
    size_t n = 0;
    for (;; n++) {
        allocations_left = n;
        hone_status status = use_everything(file);
        allocations_left = SIZE_MAX;
        if (status == HONE_OK)
            break;
        if (status != HONE_MEMORY)
            fail_msg("allocation %zu: %s", n, hone_status_name(status));
    }
    assert_true(n > 50);
    hone_memory_set_allocator(NULL);
    unlink(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_those_of_the_table),
        cmocka_unit_test(keys_are_unique_over_all_sets),
        cmocka_unit_test(values_outside_the_grammar_or_range_are_refused),
        cmocka_unit_test(values_are_accepted_as_people_write_them),
        cmocka_unit_test(numbers_do_not_depend_on_the_locale),
        cmocka_unit_test(repeated_list_flags_append),
        cmocka_unit_test(a_misspelt_key_names_the_nearest),
        cmocka_unit_test(a_file_sets_scalars_lists_and_maps),
        cmocka_unit_test(a_broken_file_is_refused_with_its_lines),
        cmocka_unit_test(saved_values_read_back_to_the_same),
        cmocka_unit_test(running_out_of_memory_is_told_as_such),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
