/* The pickle inside a .bin: see torch_pickle.h.
 *
 * A pickle is a program for a small stack machine whose opcodes can call anything. The machine here
 * knows the opcodes that torch.save writes for a dictionary of tensors, and four things to call:
 * an ordered dictionary, a tensor, a parameter, and types of storages. It calls nothing that the
 * file names; anything else is refused by name and place. It has no recursion, and its memory is
 * charged to a budget of the file's size plus 64 MiB.
 *
 * Invariant: a tensor that leaves here lies inside its storage, the storage is as long as its
 * place, and no two elements of a tensor share a place. */
#include "file/torch_pickle.h"

#include "file/header_scan.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define BUDGET ((size_t)64 << 20)
#define MAX_MARKS 32 /* open marks at a time; torch.save nests 3 */

typedef enum kind {
    NONE,
    BOOLEAN,
    INTEGER,
    TEXT,
    TUPLE,
    DICT,
    CALLABLE,
    STORAGE_TYPE,
    STORAGE,
    TENSOR
} kind;

typedef enum callable { ORDERED_DICT, REBUILD_TENSOR, REBUILD_PARAMETER } callable;

typedef struct value {
    kind kind;
    uint32_t count; /* bytes of a text, items of a tuple */
    union {
        int64_t integer;
        const char *text; /* in the pickle, not terminated */
        const struct value *items;
        struct dict *dict;
        callable callable;
        hone_dtype dtype;
        size_t index; /* of a storage or tensor */
    };
} value;

typedef struct dict {
    struct dict *next;
    value *items; /* key, value, key, value */
    size_t count, capacity;
} dict;

typedef struct storage {
    hone_dtype dtype;
    int64_t elements;
    int shard;
    int64_t offset; /* of its first byte, as in hone_stored_tensor */
} storage;

typedef struct machine {
    const hone_pickle *pickle;
    hone_tensor_file *file;
    hone_error *error;
    size_t at, start; /* cursor, and where the current opcode began */
    size_t spent;

    value *stack, *memo;
    size_t depth, stack_capacity, memo_count, memo_capacity;
    size_t marks[MAX_MARKS], mark_count;
    storage *storages;
    size_t storage_count, storage_capacity;
    hone_stored_tensor *tensors; /* without names */
    size_t tensor_count, tensor_capacity;
    dict *dicts;
    hone_arena arena;
} machine;

static const struct {
    const char *module, *name;
    kind kind;
    int what; /* callable or dtype */
} globals[] = {
    {"collections", "OrderedDict", CALLABLE, ORDERED_DICT},
    {"torch._utils", "_rebuild_tensor_v2", CALLABLE, REBUILD_TENSOR},
    {"torch._utils", "_rebuild_parameter", CALLABLE, REBUILD_PARAMETER},
    {"torch", "FloatStorage", STORAGE_TYPE, HONE_F32},
    {"torch", "HalfStorage", STORAGE_TYPE, HONE_F16},
    {"torch", "BFloat16Storage", STORAGE_TYPE, HONE_BF16},
    {"torch", "DoubleStorage", STORAGE_TYPE, HONE_F64},
    {"torch", "LongStorage", STORAGE_TYPE, HONE_I64},
    {"torch", "IntStorage", STORAGE_TYPE, HONE_I32},
    {"torch", "ShortStorage", STORAGE_TYPE, HONE_I16},
    {"torch", "CharStorage", STORAGE_TYPE, HONE_I8},
    {"torch", "ByteStorage", STORAGE_TYPE, HONE_U8},
    {"torch", "BoolStorage", STORAGE_TYPE, HONE_BOOL},
};

/* ---- failing ---- */

static const char *kind_name(kind which)
{
    static const char *const names[] = {"None",      "a boolean",    "an integer", "a text",
                                        "a tuple",   "a dictionary", "a callable", "a storage type",
                                        "a storage", "a tensor"};
    return names[which];
}

static hone_status fail(const machine *vm, const char *format, ...) HONE_PRINTF(2, 3);

