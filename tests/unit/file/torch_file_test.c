/* .bin files of torch.save: files that PyTorch wrote, pickles made by hand, one fault each, and
 * archives that are cut or damaged. */
#include "test_files.h"

#include "file/torch_pickle.h"
#include "file/zip_archive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define FIXTURES "tests/unit/file/fixtures/"

/* Pickle, piece by piece. */
#define TEXT1(text) "X\1\0\0\0" text
#define STORAGE(type, key, count)                                                                  \
    "(X\7\0\0\0storage"                                                                            \
    "ctorch\n" type "\n" TEXT1(key) "X\3\0\0\0cpu" count "tQ"
#define FLOATS STORAGE("FloatStorage", "0", "K\6")
#define ORDERED "ccollections\nOrderedDict\n)R"
#define REBUILD "ctorch._utils\n_rebuild_tensor_v2\n"
#define TENSOR(storage, offset, size, stride)                                                      \
    REBUILD "(" storage offset size stride "\x89" ORDERED "tR"
#define VECTOR TENSOR(FLOATS, "K\0", "K\6\x85", "K\1\x85")
#define SHAPED(size, stride) ITEM(TENSOR(FLOATS, "K\0", size, stride))
#define DICT(body) "\x80\2}(" body "u."
#define ITEM(value) DICT(TEXT1("a") value)

typedef struct pickle_case {
    const char *what;
    const char *pickle;
    size_t size;
    const char *message;
} pickle_case;

#define CASE(what, pickle, message)                                                                \
    {                                                                                              \
        what, pickle, sizeof(pickle) - 1, message                                                  \
    }

static const float six[6] = {0, 1, 2, 3, 4, 5};

static hone_status open_pickle(const char *pickle, size_t size, hone_error *error)
{
    const zip_entry entries[] = {
        {"m/data.pkl", pickle, size}, {"m/data/0", six, sizeof six}, {"m/version", "3\n", 2}};
    bytes file = build_zip(entries, 3);
    hone_status status = open_and_read_all("x.bin", file, error);
    bytes_free(&file);
    return status;
}

static void accepts_what_torch_save_writes(void **state)
{
    (void)state;
    static const pickle_case cases[] = {
        CASE("an empty dictionary", "\x80\2}.", ""),
        CASE("an empty ordered dictionary", "\x80\2" ORDERED ".", ""),
        CASE("one tensor", ITEM(VECTOR), ""),
        CASE("one tensor by SETITEM", "\x80\2}" TEXT1("a") VECTOR "s.", ""),
        CASE("7th argument None", ITEM(REBUILD "(" FLOATS "K\0K\6\x85K\1\x85\x89" ORDERED "NtR"),
             ""),
        CASE("a parameter",
             ITEM("ctorch._utils\n_rebuild_parameter\n" VECTOR "\x88" ORDERED "\x87R"), ""),
        CASE("metadata of modules", "\x80\2" ORDERED "}X\x9\0\0\0_metadata" ORDERED "sb.", ""),
        CASE("a tensor under two names", DICT(TEXT1("a") VECTOR "q\0" TEXT1("b") "h\0"), ""),
        CASE("long memo slots", DICT(TEXT1("a") VECTOR "r\0\0\0\0" TEXT1("b") "j\0\0\0\0"), ""),
        CASE("memo slot written twice", DICT(TEXT1("a") "q\0q\0" VECTOR), ""),
        CASE("wide integers", SHAPED("M\6\0J\1\0\0\0\x86", "\x8a\1\1\x8a\x8\1\0\0\0\0\0\0\0\x86"),
             ""),
        CASE("dimensions of length 1 inside a view", SHAPED("K\3K\1K\2\x87", "K\1K\7K\3\x87"), ""),
        CASE("an integer of no bytes", ITEM(TENSOR(FLOATS, "\x8a\0", "K\6\x85", "K\1\x85")), ""),
        CASE("a scalar at the end", ITEM(TENSOR(FLOATS, "K\5", ")", ")")), ""),
        CASE("a transposed view", SHAPED("K\3K\2\x86", "K\1K\3\x86"), ""),
        CASE("every second element", SHAPED("K\3\x85", "K\2\x85"), ""),
        CASE("any stride where the length is 1", SHAPED("K\1K\6\x86", "K\0K\1\x86"), ""),
        CASE("empty with any stride", SHAPED("K\0K\xff\x86", "K\7K\7\x86"), ""),
        CASE("empty after the last element", ITEM(TENSOR(FLOATS, "K\6", "K\0\x85", "K\1\x85")), ""),
        CASE("halves",
             ITEM(TENSOR(STORAGE("HalfStorage", "0", "K\xc"), "K\0", "K\xc\x85", "K\1\x85")), ""),
        CASE("bytes",
             ITEM(TENSOR(STORAGE("ByteStorage", "0", "K\x18"), "K\0", "K\x18\x85", "K\1\x85")), ""),
        CASE("protocol 4",
             "\x80\4\x95\xf\0\0\0\0\0\0\0\x8c\xb"
             "collections\x94\x8c\xb"
             "OrderedDict\x94\x93\x94)R.",
             ""),
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_error error = {0};
        expect_ok(cases[i].what, open_pickle(cases[i].pickle, cases[i].size, &error), &error);
    }
}

