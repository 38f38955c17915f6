/* The naive product: the definition that the fast ones are tested against. */
#include "gemm/matmul.h"

static float element(const hone_matrix *matrix, int64_t row, int64_t column)
{
    int64_t at = row * matrix->row_stride + column * matrix->column_stride;
    return matrix->dtype == HONE_BF16 ? hone_bf16_to_f32(((const uint16_t *)matrix->data)[at])
                                      : ((const float *)matrix->data)[at];
}

void hone_matmul_reference(const hone_product *p)
{
    for (int64_t i = 0; i < p->m; i++)
        for (int64_t j = 0; j < p->n; j++) {
            float sum = 0.0f;
            for (int64_t l = 0; l < p->k; l++)
                sum += element(&p->a, i, l) * element(&p->b, l, j);
            if (p->bias != NULL)
                sum += p->bias[j];
            int64_t at = i * p->c_stride + j;
            if (p->c_dtype == HONE_BF16) {
                uint16_t *c = p->c;
                c[at] = hone_f32_to_bf16(p->accumulate ? hone_bf16_to_f32(c[at]) + sum : sum);
            } else {
                float *c = p->c;
                c[at] = p->accumulate ? c[at] + sum : sum;
            }
        }
}
