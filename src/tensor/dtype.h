/* Element types of files, weights and values, and conversion of rows between them. */
#ifndef HONE_TENSOR_DTYPE_H
#define HONE_TENSOR_DTYPE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef enum hone_dtype {
    HONE_F32,
    HONE_F16,
    HONE_BF16,
    HONE_F64,
    HONE_I64,
    HONE_I32,
    HONE_I16,
    HONE_I8,
    HONE_U8,
    HONE_BOOL,
    HONE_DTYPE_COUNT
} hone_dtype;

size_t hone_dtype_size(hone_dtype type);      /* bytes of one element */
const char *hone_dtype_name(hone_dtype type); /* as safetensors spells it: "F32" */

/* bf16 is the upper half of f32; rounding is to nearest, ties to even; NaN stays NaN. */
static inline float hone_bf16_to_f32(uint16_t value)
{
    uint32_t bits = (uint32_t)value << 16;
    float result;
    memcpy(&result, &bits, sizeof result);
    return result;
}

static inline uint16_t hone_f32_to_bf16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t rounded = (bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16;
    uint32_t quiet = bits >> 16 | 0x40u;
    return (uint16_t)((bits & 0x7FFFFFFFu) > 0x7F800000u ? quiet : rounded);
}

/* Converts n elements between F32, F16 and BF16 (F64 as a source too). No overlap. */
void hone_convert(hone_dtype from, const void *source, hone_dtype to, void *target, size_t n);

#endif
