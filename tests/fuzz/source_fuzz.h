/* What must hold of every file of tensors that was accepted: shared by the targets of src/file. */
#ifndef HONE_SOURCE_FUZZ_H
#define HONE_SOURCE_FUZZ_H

#include "file/tensor_file.h"

#include <stdlib.h>
#include <string.h>

static inline void require(int holds)
{
    if (!holds)
        abort();
}

/* Shape, strides and elements agree, and the elements reach no further than `room` elements. */
static inline void check_tensor(const hone_stored_tensor *tensor, int64_t room)
{
    int64_t elements = 1, last = 0;
    require(tensor->dims >= 0 && tensor->dims <= HONE_MAX_DIMS);
    require(tensor->dtype >= 0 && tensor->dtype < HONE_DTYPE_COUNT);
    for (int i = 0; i < tensor->dims; i++) {
        require(tensor->shape[i] >= 0 && tensor->strides[i] >= 0);
        if (tensor->elements > 0) {
            elements *= tensor->shape[i];
            last += (tensor->shape[i] - 1) * tensor->strides[i];
        }
    }
    require(tensor->elements == 0 || (tensor->elements == elements && last < room));
}

/* Opens bytes as the file `name`, checks all tensors and reads the smaller float ones. */
static inline void check_source(const char *name, const uint8_t *data, size_t size, int may_fail)
{
    hone_weight_source *source;
    hone_error error;
    error.message[0] = '\0';
    if (hone_weight_source_borrow(name, data, size, &source, &error) != HONE_OK) {
        require(error.status == HONE_INPUT && error.message[0] != '\0');
        return;
    }
    for (size_t i = 0; i < hone_weight_source_count(source); i++) {
        const hone_stored_tensor *tensor = hone_weight_source_at(source, i);
        int is_float = tensor->dtype == HONE_F32 || tensor->dtype == HONE_F16 ||
                       tensor->dtype == HONE_BF16 || tensor->dtype == HONE_F64;
        require(i == 0 || strcmp(hone_weight_source_at(source, i - 1)->name, tensor->name) < 0);
        require(hone_weight_source_find(source, tensor->name) == tensor);
        check_tensor(tensor, INT64_MAX);
        if (!is_float || tensor->elements > 1 << 16)
            continue;
        float *target = malloc((size_t)tensor->elements * sizeof *target + 1);
        require(target != NULL);
        hone_status status = hone_weight_source_read(source, tensor, HONE_F32, target, &error);
        require(status == HONE_OK || (may_fail && status == HONE_INPUT));
        free(target);
    }
    hone_weight_source_close(source);
}

#endif
