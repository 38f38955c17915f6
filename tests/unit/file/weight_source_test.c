/* The one view of weights: which file of a folder is taken, shards and their index, hostile names
 * and files, and real models where they are at hand. */
#include "test_files.h"

#include "base/files.h"
#include "file/shard_index.h"

#include <hone/log.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define FIXTURES "tests/unit/file/fixtures/"

/* A new folder of that name, empty. */
static char *new_folder(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s", scratch(name));
    hone_error error;
    expect_ok(name, hone_folder_make(path, &error), &error);
    return path;
}

static const char *in(const char *folder, const char *name)
{
    static char paths[4][1024];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void save_text(const char *path, const char *text)
{
    bytes content = bytes_new(text, strlen(text));
    bytes_save(path, content);
    bytes_free(&content);
}

static void copy_file(const char *from, const char *to)
{
    bytes content = bytes_load(from);
    bytes_save(to, content);
    bytes_free(&content);
}

/* A safetensors file with one element tensors, named by the letters of `names`; element i is the
 * code of its letter. */
static void save_letters(const char *path, const char *names)
{
    float values[16];
    char texts[16][2];
    hone_tensor_out tensors[16];
    size_t count = strlen(names);
    for (size_t i = 0; i < count; i++) {
        texts[i][0] = names[i];
        texts[i][1] = '\0';
        values[i] = (float)names[i];
        tensors[i] =
            (hone_tensor_out){texts[i], HONE_F32, HONE_F32, 1, {1}, &values[i], NULL, NULL};
    }
    hone_error error;
    expect_ok(path, hone_safetensors_write(path, tensors, count, &error), &error);
}

static void check_letters(const char *path, const char *stem, const char *names)
{
    hone_weight_source *source;
    hone_error error;
    expect_ok(path, hone_weight_source_open(path, stem, &source, &error), &error);
    assert_int_equal(hone_weight_source_count(source), strlen(names));
    for (size_t i = 0; names[i] != '\0'; i++) {
        const hone_stored_tensor *tensor = hone_weight_source_at(source, i);
        assert_int_equal(tensor->name[0], names[i]);
        float value = 0;
        expect_ok(path, hone_weight_source_read(source, tensor, HONE_F32, &value, &error), &error);
        assert_true(value == (float)names[i]);
    }
    assert_null(hone_weight_source_at(source, strlen(names)));
    assert_null(hone_weight_source_find(source, "not there"));
    hone_weight_source_close(source);
}

static void expect_refusal(const char *what, const char *path, const char *stem, hone_status status,
                           const char *message)
{
    hone_weight_source *source;
    hone_error error = {0};
    expect_error(what, hone_weight_source_open(path, stem, &source, &error), &error, status,
                 message);
    assert_null(source);
}

static void takes_the_preferred_file_of_a_folder(void **state)
{
    (void)state;
    const char *folder = new_folder("preference");
    expect_refusal("an empty folder", folder, "model", HONE_IO,
                   "looked for model.safetensors, model.safetensors.index.json, "
                   "pytorch_model.bin, pytorch_model.bin.index.json");
    expect_refusal("an empty folder", folder, "adapter_model", HONE_IO,
                   "looked for adapter_model.safetensors, adapter_model.safetensors.index.json, "
                   "adapter_model.bin");
    expect_refusal("no folder", in(folder, "none"), "model", HONE_IO, "cannot open");

    /* From the least preferred to the most. */
    hone_weight_source *source;
    hone_error error;
    copy_file(FIXTURES "four.bin", in(folder, "shard.bin"));
    save_text(in(folder, "pytorch_model.bin.index.json"),
              "{\"weight_map\":{\"a\":\"shard.bin\",\"b\":\"shard.bin\",\"c\":\"shard.bin\","
              "\"d\":\"shard.bin\"}}");
    expect_ok("shards of .bin", hone_weight_source_open(folder, "model", &source, &error), &error);
    assert_int_equal(hone_weight_source_count(source), 4);
    hone_weight_source_close(source);
    copy_file(FIXTURES "plain.bin", in(folder, "pytorch_model.bin"));
    expect_ok(".bin", hone_weight_source_open(folder, "model", &source, &error), &error);
    assert_int_equal(hone_weight_source_count(source), 16);
    hone_weight_source_close(source);
    save_letters(in(folder, "model-1.safetensors"), "ab");
    save_text(in(folder, "model.safetensors.index.json"),
              "{\"weight_map\":{\"a\":\"model-1.safetensors\",\"b\":\"model-1.safetensors\"}}");
    check_letters(folder, "model", "ab");
    save_letters(in(folder, "model.safetensors"), "xyz");
    check_letters(folder, "model", "xyz");

    copy_file(FIXTURES "four.bin", in(folder, "adapter_model.bin"));
    expect_ok("adapter", hone_weight_source_open(folder, "adapter_model", &source, &error), &error);
    assert_int_equal(hone_weight_source_count(source), 4);
    hone_weight_source_close(source);
    save_letters(in(folder, "adapter_model.safetensors"), "q");
    check_letters(folder, "adapter_model", "q");
}

static void opens_a_file_by_its_ending(void **state)
{
    (void)state;
    const char *folder = new_folder("single");
    save_letters(in(folder, "some.safetensors"), "ba");
    check_letters(in(folder, "some.safetensors"), "model", "ab");
    copy_file(in(folder, "some.safetensors"), in(folder, "some.gguf"));
    expect_refusal("another ending", in(folder, "some.gguf"), "model", HONE_INPUT,
                   "expected a folder, a .safetensors file or a .bin file");
    copy_file(in(folder, "some.safetensors"), in(folder, "some.bin"));
    expect_refusal("a wrong ending", in(folder, "some.bin"), "model", HONE_INPUT,
                   "expected the zip that torch.save writes");
}

static void merges_shards(void **state)
{
    (void)state;
    const char *folder = new_folder("shards");
    save_letters(in(folder, "m-2.safetensors"), "db");
    save_letters(in(folder, "m-1.safetensors"), "ca");
    save_text(in(folder, "model.safetensors.index.json"),
              "{\"metadata\":{\"total_size\":16},\"weight_map\":{\"a\":\"m-1.safetensors\",\"d\":"
              "\"m-2.safetensors\",\"c\":\"m-1.safetensors\",\"b\":\"m-2.safetensors\"}}");
    check_letters(folder, "model", "abcd");
    hone_weight_source *source;
    hone_error error;
    expect_ok("opening", hone_weight_source_open(folder, "model", &source, &error), &error);
    assert_string_equal(hone_weight_source_metadata(source, "format"), "pt");
    assert_string_equal(hone_weight_source_find(source, "d")->file, in(folder, "m-2.safetensors"));
    hone_weight_source_close(source);
}

static void rejects_each_fault_of_an_index(void **state)
{
    (void)state;
    static const struct {
        const char *what, *index;
        hone_status status;
        const char *message;
    } cases[] = {
        {"an empty file", "", HONE_INPUT, "not valid JSON"},
        {"a list", "[]", HONE_INPUT, "object \"weight_map\""},
        {"no map", "{\"metadata\":{}}", HONE_INPUT, "object \"weight_map\""},
        {"a map that is a list", "{\"weight_map\":[]}", HONE_INPUT, "object \"weight_map\""},
        {"an empty map", "{\"weight_map\":{}}", HONE_INPUT, "weight_map is empty"},
        {"a number as file", "{\"weight_map\":{\"a\":1}}", HONE_INPUT,
         "'a': expected a file name, found an integer"},
        {"null as file", "{\"weight_map\":{\"a\":null}}", HONE_INPUT, "found null"},
        {"a name twice", "{\"weight_map\":{\"a\":\"s.safetensors\",\"a\":\"s.safetensors\"}}",
         HONE_INPUT, "not valid JSON"},
        {"a parent folder", "{\"weight_map\":{\"a\":\"../s.safetensors\"}}", HONE_INPUT,
         "in the same folder, found '../s.safetensors'"},
        {"an absolute path", "{\"weight_map\":{\"a\":\"/etc/s.safetensors\"}}", HONE_INPUT,
         "in the same folder"},
        {"a folder below", "{\"weight_map\":{\"a\":\"x/s.safetensors\"}}", HONE_INPUT,
         "in the same folder"},
        {"a backslash", "{\"weight_map\":{\"a\":\"x\\\\s.safetensors\"}}", HONE_INPUT,
         "in the same folder"},
        {"a hidden file", "{\"weight_map\":{\"a\":\".s.safetensors\"}}", HONE_INPUT,
         "in the same folder"},
        {"an empty name", "{\"weight_map\":{\"a\":\"\"}}", HONE_INPUT, "in the same folder"},
        {"the ending alone", "{\"weight_map\":{\"a\":\".safetensors\"}}", HONE_INPUT,
         "in the same folder"},
        {"another ending", "{\"weight_map\":{\"a\":\"s.bin\"}}", HONE_INPUT,
         "name of a .safetensors file"},
        {"NUL in a name", "{\"weight_map\":{\"a\":\"/etc\\u0000s.safetensors\"}}", HONE_INPUT,
         "in the same folder"},
        {"an absent shard", "{\"weight_map\":{\"a\":\"none.safetensors\"}}", HONE_IO,
         "cannot open"},
        {"a pipe", "{\"weight_map\":{\"a\":\"pipe.safetensors\"}}", HONE_INPUT,
         "expected a regular file, found a device, pipe or socket"},
        {"a link to a device", "{\"weight_map\":{\"a\":\"null.safetensors\"}}", HONE_INPUT,
         "expected a regular file"},
        {"a folder as shard", "{\"weight_map\":{\"a\":\"folder.safetensors\"}}", HONE_INPUT,
         "expected a regular file, found a folder"},
        {"a broken shard", "{\"weight_map\":{\"a\":\"broken.safetensors\"}}", HONE_INPUT,
         "header too small"},
        {"absent tensors",
         "{\"weight_map\":{\"a\":\"s.safetensors\",\"x\":\"s.safetensors\",\"y\":"
         "\"s.safetensors\"}}",
         HONE_INPUT, "not in their shards: 'x' in s.safetensors, 'y' in s.safetensors"},
        {"many absent tensors",
         "{\"weight_map\":{\"c\":\"s.safetensors\",\"d\":\"s.safetensors\",\"e\":\"s.safetensors\","
         "\"f\":\"s.safetensors\",\"g\":\"s.safetensors\",\"h\":\"s.safetensors\","
         "\"i\":\"s.safetensors\",\"j\":\"s.safetensors\",\"k\":\"s.safetensors\","
         "\"l\":\"s.safetensors\",\"m\":\"s.safetensors\",\"n\":\"s.safetensors\"}}",
         HONE_INPUT, "'l' in s.safetensors and 2 more"},
        {"a tensor of another shard",
         "{\"weight_map\":{\"a\":\"s.safetensors\",\"b\":\"s.safetensors\",\"c\":"
         "\"s.safetensors\",\"d\":\"t.safetensors\"}}",
         HONE_INPUT, "not in their shards: 'c' in s.safetensors"},
        {"a tensor in two shards",
         "{\"weight_map\":{\"a\":\"s.safetensors\",\"e\":\"u.safetensors\"}}", HONE_INPUT,
         "tensor 'a' is in"},
    };
    const char *folder = new_folder("index");
    save_letters(in(folder, "s.safetensors"), "ab");
    save_letters(in(folder, "t.safetensors"), "cd");
    save_letters(in(folder, "u.safetensors"), "ae");
    save_text(in(folder, "broken.safetensors"), "x");
    assert_int_equal(mkfifo(in(folder, "pipe.safetensors"), 0600), 0);
    assert_int_equal(mkdir(in(folder, "folder.safetensors"), 0700), 0);
    assert_int_equal(symlink("/dev/null", in(folder, "null.safetensors")), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        save_text(in(folder, "model.safetensors.index.json"), cases[i].index);
        expect_refusal(cases[i].what, folder, "model", cases[i].status, cases[i].message);
    }
}

static int warnings;
static char warning[1024];

static void count_warning(void *context, hone_log_level level, const char *message)
{
    (void)context;
    warnings += level == HONE_LOG_WARNING;
    snprintf(warning, sizeof warning, "%s", message);
}

static void remarks_on_tensors_beside_the_index(void **state)
{
    (void)state;
    const char *folder = new_folder("extra");
    save_letters(in(folder, "s.safetensors"), "abc");
    save_text(in(folder, "model.safetensors.index.json"),
              "{\"weight_map\":{\"b\":\"s.safetensors\"}}");
    hone_log_set(count_warning, NULL);
    check_letters(folder, "model", "abc");
    hone_log_set(NULL, NULL);
    assert_int_equal(warnings, 1);
    assert_non_null(strstr(warning, "2 tensors of its shards are not in the index"));
}

static void follows_links_as_the_hub_cache_makes_them(void **state)
{
    (void)state;
    const char *folder = new_folder("links");
    save_letters(in(folder, "blob"), "ab");
    assert_int_equal(symlink("blob", in(folder, "model.safetensors")), 0);
    check_letters(folder, "model", "ab");
    unlink(in(folder, "blob"));
    expect_refusal("a dangling link", folder, "model", HONE_IO, "cannot open");
}

static void reports_a_file_that_shrinks_after_opening(void **state)
{
    (void)state;
    static const float values[1000];
    const char *folder = new_folder("shrink"), *path = in(folder, "model.safetensors");
    const hone_tensor_out tensor = {"t", HONE_F32, HONE_F32, 1, {1000}, values, NULL, NULL};
    hone_weight_source *source;
    hone_error error = {0};
    expect_ok("writing", hone_safetensors_write(path, &tensor, 1, &error), &error);
    expect_ok("opening", hone_weight_source_open(path, "", &source, &error), &error);
    assert_int_equal(truncate(path, 2000), 0);
    float *target = take_memory(sizeof values);
    for (int to = 0; to < 2; to++)
        expect_error("reading",
                     hone_weight_source_read(source, hone_weight_source_at(source, 0),
                                             to == 0 ? HONE_F32 : HONE_BF16, target, &error),
                     &error, HONE_INPUT, "cut short");
    free(target);
    hone_weight_source_close(source);
}

static void converts_only_to_float_types(void **state)
{
    (void)state;
    bytes file = bytes_load(FIXTURES "reference.safetensors");
    hone_weight_source *source;
    hone_error error = {0};
    expect_ok("opening",
              hone_weight_source_borrow("x.safetensors", file.data, file.size, &source, &error),
              &error);
    uint16_t halves[6];
    float values[6];
    const hone_stored_tensor *plain = hone_weight_source_find(source, "plain");
    static const hone_dtype types[] = {HONE_F16, HONE_BF16};
    for (int t = 0; t < 2; t++) {
        expect_ok("plain", hone_weight_source_read(source, plain, types[t], halves, &error),
                  &error);
        hone_convert(types[t], halves, HONE_F32, values, 6);
        for (int i = 0; i < 6; i++)
            assert_true(values[i] == (float)(i + 1) / 4);
    }
    expect_error("to F64", hone_weight_source_read(source, plain, HONE_F64, values, &error), &error,
                 HONE_USAGE, "to be read as F64");
    const hone_stored_tensor *ids = hone_weight_source_find(source, "ids");
    expect_error("from I64", hone_weight_source_read(source, ids, HONE_F32, values, &error), &error,
                 HONE_INPUT, "'ids' is I64");
    hone_weight_source_close(source);
    bytes_free(&file);
}

enum { MANY = 70001 }; /* elements: more than are compared at a time */

static float many[2][MANY];

/* Tensors of one ramp, and of one that differs in its last element, in types that hold it. */
static void save_twins(const char *path)
{
    static const struct {
        const char *name;
        hone_dtype type;
        int64_t rows;
        int which;
    } twins[] = {{"f32", HONE_F32, MANY, 0},  {"f16", HONE_F16, MANY, 0},
                 {"bf16", HONE_BF16, 1, 1},   {"last", HONE_F32, MANY, 1},
                 {"row", HONE_F32, 1, 0},     {"short", HONE_F32, MANY - 1, 0},
                 {"again", HONE_F32, MANY, 0}};
    enum { COUNT = sizeof twins / sizeof *twins };
    hone_tensor_out tensors[COUNT];
    hone_error error;
    for (int i = 0; i < MANY; i++)
        many[0][i] = many[1][i] = (float)(i % 2048);
    many[1][MANY - 1] = 7;
    for (int i = 0; i < COUNT; i++)
        tensors[i] = (hone_tensor_out){.name = twins[i].name,
                                       .dtype = twins[i].type,
                                       .stored = HONE_F32,
                                       .dims = twins[i].rows == 1 ? 2 : 1,
                                       .shape = {twins[i].rows, MANY},
                                       .data = many[twins[i].which]};
    expect_ok(path, hone_safetensors_write(path, tensors, COUNT, &error), &error);
}

static void tells_equal_tensors(void **state)
{
    (void)state;
    static const struct {
        const char *file, *one, *other;
        bool equal;
    } cases[] = {
        {NULL, "f32", "f32", true},
        {NULL, "f32", "again", true},
        {NULL, "f32", "f16", true},
        {NULL, "f16", "f32", true},
        {NULL, "f32", "last", false},
        {NULL, "row", "bf16", false},
        {NULL, "f32", "row", false},
        {NULL, "f32", "short", false},
        {FIXTURES "plain.bin", "tied_a", "tied_b", true},
        {FIXTURES "deflated.bin", "tied_a", "tied_b", true},
        {FIXTURES "plain.bin", "tied_a", "tied_row", false},
        {FIXTURES "plain.bin", "transposed", "transposed", true},
        {FIXTURES "plain.bin", "empty", "empty", true},
        {FIXTURES "plain.bin", "ids", "ids", false},
        {FIXTURES "reference.safetensors", "ids", "mask", false},
    };
    char twins[512];
    snprintf(twins, sizeof twins, "%s", scratch("twins.safetensors"));
    save_twins(twins);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *file = cases[i].file != NULL ? cases[i].file : twins;
        hone_weight_source *source;
        hone_error error;
        bool equal;
        expect_ok(file, hone_weight_source_open(file, "", &source, &error), &error);
        const hone_stored_tensor *one = hone_weight_source_find(source, cases[i].one);
        const hone_stored_tensor *other = hone_weight_source_find(source, cases[i].other);
        assert_true(one != NULL && other != NULL);
        expect_ok(file, hone_weight_source_equal(source, one, other, &equal, &error), &error);
        if (equal != cases[i].equal)
            fail_msg("%s: %s and %s: %d", file, cases[i].one, cases[i].other, equal);
        hone_weight_source_close(source);
    }
}

