/* See tensor_edits.h. */
#include "tensor_edits.h"

#include "engine_support.h"

#include <string.h>

enum { MOST_TENSORS = 64, MOST_VALUES = 8192 };

typedef struct edited {
    hone_tensor_out tensors[MOST_TENSORS];
    size_t count;
    float values[MOST_TENSORS][MOST_VALUES];
} edited;

static edited work;

static size_t find_tensor(const char *name)
{
    for (size_t i = 0; i < work.count; i++)
        if (strcmp(work.tensors[i].name, name) == 0)
            return i;
    fail_msg("the fixture has no tensor %s", name);
    return 0;
}

static void strip(const char *front)
{
    size_t length = strlen(front), found = 0;
    for (size_t i = 0; i < work.count; i++)
        if (strncmp(work.tensors[i].name, front, length) == 0) {
            work.tensors[i].name += length;
            found++;
        }
    assert_true(found > 0);
}

static void apply(const edit *e)
{
    if (e->kind == STRIP) {
        strip(e->name);
        return;
    }
    size_t at = find_tensor(e->name);
    hone_tensor_out *tensor = &work.tensors[at];
    switch (e->kind) {
    case DROP: *tensor = work.tensors[--work.count]; break;
    case RENAME: tensor->name = e->other; break;
    case RESHAPE:
        tensor->dims = e->columns > 0 ? 2 : 1;
        tensor->shape[0] = e->rows;
        tensor->shape[1] = e->columns;
        assert_true(e->rows * (e->columns > 0 ? e->columns : 1) <= MOST_VALUES);
        break;
    case RETYPE:
        tensor->dtype = e->type;
        if (e->type != HONE_F16 && e->type != HONE_BF16)
            tensor->stored = e->type; /* the bytes as they are: enough for a type as wide or less */
        break;
    case ADD:
        memcpy(work.values[work.count], tensor->data, sizeof work.values[0]);
        work.tensors[work.count] = *tensor;
        work.tensors[work.count].data = work.values[work.count];
        work.tensors[work.count++].name = e->other;
        break;
    case SET: {
        int64_t n = tensor->shape[0] * (tensor->dims > 1 ? tensor->shape[1] : 1);
        for (size_t i = 0; i < MOST_TENSORS; i++)
            if (tensor->data == work.values[i])
                work.values[i][n / 2] = e->value;
        break;
    }
    case STRIP: break;
    }
}

void rewrite_tensors(const char *from, const char *to, const edit *edits)
{
    hone_weight_source *source;
    assert_ok(hone_weight_source_open(from, "model", &source, error));
    work.count = hone_weight_source_count(source);
    assert_true(work.count < MOST_TENSORS);
    for (size_t i = 0; i < work.count; i++) {
        const hone_stored_tensor *stored = hone_weight_source_at(source, i);
        assert_true(stored->elements <= MOST_VALUES);
        memset(work.values[i], 0, sizeof work.values[i]);
        work.tensors[i] = (hone_tensor_out){.name = stored->name,
                                            .dtype = HONE_F32,
                                            .stored = HONE_F32,
                                            .dims = stored->dims,
                                            .data = work.values[i]};
        memcpy(work.tensors[i].shape, stored->shape, sizeof stored->shape);
        assert_ok(hone_weight_source_read(source, stored, HONE_F32, work.values[i], error));
    }
    for (; edits->name != NULL; edits++)
        apply(edits);
    assert_ok(hone_safetensors_write(to, work.tensors, work.count, error));
    hone_weight_source_close(source);
}
