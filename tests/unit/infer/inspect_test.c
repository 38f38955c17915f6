/* Folders and files are told apart and described from their headers, hostile names included. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/files.h"
#include "base/json.h"
#include "base/memory.h"
#include "file/weight_source.h"

#include <hone/inspect.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char folder[64];

static const char *in(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/hone-inspect-XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int remove_folder(void **state)
{
    (void)state;
    return hone_folder_remove(folder, NULL) != HONE_OK;
}

static void write_text(const char *name, const char *text)
{
    assert_int_equal(hone_file_write(in(name), text, strlen(text), NULL), HONE_OK);
}

/* Two layers, a tensor apart, and a name that would steer a terminal. */
static void write_tensors(const char *name)
{
    static const float data[24];
    const hone_tensor_out tensors[] = {
        {.name = "h.0.w", .dtype = HONE_F32, .dims = 2, .shape = {2, 3}, .data = data},
        {.name = "h.1.w", .dtype = HONE_F32, .dims = 2, .shape = {2, 3}, .data = data},
        {.name = "h.2.w", .dtype = HONE_F32, .dims = 2, .shape = {3, 3}, .data = data},
        {.name = "\x1b[2J10.x", .dtype = HONE_BF16, .dims = 1, .shape = {5}, .data = data},
    };
    hone_error error;
    if (hone_safetensors_write(in(name), tensors, 4, &error) != HONE_OK)
        fail_msg("%s", error.message);
}

static void tensors_that_look_alike_share_a_line(void **state)
{
    (void)state;
    write_tensors("x.safetensors");
    char *text;
    assert_int_equal(hone_inspect(in("x.safetensors"), false, &text, NULL), HONE_OK);
    print_message("%s", text);
    assert_non_null(strstr(text, "tensors     4\n"));
    assert_non_null(strstr(text, "  h.*.w        2 x F32 [2,3]\n"));
    assert_non_null(strstr(text, "  h.*.w            F32 [3,3]\n"));
    assert_non_null(strstr(text, "  ?[2J10.x         BF16 [5]\n"));
    assert_non_null(strstr(text, "bytes       94\n"));
    assert_null(strchr(text, '\x1b'));
    hone_inspect_free(text);
}

static void json_lists_every_tensor(void **state)
{
    (void)state;
    assert_int_equal(hone_folder_make(in("adapter"), NULL), HONE_OK);
    write_text("adapter/adapter_config.json", "{\"peft_type\":\"LORA\",\"r\":4}");
    write_tensors("adapter/adapter_model.safetensors");
    char *text;
    hone_json *tree;
    int64_t number;
    assert_int_equal(hone_inspect(in("adapter"), true, &text, NULL), HONE_OK);
    assert_int_equal(hone_json_parse(text, strlen(text), "", 1, &tree, NULL), HONE_OK);
    assert_string_equal(hone_json_string(hone_json_get(tree, "kind"), NULL), "adapter");
    assert_true(hone_json_integer(hone_json_get(hone_json_get(tree, "config"), "r"), &number));
    assert_int_equal(number, 4);
    assert_true(hone_json_integer(hone_json_get(tree, "elements"), &number));
    assert_int_equal(number, 6 + 6 + 9 + 5);
    assert_int_equal(hone_json_size(hone_json_get(tree, "tensors")), 4);
    hone_json_free(tree);
    hone_inspect_free(text);
}

static void what_is_broken_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *file, *text, *inspected;
        hone_status status;
    } cases[] = {
        {"a/config.json", "{", "a", HONE_INPUT},
        {"b/config.yaml", "a: &b 1", "b", HONE_INPUT},
        {"c/adapter_config.json", "{}", "c", HONE_IO},
        {"d/nothing", "", "d", HONE_INPUT},
        {"e/e.safetensors", "junk", "e/e.safetensors", HONE_INPUT},
        {"f/nothing", "", "f/missing", HONE_IO},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char name[2] = {cases[i].file[0], '\0'};
        assert_int_equal(hone_folder_make(in(name), NULL), HONE_OK);
        write_text(cases[i].file, cases[i].text);
        char *text;
        hone_error error;
        hone_status status = hone_inspect(in(cases[i].inspected), false, &text, &error);
        print_message("%s\n", error.message);
        assert_int_equal(status, cases[i].status);
        assert_null(text);
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

static void running_out_of_memory_is_told_as_such(void **state)
{
    (void)state;
    assert_int_equal(hone_folder_make(in("m/run/checkpoints/step-1"), NULL), HONE_OK);
    write_text("m/config.json", "{\"model_type\":\"gpt2\"}");
    write_tensors("m/model.safetensors");
    write_text("m/run/config.yaml", "a: 1\nb: [x, y]\nc: {d: 1}\n");
    write_text("m/run/log.jsonl", "{\"step\":1}\n");
    write_text("m/run/summary.json", "{\"steps\":1}");
    static const char *const paths[] = {"m", "m/run"};
    const hone_allocator allocator = {failing, NULL, NULL, NULL};
    for (size_t i = 0; i < 4; i++) {
        hone_memory_set_allocator(&allocator);
        size_t n = 0;
        for (;; n++) {
            char *text;
            hone_error error;
            allocations_left = n;
            hone_status status = hone_inspect(in(paths[i / 2]), i % 2, &text, &error);
            allocations_left = SIZE_MAX;
            hone_inspect_free(text);
            if (status == HONE_OK)
                break;
            if (status != HONE_MEMORY)
                fail_msg("allocation %zu: %s", n, error.message);
        }
        assert_true(n > 10);
        hone_memory_set_allocator(NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_that_look_alike_share_a_line),
        cmocka_unit_test(json_lists_every_tensor),
        cmocka_unit_test(what_is_broken_is_refused),
        cmocka_unit_test(running_out_of_memory_is_told_as_such),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