static void survives_every_failed_allocation(void **state)
{
    (void)state;
    const char *folder = new_folder("memory");
    save_letters(in(folder, "s.safetensors"), "ab");
    save_letters(in(folder, "t.safetensors"), "cd");
    save_text(in(folder, "model.safetensors.index.json"),
              "{\"weight_map\":{\"a\":\"s.safetensors\",\"c\":\"t.safetensors\"}}");
    long n = 1;
    for (; n < 1000; n++) {
        hone_weight_source *source;
        hone_error error = {0};
        fail_allocation(n);
        hone_status status = hone_weight_source_open(folder, "model", &source, &error);
        assert_int_equal(status, fail_allocation(0) ? HONE_MEMORY : HONE_OK);
        hone_weight_source_close(source);
        if (status == HONE_OK)
            break;
    }
    assert_in_range(n, 10, 999);
}

static void opens_real_models(void **state)
{
    (void)state;
    const char *shared = getenv("HONE_SHARED") != NULL ? getenv("HONE_SHARED") : "../shared";
    /* Sums of all elements, from PyTorch. */
    static const struct {
        const char *folder;
        size_t tensors;
        const char *name;
        int64_t elements;
        double sum;
    } models[] = {
        {"models/tiny-gpt2", 76, "transformer.wte.weight", 0, 6238.16655778272},
        {"models/tiny-t5", 89, "shared.weight", 0, 1484.6087383298045},
        {"models/tiny-opt", 100, "model.decoder.embed_tokens.weight", 1572864, 3297.866317331791},
    };
    for (size_t m = 0; m < sizeof models / sizeof *models; m++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", shared, models[m].folder);
        if (access(path, R_OK) != 0) {
            printf("skipped: %s is not there\n", path);
            continue;
        }
        hone_weight_source *source;
        hone_error error;
        expect_ok(path, hone_weight_source_open(path, "model", &source, &error), &error);
        assert_int_equal(hone_weight_source_count(source), models[m].tensors);
        const hone_stored_tensor *first = hone_weight_source_find(source, models[m].name);
        assert_non_null(first);
        if (models[m].elements > 0)
            assert_int_equal(first->elements, models[m].elements);
        double sum = 0;
        for (size_t i = 0; i < models[m].tensors; i++) {
            const hone_stored_tensor *tensor = hone_weight_source_at(source, i);
            float *values = take_memory((size_t)tensor->elements * sizeof *values);
            expect_ok(tensor->name,
                      hone_weight_source_read(source, tensor, HONE_F32, values, &error), &error);
            for (int64_t k = 0; k < tensor->elements; k++)
                sum += (double)values[k];
            free(values);
        }
        assert_true(sum > models[m].sum - 1e-6 && sum < models[m].sum + 1e-6);
        hone_weight_source_close(source);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_the_preferred_file_of_a_folder),
        cmocka_unit_test(opens_a_file_by_its_ending),
        cmocka_unit_test(merges_shards),
        cmocka_unit_test(rejects_each_fault_of_an_index),
        cmocka_unit_test(remarks_on_tensors_beside_the_index),
        cmocka_unit_test(follows_links_as_the_hub_cache_makes_them),
        cmocka_unit_test(reports_a_file_that_shrinks_after_opening),
        cmocka_unit_test(converts_only_to_float_types),
        cmocka_unit_test(tells_equal_tensors),
        cmocka_unit_test(survives_every_failed_allocation),
        cmocka_unit_test(opens_real_models),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
