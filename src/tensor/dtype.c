/* Sizes, names and conversions of element types. */
#include "tensor/dtype.h"

size_t hone_dtype_size(hone_dtype type)
{
    static const size_t sizes[HONE_DTYPE_COUNT] = {4, 2, 2, 8, 8, 4, 2, 1, 1, 1};
    return sizes[type];
}

const char *hone_dtype_name(hone_dtype type)
{
    static const char *const names[HONE_DTYPE_COUNT] = {"F32", "F16", "BF16", "F64", "I64",
                                                        "I32", "I16", "I8",   "U8",  "BOOL"};
    return names[type];
}

/* IEEE half to single, without branches: the exponent is put right by one exact multiplication,
 * which normalizes subnormal halves too; infinities and NaN get the largest exponent. */
static inline float f16_to_f32(uint16_t value)
{
    uint32_t sign = (uint32_t)(value & 0x8000u) << 16, body = value & 0x7FFFu;
    uint32_t bits = body << 13;
    float result;
    memcpy(&result, &bits, sizeof result);
    result *= 0x1p112f;
    memcpy(&bits, &result, sizeof bits);
    bits = (body >= 0x7C00u ? 0x7F800000u | body << 13 : bits) | sign;
    memcpy(&result, &bits, sizeof result);
    return result;
}

static inline uint16_t f32_to_f16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000u, body = bits & 0x7FFFFFFFu;
    if (body > 0x7F800000u)
        return (uint16_t)(sign | 0x7E00u);
    if (body >= 0x477FF000u) /* rounds to at least 65520: infinity */
        return (uint16_t)(sign | 0x7C00u);
    if (body < 0x38800000u) { /* subnormal half: adding 0.5 rounds at the right bit */
        float magnitude, half = 0.5f;
        memcpy(&magnitude, &body, sizeof magnitude);
        magnitude += half;
        uint32_t sum;
        memcpy(&sum, &magnitude, sizeof sum);
        return (uint16_t)(sign | (sum - 0x3F000000u));
    }
    return (uint16_t)(sign | (body - 0x38000000u + 0xFFFu + (body >> 13 & 1u)) >> 13);
}

static inline float load(hone_dtype type, const void *source, size_t i)
{
    switch (type) {
    case HONE_F16: return f16_to_f32(((const uint16_t *)source)[i]);
    case HONE_BF16: return hone_bf16_to_f32(((const uint16_t *)source)[i]);
    case HONE_F64: return (float)((const double *)source)[i];
    default: return ((const float *)source)[i];
    }
}

void hone_convert(hone_dtype from, const void *source, hone_dtype to, void *target, size_t n)
{
    if (from == to) {
        memcpy(target, source, n * hone_dtype_size(from));
    } else if (to == HONE_F32) {
        float *out = target;
        if (from == HONE_BF16)
            for (size_t i = 0; i < n; i++)
                out[i] = hone_bf16_to_f32(((const uint16_t *)source)[i]);
        else if (from == HONE_F16)
            for (size_t i = 0; i < n; i++)
                out[i] = f16_to_f32(((const uint16_t *)source)[i]);
        else
            for (size_t i = 0; i < n; i++)
                out[i] = load(from, source, i);
    } else if (to == HONE_BF16) {
        uint16_t *out = target;
        for (size_t i = 0; i < n; i++)
            out[i] = hone_f32_to_bf16(load(from, source, i));
    } else if (to == HONE_F16) {
        uint16_t *out = target;
        for (size_t i = 0; i < n; i++)
            out[i] = f32_to_f16(load(from, source, i));
    }
}