static const pickle_case refused[] = {
    /* What other pickles do. */
    CASE("a call of the system", "\x80\2cos\nsystem\nX\2\0\0\0ls\x85R.", "'os.system' is refused"),
    CASE("a call of eval",
         "\x80\2"
         "c__builtin__\neval\n)R.",
         "'__builtin__.eval' is refused"),
    CASE("a near miss", "\x80\2ctorch._utils\n_rebuild_tensor_v22\n.",
         "'torch._utils._rebuild_tensor_v22' is refused"),
    CASE("the module alone", "\x80\2ctorch\n\n.", "'torch.' is refused"),
    CASE("the same from the stack", "\x80\4\x8c\2os\x8c\6system\x93.", "'os.system' is refused"),
    CASE("a name with control bytes", "\x80\2c\x1b[2J\nx\n.", "'?[2J.x' is refused"),
    CASE("an untyped storage", ITEM(STORAGE("UntypedStorage", "0", "K\6")),
         "'torch.UntypedStorage' is refused"),
    CASE("INST", "\x80\2(ios\nsystem\n.", "INST (0x69) is refused"),
    CASE("OBJ", "\x80\2(o.", "OBJ (0x6f) is refused"),
    CASE("NEWOBJ", "\x80\2)\x81.", "NEWOBJ (0x81) is refused"),
    CASE("EXT1", "\x80\2\x82\1.", "EXT1 (0x82) is refused"),
    CASE("PERSID", "\x80\2P1\n.", "PERSID (0x50) is refused"),
    CASE("a list", "\x80\2].", "EMPTY_LIST (0x5d) is refused"),
    CASE("a float", "\x80\2G\0\0\0\0\0\0\0\0.", "BINFLOAT (0x47) is refused"),
    CASE("a byte string", "\x80\3C\1x.", "SHORT_BINBYTES (0x43) is refused"),
    CASE("no opcode at all", "\x80\2\xff.", "unknown (0xff) is refused"),
    /* Broken programs. */
    CASE("an empty pickle", "", "cut short"),
    CASE("protocol 1", "\x80\1}.", "protocol 1 here"),
    CASE("protocol 6", "\x80\6}.", "protocol 6 here"),
    CASE("protocol in the middle", "\x80\2}\x80\2.", "protocol 2 here"),
    CASE("no end", "\x80\2}", "cut short"),
    CASE("bytes after the end", "\x80\2}..", "1 bytes after the end"),
    CASE("nothing left", "\x80\2.", "leaves 0 values"),
    CASE("two values left", "\x80\2}}.", "leaves 2 values"),
    CASE("a mark left", "\x80\2}(.", "leaves 1 values"),
    CASE("a text as result", "\x80\2" TEXT1("a") ".", "expected a dictionary, found a text"),
    CASE("text longer than the pickle", "\x80\2X\xff\0\0\0a.", "expected 255 more bytes, found 2"),
    CASE("text of 2^32 - 1",
         "\x80\2X\xff\xff\xff\xff"
         "a.",
         "expected 4294967295 more bytes"),
    CASE("length cut", "\x80\2X\1\0", "cut short"),
    CASE("frame too long", "\x80\4\x95\xff\0\0\0\0\0\0\0}.", "a frame of 255 bytes"),
    CASE("frame of 2^64 - 1", "\x80\4\x95\xff\xff\xff\xff\xff\xff\xff\xff}.", "a frame of 184467"),
    CASE("line without end", "\x80\2ctorch", "a line without end"),
    CASE("integer of 9 bytes", "\x80\2\x8a\x9\0\0\0\0\0\0\0\0\0.", "an integer of 9 bytes"),
    CASE("tuple from nothing", "\x80\2\x85.", "too few values"),
    CASE("tuple beneath a mark", "\x80\2}(\x85t.", "too few values"),
    CASE("tuple without mark", "\x80\2}t.", "no mark"),
    CASE("items without mark", "\x80\2}u.", "no mark"),
    CASE("items beneath a mark", "\x80\2(}(u.", "leaves 1 values"),
    CASE("items of nothing", "\x80\2(u.", "too few values"),
    CASE("items of a text", "\x80\2" TEXT1("a") "(u.", "setting items: expected a dictionary"),
    CASE("key without value", "\x80\2}(" TEXT1("a") "u.", "a key without value"),
    CASE("memo of nothing", "\x80\2q\0}.", "too few values"),
    CASE("memo slot skipped", "\x80\2}q\1.", "memo slot 1; expected 0 at most"),
    CASE("memo slot 2^32 - 1", "\x80\2}r\xff\xff\xff\xff.", "memo slot 4294967295"),
    CASE("memo slot empty", "\x80\2h\0.", "memo slot 0 is empty"),
    CASE("too many marks", "\x80\2(((((((((((((((((((((((((((((((((.", "nested more than 32"),
    CASE("attributes of a text", "\x80\2" TEXT1("a") "}b.", "setting attributes"),
    CASE("attributes from a text", "\x80\2}" TEXT1("a") "b.", "setting attributes"),
    CASE("global from integers", "\x80\4K\1K\2\x93.", "name of a global"),
    CASE("call of a dictionary", "\x80\2})R.", "calling: expected a callable"),
    CASE("call with a dictionary",
         "\x80\2"
         "ccollections\nOrderedDict\n}R.",
         "arguments of a call: expected a tuple"),
    CASE("ordered dictionary of items",
         "\x80\2"
         "ccollections\nOrderedDict\n)\x85R.",
         "OrderedDict with 1 arguments"),
    /* Storages. */
    CASE("persistent id of 4", "\x80\2(X\7\0\0\0storageK\1K\1K\1tQ.", "a tuple of 5"),
    CASE("persistent id as text", "\x80\2" TEXT1("0") "Q.", "found a text"),
    CASE("persistent id of other kinds", "\x80\2(K\1K\1K\1K\1K\1tQ.", "expected a text"),
    CASE("persistent id of another sort",
         "\x80\2(X\7\0\0\0storagxctorch\nFloatStorage\n" TEXT1("0") TEXT1("c") "K\6tQ.",
         "expected 'storage', found 'storagx'"),
    CASE("storage that is absent", ITEM(STORAGE("FloatStorage", "1", "K\6")), "no such member"),
    CASE("storage with NUL", ITEM(STORAGE("FloatStorage", "\0", "K\6")), "no such member"),
    CASE("storage longer than its member", ITEM(STORAGE("FloatStorage", "0", "K\7")),
         "7 elements of F32 announced, but the member has 24 bytes"),
    CASE("storage shorter than its member", ITEM(STORAGE("FloatStorage", "0", "K\5")),
         "5 elements of F32"),
    CASE("storage of another width", ITEM(STORAGE("DoubleStorage", "0", "K\6")),
         "6 elements of F64"),
    CASE("storage of -1", ITEM(STORAGE("FloatStorage", "0", "J\xff\xff\xff\xff")), "-1 elements"),
    CASE("storage of -1 in two bytes", ITEM(STORAGE("FloatStorage", "0", "\x8a\2\xff\xff")),
         "-1 elements"),
    CASE("storage that wraps to 24 bytes",
         ITEM(STORAGE("FloatStorage", "0", "\x8a\x8\6\0\0\0\0\0\0\x40")), "elements of F32"),
    CASE("a storage as entry", ITEM(FLOATS), "entry 'a' is a storage"),
    /* Tensors. */
    CASE("5 arguments", ITEM(REBUILD "(" FLOATS "K\0K\6\x85K\1\x85\x89tR"), "with 5 arguments"),
    CASE("a shape that is a number", ITEM(TENSOR(FLOATS, "K\0", "K\6", "K\1\x85")),
         "expected a tuple, found an integer"),
    CASE("a shape of texts", SHAPED(TEXT1("6") "\x85", "K\1\x85"), "shape or stride"),
    CASE("more strides than dimensions", SHAPED("K\6\x85", "K\1K\1\x86"), "as many of both"),
    CASE("9 dimensions", SHAPED("(K\1K\1K\1K\1K\1K\1K\1K\1K\1t", "(K\1K\1K\1K\1K\1K\1K\1K\1K\1t"),
         "at most 8"),
    CASE("negative length", SHAPED("J\xff\xff\xff\xff\x85", "K\1\x85"), "negative"),
    CASE("negative stride", SHAPED("K\2\x85", "J\xff\xff\xff\xff\x85"), "negative"),
    CASE("negative offset", ITEM(TENSOR(FLOATS, "J\xff\xff\xff\xff", "K\1\x85", "K\1\x85")),
         "outside its storage"),
    CASE("one element too many", SHAPED("K\7\x85", "K\1\x85"), "outside its storage"),
    CASE("offset beyond", ITEM(TENSOR(FLOATS, "K\1", "K\6\x85", "K\1\x85")), "outside its storage"),
    CASE("scalar after the end", ITEM(TENSOR(FLOATS, "K\6", ")", ")")), "outside its storage"),
    CASE("empty beyond the end", ITEM(TENSOR(FLOATS, "K\7", "K\0\x85", "K\1\x85")),
         "outside its storage"),
    CASE("stride that reaches out", SHAPED("K\2\x85", "K\6\x85"), "outside its storage"),
    CASE("stride 2^63 - 1", SHAPED("K\2\x85", "\x8a\x8\xff\xff\xff\xff\xff\xff\xff\x7f\x85"),
         "outside its storage"),
    CASE("stride that wraps", SHAPED("K\3\x85", "\x8a\x8\0\0\0\0\0\0\0\x40\x85"),
         "strides overflow"),
    CASE("offset 2^63 - 1",
         ITEM(TENSOR(FLOATS, "\x8a\x8\xff\xff\xff\xff\xff\xff\xff\x7f", "K\1\x85", "K\1\x85")),
         "outside its storage"),
    CASE("shape that wraps to 0", SHAPED("\x8a\5\0\0\0\0\1\x8a\5\0\0\0\0\1\x86", "K\1K\1\x86"),
         "shape overflows"),
    CASE("bytes that wrap", SHAPED("\x8a\x8\0\0\0\0\0\0\0\x40\x85", "K\1\x85"), "shape overflows"),
    CASE("expanded", SHAPED("K\5\x85", "K\0\x85"), "share storage"),
    CASE("overlapping windows", SHAPED("K\3K\2\x86", "K\1K\1\x86"), "share storage"),
    CASE("parameter of a storage",
         ITEM("ctorch._utils\n_rebuild_parameter\n" FLOATS "\x88" ORDERED "\x87R"),
         "argument of _rebuild_parameter"),
    CASE("parameter of two arguments",
         ITEM("ctorch._utils\n_rebuild_parameter\n" VECTOR "\x88\x86R"), "with 2 arguments"),
    /* The dictionary. */
    CASE("a number as entry", ITEM("K\1"), "entry 'a' is an integer"),
    CASE("a dictionary in it", ITEM("}"), "entry 'a' is a dictionary"),
    CASE("a number as key", DICT("K\1" VECTOR), "key of the dictionary"),
    CASE("name twice", DICT(TEXT1("a") VECTOR TEXT1("a") VECTOR), "'a' appears twice"),
    CASE("name with NUL", DICT(TEXT1("\0") VECTOR), "expected UTF-8 without NUL"),
    CASE("name not UTF-8", DICT(TEXT1("\xff") VECTOR), "expected UTF-8 without NUL"),
};