/* HONE_INPUT at the current opcode. */
static hone_status fail(const machine *vm, const char *format, ...)
{
    char detail[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(detail, sizeof detail, format, arguments);
    va_end(arguments);
    int64_t offset = vm->pickle->offset >= 0 ? vm->pickle->offset + (int64_t)vm->start : -1;
    return hone_fail_at(vm->error, HONE_INPUT, vm->file->path, -1, offset,
                        "byte %zu of data.pkl: %s", vm->start, detail);
}

/* A text of the file, fit for a message. */
typedef struct shown {
    char text[128];
} shown;

static shown show(const char *text, size_t length)
{
    shown out;
    size_t n = length < sizeof out.text - 1 ? length : sizeof out.text - 1;
    for (size_t i = 0; i < n; i++)
        out.text[i] = text[i] >= 0x20 && text[i] < 0x7F ? text[i] : '?';
    out.text[n] = '\0';
    return out;
}

static hone_status fail_kind(const machine *vm, const char *what, kind expected, kind found)
{
    return fail(vm, "%s: expected %s, found %s", what, kind_name(expected), kind_name(found));
}

/* ---- memory ---- */

static hone_status charge(machine *vm, size_t size)
{
    vm->spent += size;
    if (vm->spent > BUDGET + (size_t)vm->file->size)
        return fail(vm, "the pickle needs more memory than its tensors can account for; expected "
                        "a dictionary of tensors");
    return HONE_OK;
}

static hone_status reserve(machine *vm, void *array_place, size_t *capacity, size_t needed,
                           size_t size)
{
    if (needed <= *capacity)
        return HONE_OK;
    HONE_TRY(charge(vm, (needed + *capacity) * size));
    void *array;
    memcpy(&array, array_place, sizeof array);
    if (!hone_array_reserve(&array, capacity, needed, size))
        return hone_fail_memory(vm->error, "reading a pickle", needed * size);
    memcpy(array_place, &array, sizeof array);
    return HONE_OK;
}

static hone_status push(machine *vm, value item)
{
    HONE_TRY(reserve(vm, &vm->stack, &vm->stack_capacity, vm->depth + 1, sizeof item));
    vm->stack[vm->depth++] = item;
    return HONE_OK;
}

/* Values above the newest mark, which stays a floor until it is taken. */
static size_t floor_of(const machine *vm)
{
    return vm->mark_count > 0 ? vm->marks[vm->mark_count - 1] : 0;
}

static hone_status need(const machine *vm, size_t count)
{
    if (vm->depth - floor_of(vm) < count)
        return fail(vm, "the stack holds too few values");
    return HONE_OK;
}

static hone_status pop(machine *vm, value *item)
{
    HONE_TRY(need(vm, 1));
    *item = vm->stack[--vm->depth];
    return HONE_OK;
}

static hone_status pop_mark(machine *vm, size_t *base)
{
    if (vm->mark_count == 0)
        return fail(vm, "no mark on the stack");
    *base = vm->marks[--vm->mark_count];
    return HONE_OK;
}

/* ---- operands ---- */

static hone_status take(machine *vm, size_t count, const char **bytes)
{
    if (count > vm->pickle->size - vm->at)
        return fail(vm, "the pickle is cut short: expected %zu more bytes, found %zu", count,
                    vm->pickle->size - vm->at);
    *bytes = vm->pickle->bytes + vm->at;
    vm->at += count;
    return HONE_OK;
}

static hone_status take_unsigned(machine *vm, size_t width, uint64_t *out)
{
    const char *bytes = NULL;
    HONE_TRY(take(vm, width, &bytes));
    *out = 0;
    for (size_t i = 0; i < width; i++)
        *out |= (uint64_t)(unsigned char)bytes[i] << 8 * i;
    return HONE_OK;
}

/* ---- opcodes ---- */

static hone_status push_integer(machine *vm, size_t width)
{
    uint64_t bits = 0;
    HONE_TRY(take_unsigned(vm, width, &bits));
    /* BININT alone is signed. */
    int64_t integer = width == 4 ? (int32_t)(uint32_t)bits : (int64_t)bits;
    return push(vm, (value){.kind = INTEGER, .integer = integer});
}

static hone_status push_long(machine *vm)
{
    uint64_t width = 0, bits = 0;
    HONE_TRY(take_unsigned(vm, 1, &width));
    if (width > 8)
        return fail(vm, "an integer of %d bytes; expected at most 8", (int)width);
    HONE_TRY(take_unsigned(vm, (size_t)width, &bits));
    if (width > 0 && width < 8 && (bits >> (8 * width - 1) & 1) != 0)
        bits |= UINT64_MAX << 8 * width;
    return push(vm, (value){.kind = INTEGER, .integer = (int64_t)bits});
}

static hone_status push_text(machine *vm, size_t width)
{
    uint64_t length = 0;
    const char *bytes = NULL;
    HONE_TRY(take_unsigned(vm, width, &length));
    HONE_TRY(take(vm, (size_t)length, &bytes));
    return push(vm, (value){.kind = TEXT, .count = (uint32_t)length, .text = bytes});
}

static hone_status push_dict(machine *vm)
{
    HONE_TRY(charge(vm, sizeof(dict)));
    dict *fresh = hone_arena_alloc(&vm->arena, sizeof *fresh);
    if (fresh == NULL)
        return hone_fail_memory(vm->error, "reading a pickle", sizeof *fresh);
    *fresh = (dict){.next = vm->dicts};
    vm->dicts = fresh;
    return push(vm, (value){.kind = DICT, .dict = fresh});
}

/* Replaces the values from base on by a tuple of them. */
static hone_status make_tuple(machine *vm, size_t base)
{
    size_t count = vm->depth - base, size = count * sizeof(value);
    value *items = NULL;
    if (count > 0) {
        HONE_TRY(charge(vm, size));
        items = hone_arena_alloc(&vm->arena, size);
        if (items == NULL)
            return hone_fail_memory(vm->error, "reading a pickle", size);
        memcpy(items, vm->stack + base, size);
    }
    vm->depth = base;
    return push(vm, (value){.kind = TUPLE, .count = (uint32_t)count, .items = items});
}

static hone_status make_short_tuple(machine *vm, size_t count)
{
    HONE_TRY(need(vm, count));
    return make_tuple(vm, vm->depth - count);
}

static hone_status make_marked_tuple(machine *vm)
{
    size_t base = 0;
    HONE_TRY(pop_mark(vm, &base));
    return make_tuple(vm, base);
}

static hone_status push_mark(machine *vm)
{
    if (vm->mark_count == MAX_MARKS)
        return fail(vm, "nested more than %d deep", MAX_MARKS);
    vm->marks[vm->mark_count++] = vm->depth;
    return HONE_OK;
}

static hone_status memoize(machine *vm, uint64_t slot)
{
    HONE_TRY(need(vm, 1));
    if (slot > vm->memo_count)
        return fail(vm, "memo slot %llu; expected %zu at most", (unsigned long long)slot,
                    vm->memo_count);
    if (slot == vm->memo_count) {
        HONE_TRY(reserve(vm, &vm->memo, &vm->memo_capacity, vm->memo_count + 1, sizeof *vm->memo));
        vm->memo_count++;
    }
    vm->memo[slot] = vm->stack[vm->depth - 1];
    return HONE_OK;
}

static hone_status put_memo(machine *vm, size_t width)
{
    uint64_t slot = 0;
    HONE_TRY(take_unsigned(vm, width, &slot));
    return memoize(vm, slot);
}

static hone_status get_memo(machine *vm, size_t width)
{
    uint64_t slot = 0;
    HONE_TRY(take_unsigned(vm, width, &slot));
    if (slot >= vm->memo_count)
        return fail(vm, "memo slot %llu is empty", (unsigned long long)slot);
    return push(vm, vm->memo[slot]);
}

static bool same_text(const char *expected, const char *text, size_t length)
{
    return strlen(expected) == length && memcmp(expected, text, length) == 0;
}

static hone_status push_global(machine *vm, const char *module, size_t module_length,
                               const char *name, size_t name_length)
{
    for (size_t i = 0; i < sizeof globals / sizeof *globals; i++) {
        if (!same_text(globals[i].module, module, module_length) ||
            !same_text(globals[i].name, name, name_length))
            continue;
        value item = {.kind = globals[i].kind};
        if (item.kind == CALLABLE)
            item.callable = (callable)globals[i].what;
        else
            item.dtype = (hone_dtype)globals[i].what;
        return push(vm, item);
    }
    return fail(vm,
                "global '%s.%s' is refused; expected only what torch.save writes for a dictionary "
                "of plain tensors",
                show(module, module_length).text, show(name, name_length).text);
}

static hone_status take_line(machine *vm, const char **line, size_t *length)
{
    const char *begin = vm->pickle->bytes + vm->at;
    const char *end = memchr(begin, '\n', vm->pickle->size - vm->at);
    if (end == NULL)
        return fail(vm, "the pickle is cut short: a line without end");
    *line = begin;
    *length = (size_t)(end - begin);
    vm->at += *length + 1;
    return HONE_OK;
}

static hone_status global_from_lines(machine *vm)
{
    const char *module = NULL, *name = NULL;
    size_t module_length = 0, name_length = 0;
    HONE_TRY(take_line(vm, &module, &module_length));
    HONE_TRY(take_line(vm, &name, &name_length));
    return push_global(vm, module, module_length, name, name_length);
}

static hone_status global_from_stack(machine *vm)
{
    value module = {0}, name = {0};
    HONE_TRY(pop(vm, &name));
    HONE_TRY(pop(vm, &module));
    if (module.kind != TEXT || name.kind != TEXT)
        return fail_kind(vm, "name of a global", TEXT,
                         module.kind != TEXT ? module.kind : name.kind);
    return push_global(vm, module.text, module.count, name.text, name.count);
}

static hone_status set_items(machine *vm, size_t base)
{
    size_t count = vm->depth - base;
    if (count % 2 != 0)
        return fail(vm, "a key without value");
    vm->depth = base;
    HONE_TRY(need(vm, 1));
    const value *target = &vm->stack[vm->depth - 1];
    if (target->kind != DICT)
        return fail_kind(vm, "setting items", DICT, target->kind);
    dict *to = target->dict;
    HONE_TRY(reserve(vm, &to->items, &to->capacity, to->count + count, sizeof *to->items));
    if (count > 0)
        memcpy(to->items + to->count, vm->stack + base, count * sizeof *to->items);
    to->count += count;
    return HONE_OK;
}

static hone_status set_marked_items(machine *vm)
{
    size_t base = 0;
    HONE_TRY(pop_mark(vm, &base));
    return set_items(vm, base);
}

static hone_status set_one_item(machine *vm)
{
    HONE_TRY(need(vm, 3));
    return set_items(vm, vm->depth - 2);
}

/* Attributes of a dictionary: torch.save keeps versions of modules there, of no use here. */
static hone_status build(machine *vm)
{
    value state = {0};
    HONE_TRY(pop(vm, &state));
    HONE_TRY(need(vm, 1));
    kind target = vm->stack[vm->depth - 1].kind;
    if (target != DICT || state.kind != DICT)
        return fail_kind(vm, "setting attributes", DICT, target != DICT ? target : state.kind);
    return HONE_OK;
}

/* ---- storages and tensors ---- */

/* ('storage', type, key, device, elements) becomes a storage. */
static hone_status push_storage(machine *vm)
{
    value id = {0};
    HONE_TRY(pop(vm, &id));
    static const kind expected[] = {TEXT, STORAGE_TYPE, TEXT, TEXT, INTEGER};
    if (id.kind != TUPLE || id.count != 5)
        return fail(vm, "persistent id: expected a tuple of 5, found %s", kind_name(id.kind));
    for (int i = 0; i < 5; i++)
        if (id.items[i].kind != expected[i])
            return fail_kind(vm, "persistent id", expected[i], id.items[i].kind);
    if (!same_text("storage", id.items[0].text, id.items[0].count))
        return fail(vm, "persistent id: expected 'storage', found '%s'",
                    show(id.items[0].text, id.items[0].count).text);
    value key = id.items[2];
    hone_storage_place where = {0};
    HONE_TRY(vm->pickle->locate(vm->pickle->context, key.text, key.count, &where, vm->error));
    if (!where.found)
        return fail(vm, "storage '%s': the zip has no such member", show(key.text, key.count).text);
    hone_dtype dtype = id.items[1].dtype;
    int64_t elements = id.items[4].integer, bytes;
    if (elements < 0 || __builtin_mul_overflow(elements, (int64_t)hone_dtype_size(dtype), &bytes) ||
        bytes != where.size)
        return fail(vm,
                    "storage '%s': %lld elements of %s announced, but the member has %lld bytes",
                    show(key.text, key.count).text, (long long)elements, hone_dtype_name(dtype),
                    (long long)where.size);
    HONE_TRY(reserve(vm, &vm->storages, &vm->storage_capacity, vm->storage_count + 1,
                     sizeof *vm->storages));
    vm->storages[vm->storage_count] = (storage){dtype, elements, where.shard, where.offset};
    return push(vm, (value){.kind = STORAGE, .index = vm->storage_count++});
}

/* Fills shape, elements and strides from two tuples of integers. Strides of dimensions of length 1
 * mean nothing and are made row-major. */
static hone_status set_shape(const machine *vm, value sizes, value steps, hone_stored_tensor *out)
{
    uint64_t shape[HONE_MAX_DIMS], elements, bytes;
    if (sizes.count != steps.count || sizes.count > HONE_MAX_DIMS)
        return fail(vm,
                    "tensor with %u dimensions and %u strides; expected as many of both, at "
                    "most %d",
                    sizes.count, steps.count, HONE_MAX_DIMS);
    out->dims = (int)sizes.count;
    for (int i = 0; i < out->dims; i++) {
        value size = sizes.items[i], step = steps.items[i];
        if (size.kind != INTEGER || step.kind != INTEGER)
            return fail_kind(vm, "shape or stride", INTEGER,
                             size.kind != INTEGER ? size.kind : step.kind);
        if (size.integer < 0 || step.integer < 0)
            return fail(vm, "shape or stride is negative");
        out->shape[i] = size.integer;
        shape[i] = (uint64_t)size.integer;
    }
    if (!hone_shape_elements(shape, out->dims, &elements) ||
        __builtin_mul_overflow(elements, (uint64_t)hone_dtype_size(out->dtype), &bytes) ||
        bytes > INT64_MAX)
        return fail(vm, "shape overflows; expected less than 2^63 bytes");
    out->elements = (int64_t)elements;
    hone_tensor_set_row_major(out);
    for (int i = 0; i < out->dims; i++)
        if (out->shape[i] > 1 && elements > 0)
            out->strides[i] = steps.items[i].integer;
    return HONE_OK;
}

/* Every element inside the storage, no two in the same place. */
static hone_status check_strides(const machine *vm, const hone_stored_tensor *tensor,
                                 int64_t offset, int64_t available)
{
    if (tensor->elements == 0 && offset >= 0 && offset <= available)
        return HONE_OK;
    int64_t covered = 0; /* distance of the last element from the first, of the dimensions done */
    bool done[HONE_MAX_DIMS] = {false};
    for (;;) {
        int next = -1;
        for (int i = 0; i < tensor->dims; i++)
            if (!done[i] && tensor->shape[i] > 1 &&
                (next < 0 || tensor->strides[i] < tensor->strides[next]))
                next = i;
        if (next < 0)
            break;
        done[next] = true;
        if (tensor->strides[next] <= covered)
            return fail(vm,
                        "elements of a tensor share storage (stride %lld over %lld); save it "
                        "with .contiguous()",
                        (long long)tensor->strides[next], (long long)tensor->shape[next]);
        int64_t reach;
        if (__builtin_mul_overflow(tensor->shape[next] - 1, tensor->strides[next], &reach) ||
            __builtin_add_overflow(covered, reach, &covered))
            return fail(vm, "strides overflow");
    }
    if (offset < 0 || offset > available || covered >= available - offset)
        return fail(vm, "tensor reaches outside its storage: from element %lld to %llu, of %lld",
                    (long long)offset, (unsigned long long)offset + (unsigned long long)covered,
                    (long long)available);
    return HONE_OK;
}

/* _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks[, metadata]) */
static hone_status rebuild_tensor(machine *vm, value arguments)
{
    static const kind expected[] = {STORAGE, INTEGER, TUPLE, TUPLE, BOOLEAN, DICT, DICT};
    if (arguments.count != 6 && arguments.count != 7)
        return fail(vm, "_rebuild_tensor_v2 with %u arguments; expected 6", arguments.count);
    for (uint32_t i = 0; i < arguments.count; i++)
        if (arguments.items[i].kind != expected[i] && !(i == 6 && arguments.items[i].kind == NONE))
            return fail_kind(vm, "argument of _rebuild_tensor_v2", expected[i],
                             arguments.items[i].kind);
    if (vm->tensor_count == HONE_MAX_TENSORS)
        return fail(vm, "more than %zu tensors", HONE_MAX_TENSORS);
    const storage *from = &vm->storages[arguments.items[0].index];
    int64_t offset = arguments.items[1].integer;
    hone_stored_tensor tensor = {.dtype = from->dtype, .shard = from->shard};
    HONE_TRY(set_shape(vm, arguments.items[2], arguments.items[3], &tensor));
    HONE_TRY(check_strides(vm, &tensor, offset, from->elements));
    tensor.offset = from->offset + offset * (int64_t)hone_dtype_size(from->dtype);
    tensor.file = vm->file->path;
    HONE_TRY(reserve(vm, &vm->tensors, &vm->tensor_capacity, vm->tensor_count + 1, sizeof tensor));
    vm->tensors[vm->tensor_count] = tensor;
    return push(vm, (value){.kind = TENSOR, .index = vm->tensor_count++});
}

static hone_status rebuild_parameter(machine *vm, value arguments)
{
    static const kind expected[] = {TENSOR, BOOLEAN, DICT};
    if (arguments.count != 3)
        return fail(vm, "_rebuild_parameter with %u arguments; expected 3", arguments.count);
    for (int i = 0; i < 3; i++)
        if (arguments.items[i].kind != expected[i])
            return fail_kind(vm, "argument of _rebuild_parameter", expected[i],
                             arguments.items[i].kind);
    return push(vm, arguments.items[0]);
}

static hone_status reduce(machine *vm)
{
    value arguments = {0}, called = {0};
    HONE_TRY(pop(vm, &arguments));
    HONE_TRY(pop(vm, &called));
    if (called.kind != CALLABLE)
        return fail_kind(vm, "calling", CALLABLE, called.kind);
    if (arguments.kind != TUPLE)
        return fail_kind(vm, "arguments of a call", TUPLE, arguments.kind);
    switch (called.callable) {
    case REBUILD_TENSOR: return rebuild_tensor(vm, arguments);
    case REBUILD_PARAMETER: return rebuild_parameter(vm, arguments);
    case ORDERED_DICT: break;
    }
    if (arguments.count != 0)
        return fail(vm, "OrderedDict with %u arguments; expected none", arguments.count);
    return push_dict(vm);
}

/* ---- running ---- */

/* Names of opcodes that are refused, for the message alone. */
static const char *opcode_name(unsigned char code)
{
    static const struct {
        unsigned char code;
        const char *name;
    } names[] = {
        {'i', "INST"},        {'o', "OBJ"},
        {0x81, "NEWOBJ"},     {0x92, "NEWOBJ_EX"},
        {0x82, "EXT1"},       {0x83, "EXT2"},
        {0x84, "EXT4"},       {'P', "PERSID"},
        {'0', "POP"},         {'1', "POP_MARK"},
        {'2', "DUP"},         {'p', "PUT"},
        {'g', "GET"},         {'d', "DICT"},
        {'l', "LIST"},        {']', "EMPTY_LIST"},
        {'a', "APPEND"},      {'e', "APPENDS"},
        {'I', "INT"},         {'L', "LONG"},
        {'F', "FLOAT"},       {'G', "BINFLOAT"},
        {'S', "STRING"},      {'T', "BINSTRING"},
        {'V', "UNICODE"},     {'U', "SHORT_BINSTRING"},
        {'B', "BINBYTES"},    {'C', "SHORT_BINBYTES"},
        {0x8b, "LONG4"},      {0x8d, "BINUNICODE8"},
        {0x8e, "BINBYTES8"},  {0x8f, "EMPTY_SET"},
        {0x90, "ADDITEMS"},   {0x91, "FROZENSET"},
        {0x96, "BYTEARRAY8"}, {0x97, "NEXT_BUFFER"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].code == code)
            return names[i].name;
    return "unknown";
}

static hone_status take_protocol(machine *vm)
{
    uint64_t protocol = 0;
    HONE_TRY(take_unsigned(vm, 1, &protocol));
    if (vm->start != 0 || protocol < 2 || protocol > 5)
        return fail(vm, "pickle protocol %d here; expected 2 to 5, at the beginning",
                    (int)protocol);
    return HONE_OK;
}

static hone_status take_frame(machine *vm)
{
    uint64_t length = 0;
    HONE_TRY(take_unsigned(vm, 8, &length));
    if (length > vm->pickle->size - vm->at)
        return fail(vm, "the pickle is cut short: a frame of %llu bytes, found %zu",
                    (unsigned long long)length, vm->pickle->size - vm->at);
    return HONE_OK;
}

static hone_status step(machine *vm, unsigned char code)
{
    switch (code) {
    case 0x80: return take_protocol(vm);
    case 0x95: return take_frame(vm);
    case '(': return push_mark(vm);
    case '}': return push_dict(vm);
    case ')': return make_tuple(vm, vm->depth);
    case 0x85: return make_short_tuple(vm, 1);
    case 0x86: return make_short_tuple(vm, 2);
    case 0x87: return make_short_tuple(vm, 3);
    case 't': return make_marked_tuple(vm);
    case 'X': return push_text(vm, 4);
    case 0x8c: return push_text(vm, 1);
    case 'K': return push_integer(vm, 1);
    case 'M': return push_integer(vm, 2);
    case 'J': return push_integer(vm, 4);
    case 0x8a: return push_long(vm);
    case 'N': return push(vm, (value){.kind = NONE});
    case 0x88:
    case 0x89: return push(vm, (value){.kind = BOOLEAN, .integer = code == 0x88});
    case 'q': return put_memo(vm, 1);
    case 'r': return put_memo(vm, 4);
    case 0x94: return memoize(vm, vm->memo_count);
    case 'h': return get_memo(vm, 1);
    case 'j': return get_memo(vm, 4);
    case 'c': return global_from_lines(vm);
    case 0x93: return global_from_stack(vm);
    case 'Q': return push_storage(vm);
    case 'R': return reduce(vm);
    case 's': return set_one_item(vm);
    case 'u': return set_marked_items(vm);
    case 'b': return build(vm);
    default:
        return fail(vm,
                    "opcode %s (0x%02x) is refused; expected only what torch.save writes for a "
                    "dictionary of plain tensors",
                    opcode_name(code), code);
    }
}

/* Runs to STOP, which must be the last byte and leave one dictionary. */
static hone_status run(machine *vm, const dict **out)
{
    for (;;) {
        const char *code = NULL;
        vm->start = vm->at;
        HONE_TRY(take(vm, 1, &code));
        if (*code == '.')
            break;
        HONE_TRY(step(vm, (unsigned char)*code));
    }
    if (vm->at != vm->pickle->size)
        return fail(vm, "%zu bytes after the end of the pickle", vm->pickle->size - vm->at);
    if (vm->mark_count != 0 || vm->depth != 1)
        return fail(vm, "the pickle leaves %zu values; expected one", vm->depth);
    if (vm->stack[0].kind != DICT)
        return fail_kind(vm, "the pickle's result", DICT, vm->stack[0].kind);
    *out = vm->stack[0].dict;
    return HONE_OK;
}

/* Moves the dictionary's tensors to the table of the file. */
static hone_status take_tensors(machine *vm, const dict *result)
{
    for (size_t i = 0; i < result->count; i += 2) {
        value key = result->items[i], item = result->items[i + 1];
        if (key.kind != TEXT)
            return fail_kind(vm, "key of the dictionary", TEXT, key.kind);
        if (item.kind != TENSOR)
            return fail(vm, "entry '%s' is %s; expected a tensor: save the state dict alone",
                        show(key.text, key.count).text, kind_name(item.kind));
        if (hone_utf8_check(key.text, key.count) != key.count ||
            memchr(key.text, '\0', key.count) != NULL)
            return fail(vm, "name '%s': expected UTF-8 without NUL",
                        show(key.text, key.count).text);
        hone_stored_tensor *tensor = NULL;
        HONE_TRY(hone_tensor_file_add(vm->file, &tensor, vm->error));
        *tensor = vm->tensors[item.index];
        tensor->name = hone_arena_strndup(&vm->file->names, key.text, key.count);
        if (tensor->name == NULL)
            return hone_fail_memory(vm->error, "names of tensors", key.count + 1);
    }
    return HONE_OK;
}

hone_status hone_pickle_run(const hone_pickle *pickle, hone_tensor_file *file, hone_error *error)
{
    machine vm = {.pickle = pickle, .file = file, .error = error, .spent = pickle->size};
    const dict *result = NULL;
    hone_status status = run(&vm, &result);
    if (status == HONE_OK)
        status = take_tensors(&vm, result);
    for (dict *each = vm.dicts; each != NULL; each = each->next)
        hone_free(each->items);
    hone_arena_deinit(&vm.arena);
    hone_free(vm.tensors);
    hone_free(vm.storages);
    hone_free(vm.memo);
    hone_free(vm.stack);
    return status;
}