static void refuses_everything_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        hone_error error = {0};
        hone_status status = open_pickle(refused[i].pickle, refused[i].size, &error);
        expect_error(refused[i].what, status, &error, HONE_INPUT, refused[i].message);
    }
}

static void names_the_place_in_file_and_pickle(void **state)
{
    (void)state;
    static const char pickle[] = "\x80\2}cos\nsystem\n.";
    const zip_entry entries[] = {{"m/data.pkl", pickle, sizeof pickle - 1}};
    bytes file = build_zip(entries, 1);
    hone_error error = {0};
    expect_error("a global", open_and_read_all("x.bin", file, &error), &error, HONE_INPUT,
                 "byte 3 of data.pkl: global 'os.system'");
    assert_int_equal(file.data[error.offset], 'c');
    assert_int_equal(file.data[error.offset + 1], 'o');
    bytes_free(&file);
}

static void refuses_archives_that_are_something_else(void **state)
{
    (void)state;
    static const char ok[] = ITEM(VECTOR);
    const zip_entry pickle = {"m/data.pkl", ok, sizeof ok - 1}, data = {"m/data/0", six, 24};
    const struct {
        const char *message;
        size_t count;
        zip_entry entries[4];
    } cases[] = {
        {"no data.pkl", 1, {data}},
        {"no data.pkl", 1, {{"data.pkl", ok, sizeof ok - 1}}},
        {"no data.pkl", 1, {{"m/n/data.pkl", ok, sizeof ok - 1}}},
        {"two members data.pkl", 3, {pickle, data, {"n/data.pkl", ok, sizeof ok - 1}}},
        {"TorchScript", 3, {{"m/constants.pkl", ok, sizeof ok - 1}, pickle, data}},
        {"found 'big'", 3, {pickle, data, {"m/byteorder", "big", 3}}},
        {"found something else", 3, {pickle, data, {"m/byteorder", "little endian", 13}}},
        {"not a whole zip archive", 3, {pickle, data, data}},
        {"no such member", 2, {pickle, {"n/data/0", six, 24}}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bytes file = build_zip(cases[i].entries, cases[i].count);
        hone_error error = {0};
        expect_error(cases[i].message, open_and_read_all("x.bin", file, &error), &error, HONE_INPUT,
                     cases[i].message);
        bytes_free(&file);
    }
    bytes text = bytes_new("version https://git-lfs.github.com/spec/v1", 42);
    hone_error error = {0};
    expect_error("a text", open_and_read_all("x.bin", text, &error), &error, HONE_INPUT,
                 "expected the zip that torch.save writes");
    bytes_free(&text);
}

static void refuses_members_that_cannot_be(void **state)
{
    (void)state;
    static const char pickle[] = ITEM(VECTOR);
    const zip_entry entry = {"m/data.pkl", pickle, sizeof pickle - 1};
    enum { LOCAL_FLAGS = 6, LOCAL_METHOD = 8, LOCAL_PACKED = 18, LOCAL_SIZE = 22 };
    static const struct {
        const char *message;
        int field; /* in the local header; two further in the directory */
        unsigned char value[4];
        int field_too;
    } cases[] = {
        {"compression method 12; expected stored or deflated", LOCAL_METHOD, {12}, 0},
        {"is encrypted", LOCAL_FLAGS, {1}, 0},
        {"that cannot be", LOCAL_SIZE, {0xFF, 0xFF, 0xFF, 0x7F}, LOCAL_METHOD},
        {"that cannot be", LOCAL_SIZE, {1}, 0},
        {"not a whole zip archive", LOCAL_PACKED, {0xFF, 0xFF, 0xFF, 0x7F}, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bytes file = build_zip(&entry, 1);
        size_t directory = 30 + strlen(entry.name) + entry.size;
        size_t width = cases[i].field >= LOCAL_PACKED ? 4 : 2;
        memcpy(file.data + cases[i].field, cases[i].value, width);
        memcpy(file.data + directory + (size_t)cases[i].field + 2, cases[i].value, width);
        if (cases[i].field_too != 0) {
            file.data[cases[i].field_too] = 8; /* deflated */
            file.data[directory + (size_t)cases[i].field_too + 2] = 8;
        }
        hone_error error = {0};
        expect_error(cases[i].message, open_and_read_all("x.bin", file, &error), &error, HONE_INPUT,
                     cases[i].message);
        bytes_free(&file);
    }
}

/* ---- files that PyTorch wrote ---- */

static void check_values(const hone_weight_source *source, const char *name, int rows, int columns,
                         const float *expected)
{
    const hone_stored_tensor *tensor = hone_weight_source_find(source, name);
    if (tensor == NULL)
        fail_msg("no tensor %s", name);
    assert_int_equal(tensor->elements, rows * columns);
    float *found = take_memory((size_t)tensor->elements * sizeof *found);
    hone_error error;
    expect_ok(name, hone_weight_source_read(source, tensor, HONE_F32, found, &error), &error);
    for (int i = 0; i < rows * columns; i++)
        if (found[i] != expected[i])
            fail_msg("%s: element %d is %g, expected %g", name, i, (double)found[i],
                     (double)expected[i]);
    free(found);
}

static void check_ramp(const hone_weight_source *source, const char *name, int count, int start)
{
    float expected[16];
    for (int i = 0; i < count; i++)
        expected[i] = (float)(i + start) / 4;
    check_values(source, name, 1, count, expected);
}

static void reads_what_pytorch_wrote(void **state)
{
    (void)state;
    static const char *const files[] = {FIXTURES "plain.bin", FIXTURES "protocol4.bin",
                                        FIXTURES "deflated.bin"};
    for (int f = 0; f < 3; f++) {
        hone_weight_source *source;
        hone_error error;
        expect_ok(files[f], hone_weight_source_open(files[f], "", &source, &error), &error);
        assert_int_equal(hone_weight_source_count(source), 16);
        assert_null(hone_weight_source_metadata(source, "format"));
        check_ramp(source, "plain", 6, 1);
        check_ramp(source, "half", 5, 2);
        check_ramp(source, "brain", 7, 3);
        check_ramp(source, "double", 3, 4);
        check_ramp(source, "scalar", 1, 10);
        check_ramp(source, "empty", 0, 0);
        check_ramp(source, "tied_a", 12, 100);
        check_ramp(source, "tied_b", 12, 100);
        check_ramp(source, "tied_row", 4, 104);
        check_ramp(source, "parameter", 4, 9);
        check_ramp(source, "na\xc3\xafve", 1, 0);
        float transposed[35], slice[9], permuted[30];
        for (int i = 0; i < 35; i++)
            transposed[i] = (float)(i % 5 * 7 + i / 5) / 4;
        for (int i = 0; i < 9; i++)
            slice[i] = (float)((i / 3 + 1) * 7 + i % 3 + 2) / 4;
        for (int i = 0; i < 30; i++)
            permuted[i] = (float)(50 + i % 6 * 5 + i / 6) / 4;
        check_values(source, "transposed", 7, 5, transposed);
        check_values(source, "slice", 3, 3, slice);
        check_values(source, "permuted", 5, 6, permuted);
        assert_int_equal(hone_weight_source_find(source, "mask")->dtype, HONE_BOOL);
        float unused[4];
        hone_status status = hone_weight_source_read(source, hone_weight_source_find(source, "ids"),
                                                     HONE_F32, unused, &error);
        expect_error("integers", status, &error, HONE_INPUT, "'ids' is I64; expected a float type");
        hone_weight_source_close(source);
    }
}

static void reads_long_transposed_tensors(void **state)
{
    (void)state;
    /* Longer than a window: 211 x 757 halves, stored by columns. */
    enum { ROWS = 211, COLUMNS = 757 };
    static uint16_t halves[ROWS * COLUMNS];
    static float found[ROWS * COLUMNS];
    for (int r = 0; r < ROWS; r++)
        for (int c = 0; c < COLUMNS; c++) {
            float value = (float)((r * 31 + c) % 2048);
            hone_convert(HONE_F32, &value, HONE_F16, &halves[c * ROWS + r], 1);
        }
    static const char pickle[] = DICT(TEXT1("a") TENSOR(
        STORAGE("HalfStorage", "0", "J\xef\x6f\2\0"), "K\0", "K\xd3M\xf5\2\x86",
        "K\1K\xd3\x86") TEXT1("b") TENSOR(STORAGE("FloatStorage", "1", "J\xef\x6f\2\0"), "K\0",
                                          "K\xd3M\xf5\2\x86", "M\xf5\2K\1\x86"));
    static float plain[ROWS * COLUMNS];
    for (int i = 0; i < ROWS * COLUMNS; i++)
        plain[i] = (float)((i / COLUMNS * 31 + i % COLUMNS) % 2048);
    const zip_entry entries[] = {{"m/data.pkl", pickle, sizeof pickle - 1},
                                 {"m/data/0", halves, sizeof halves},
                                 {"m/data/1", plain, sizeof plain}};
    bytes file = build_zip(entries, 3);
    hone_weight_source *source;
    hone_error error;
    expect_ok("opening", hone_weight_source_borrow("x.bin", file.data, file.size, &source, &error),
              &error);
    expect_ok(
        "reading",
        hone_weight_source_read(source, hone_weight_source_at(source, 0), HONE_F32, found, &error),
        &error);
    for (int i = 0; i < ROWS * COLUMNS; i++)
        assert_true(found[i] == plain[i]);
    bool equal;
    expect_ok("comparing",
              hone_weight_source_equal(source, hone_weight_source_at(source, 0),
                                       hone_weight_source_at(source, 1), &equal, &error),
              &error);
    assert_true(equal);
    hone_weight_source_close(source);
    bytes_free(&file);
}

static void explains_files_that_are_not_state_dicts(void **state)
{
    (void)state;
    static const struct {
        const char *path, *message;
    } cases[] = {
        {FIXTURES "legacy.bin", "convert it in Python: torch.save(torch.load("},
        {FIXTURES "expanded.bin", ".contiguous()"},
        {FIXTURES "nested.bin", "entry 'state_dict' is a dictionary; expected a tensor"},
        {FIXTURES "number.bin", "entry 'step' is an integer"},
        {FIXTURES "module.bin", "global 'torch.nn.modules.linear.Linear' is refused"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_weight_source *source;
        hone_error error = {0};
        hone_status status = hone_weight_source_open(cases[i].path, "", &source, &error);
        expect_error(cases[i].path, status, &error, HONE_INPUT, cases[i].message);
        assert_string_equal(error.file, cases[i].path);
        assert_null(source);
    }
}

static void streams_go_back_and_forth(void **state)
{
    (void)state;
    hone_tensor_file file;
    hone_zip *zip;
    hone_zip_stream *stream;
    hone_error error = {0};
    expect_ok("opening", hone_tensor_file_open(&file, FIXTURES "deflated.bin", &error), &error);
    expect_ok("opening", hone_zip_open(&file, &zip, &error), &error);
    int64_t index = hone_zip_find(zip, "archive/data.pkl");
    hone_zip_member member = {0};
    assert_true(index >= 0);
    expect_ok("member", hone_zip_member_at(zip, index, &member, &error), &error);
    assert_true(member.packed && member.size > 1200);
    expect_ok("stream", hone_zip_stream_open(&file, index, &stream, &error), &error);
    char whole[1200], part[100];
    expect_ok("reading", hone_zip_stream_read(stream, whole, sizeof whole, 0, &error), &error);
    static const int64_t places[] = {1100, 3, 700, 701, 0};
    for (int i = 0; i < 5; i++) {
        expect_ok("reading", hone_zip_stream_read(stream, part, sizeof part, places[i], &error),
                  &error);
        assert_memory_equal(part, whole + places[i], sizeof part);
    }
    expect_error("reading on", hone_zip_stream_read(stream, part, 1, member.size, &error), &error,
                 HONE_INPUT, "ends 1 bytes early");
    hone_zip_stream_close(stream);
    hone_zip_close(zip);
    hone_tensor_file_close(&file);
}

/* ---- damage ---- */

static void reports_a_file_that_shrinks_after_opening(void **state)
{
    (void)state;
    static const char *const files[] = {FIXTURES "plain.bin", FIXTURES "deflated.bin"};
    for (int f = 0; f < 2; f++) {
        bytes whole = bytes_load(files[f]);
        const char *path = scratch("shrink.bin");
        bytes_save(path, whole);
        bytes_free(&whole);
        hone_weight_source *source;
        hone_error error = {0};
        float target[64];
        expect_ok("opening", hone_weight_source_open(path, "", &source, &error), &error);
        assert_int_equal(truncate(path, 1000), 0);
        const hone_stored_tensor *tensor = hone_weight_source_find(source, "plain");
        expect_error(files[f], hone_weight_source_read(source, tensor, HONE_F32, target, &error),
                     &error, HONE_INPUT, "cut short");
        hone_weight_source_close(source);
    }
}

static void rejects_a_file_cut_at_any_byte(void **state)
{
    (void)state;
    static const char *const files[] = {FIXTURES "four.bin", FIXTURES "deflated.bin"};
    for (int f = 0; f < 2; f++) {
        bytes whole = bytes_load(files[f]);
        hone_error error = {0};
        expect_ok("the whole file", open_and_read_all("x.bin", whole, &error), &error);
        for (size_t size = 0; size < whole.size; size++) {
            bytes cut = bytes_new(whole.data, size);
            expect_error("a cut file", open_and_read_all("x.bin", cut, &error), &error, HONE_INPUT,
                         "");
            bytes_free(&cut);
        }
        bytes_free(&whole);
    }
}

static void survives_flipped_bits_of_an_archive(void **state)
{
    (void)state;
    static const char *const files[] = {FIXTURES "four.bin", FIXTURES "deflated.bin"};
    size_t rejected = 0;
    for (int f = 0; f < 2; f++) {
        bytes whole = bytes_load(files[f]);
        for (size_t bit = 0; bit < whole.size * 8; bit += 3) {
            bytes flipped = bytes_new(whole.data, whole.size);
            flipped.data[bit / 8] ^= (unsigned char)(1u << bit % 8);
            hone_error error = {0};
            hone_status status = open_and_read_all("x.bin", flipped, &error);
            assert_true(status == HONE_OK || status == HONE_INPUT);
            rejected += status == HONE_INPUT;
            bytes_free(&flipped);
        }
        bytes_free(&whole);
    }
    assert_true(rejected > 1000);
}

static hone_status any_place(void *context, const char *key, size_t length,
                             hone_storage_place *place, hone_error *error)
{
    (void)context;
    (void)error;
    bool found = length == 1 && key[0] == '0';
    *place = (hone_storage_place){.found = found, .size = sizeof six};
    return HONE_OK;
}

/* The pickle alone: in an archive the checksum would stop most damage. */
static hone_status run_pickle(const char *pickle, size_t size)
{
    bytes exact = bytes_new(pickle, size);
    hone_tensor_file file;
    hone_error error = {0};
    expect_ok("a file", hone_tensor_file_borrow(&file, "x.bin", six, sizeof six, &error), &error);
    hone_pickle program = {(const char *)exact.data, size, -1, any_place, NULL};
    hone_status status = hone_pickle_run(&program, &file, &error);
    hone_tensor_file_close(&file);
    bytes_free(&exact);
    return status;
}

static void survives_every_bit_flip_and_cut_of_a_pickle(void **state)
{
    (void)state;
    static const char pickle[] = DICT(TEXT1("a") VECTOR "q\0" TEXT1("b") "h\0" TEXT1("c")
                                          TENSOR(FLOATS, "K\0", "K\3K\2\x86", "K\1K\3\x86"));
    size_t size = sizeof pickle - 1;
    assert_int_equal(run_pickle(pickle, size), HONE_OK);
    for (size_t cut = 0; cut < size; cut++)
        assert_int_equal(run_pickle(pickle, cut), HONE_INPUT);
    char flipped[sizeof pickle];
    for (size_t bit = 0; bit < size * 8; bit++) {
        memcpy(flipped, pickle, sizeof flipped);
        flipped[bit / 8] = (char)(flipped[bit / 8] ^ 1 << bit % 8);
        hone_status status = run_pickle(flipped, size);
        assert_true(status == HONE_OK || status == HONE_INPUT);
    }
}

static void bounds_the_memory_of_a_pickle(void **state)
{
    (void)state;
    /* Values that are never used: 16 bytes of memory for one of the file. */
    size_t size = (size_t)12 << 20;
    char *pickle = take_memory(size);
    memset(pickle, 'N', size);
    memcpy(pickle, "\x80\2}", 3);
    pickle[size - 1] = '.';
    hone_error error = {0};
    hone_status status = open_pickle(pickle, size, &error);
    expect_error("a greedy pickle", status, &error, HONE_INPUT, "needs more memory");
    free(pickle);
}

static void survives_every_failed_allocation(void **state)
{
    (void)state;
    static const char *const files[] = {FIXTURES "plain.bin", FIXTURES "deflated.bin"};
    for (int f = 0; f < 2; f++) {
        bytes whole = bytes_load(files[f]);
        long n = 1;
        for (; n < 1000; n++) {
            hone_error error = {0};
            fail_allocation(n);
            hone_status status = open_and_read_all("x.bin", whole, &error);
            assert_int_equal(status, fail_allocation(0) ? HONE_MEMORY : HONE_OK);
            if (status == HONE_OK)
                break;
        }
        assert_in_range(n, 10, 999);
        bytes_free(&whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_what_torch_save_writes),
        cmocka_unit_test(refuses_everything_else),
        cmocka_unit_test(names_the_place_in_file_and_pickle),
        cmocka_unit_test(refuses_archives_that_are_something_else),
        cmocka_unit_test(refuses_members_that_cannot_be),
        cmocka_unit_test(reads_what_pytorch_wrote),
        cmocka_unit_test(reads_long_transposed_tensors),
        cmocka_unit_test(explains_files_that_are_not_state_dicts),
        cmocka_unit_test(streams_go_back_and_forth),
        cmocka_unit_test(reports_a_file_that_shrinks_after_opening),
        cmocka_unit_test(rejects_a_file_cut_at_any_byte),
        cmocka_unit_test(survives_flipped_bits_of_an_archive),
        cmocka_unit_test(survives_every_bit_flip_and_cut_of_a_pickle),
        cmocka_unit_test(bounds_the_memory_of_a_pickle),
        cmocka_unit_test(survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
