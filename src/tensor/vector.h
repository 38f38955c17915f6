/* Sixteen floats at a time, in the compiler's own vectors, and names for each instruction set.
 * Included only by sources that are compiled once for each set (HONE_ISA says which): the compiler
 * splits a vector into what the set has. */
#ifndef HONE_TENSOR_VECTOR_H
#define HONE_TENSOR_VECTOR_H

#include <math.h>
#include <stdint.h>
#include <string.h>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

#ifndef HONE_ISA
#error "compile with HONE_ISA set to the name of an instruction set"
#endif
#define HONE_JOIN_(a, b) a##_##b
#define HONE_JOIN(a, b) HONE_JOIN_(a, b)
/* name_v3, name_v4 ...: everything that such a source exports */
#define HONE_ISA_NAME(name) HONE_JOIN(name, HONE_ISA)

typedef float vec __attribute__((vector_size(64)));
typedef int32_t ivec __attribute__((vector_size(64)));
typedef uint32_t uvec __attribute__((vector_size(64)));
enum { LANES = 16 };

static inline vec vec_load(const float *from)
{
    vec value;
    memcpy(&value, from, sizeof value);
    return value;
}

static inline void vec_store(float *to, vec value)
{
    memcpy(to, &value, sizeof value);
}

static inline vec vec_set(float value)
{
    return value - (vec){0};
}

/* mask lanes are 0 or -1, as comparisons make them */
static inline vec vec_select(ivec mask, vec yes, vec no)
{
    ivec bits = (mask & (ivec)yes) | (~mask & (ivec)no);
    return (vec)bits;
}

/* b where either is NaN. Compilers make three instructions of the comparison and the selection. */
static inline vec vec_max(vec a, vec b)
{
#ifdef __AVX512F__
    return (vec)_mm512_max_ps((__m512)a, (__m512)b);
#else
    return vec_select(a > b, a, b);
#endif
}

static inline vec vec_min(vec a, vec b)
{
#ifdef __AVX512F__
    return (vec)_mm512_min_ps((__m512)a, (__m512)b);
#else
    return vec_select(a < b, a, b);
#endif
}

/* Mask of the lanes before lane n. */
static inline ivec vec_below(int64_t n)
{
    const ivec lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return lane < (int32_t)(n < LANES ? n : LANES);
}

/* To bf16 as hone_f32_to_bf16 does it. */
static inline void vec_store_bf16(uint16_t *to, vec value)
{
    typedef uint16_t hvec __attribute__((vector_size(32)));
    uvec bits = (uvec)value;
    uvec rounded = (bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16, quiet = bits >> 16 | 0x40u;
    uvec whole = (uvec)vec_select(value == value, (vec)rounded, (vec)quiet);
    hvec half = __builtin_convertvector(whole, hvec);
    memcpy(to, &half, sizeof half);
}

static inline vec vec_load_bf16(const uint16_t *from)
{
    typedef uint16_t hvec __attribute__((vector_size(32)));
    hvec half;
    memcpy(&half, from, sizeof half);
    return (vec)(__builtin_convertvector(half, uvec) << 16);
}

/* Pairwise: halves are added to halves, the same order everywhere. */
static inline float vec_sum(vec v)
{
    v += __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
    v += __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);
    v += __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
    v += __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
    return v[0];
}

/* The sums of four vectors: within quarters of a vector first, then the quarters. */
static inline void vec_sum4(const vec v[4], float out[4])
{
    vec ab = __builtin_shufflevector(v[0], v[1], 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28,
                                     13, 29) +
             __builtin_shufflevector(v[0], v[1], 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30,
                                     15, 31);
    vec cd = __builtin_shufflevector(v[2], v[3], 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28,
                                     13, 29) +
             __builtin_shufflevector(v[2], v[3], 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30,
                                     15, 31);
    vec all =
        __builtin_shufflevector(ab, cd, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29) +
        __builtin_shufflevector(ab, cd, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
    all += __builtin_shufflevector(all, all, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
    all += __builtin_shufflevector(all, all, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);
    memcpy(out, &all, 4 * sizeof *out);
}

static inline float vec_largest(vec v)
{
    v = vec_max(__builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7),
                v);
    v = vec_max(__builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11),
                v);
    v = vec_max(__builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13),
                v);
    v = vec_max(__builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14),
                v);
    return v[0];
}

/* e^f, where x = n ln 2 + f, |f| <= ln 2 / 2; shifted = n + 1.5 * 2^23. */
static inline vec vec_exp_fraction(vec x, vec shifted)
{
    vec n = shifted - 12582912.0f;
    vec f = x - n * 0.693359375f;
    f = f - n * -2.12194440e-4f;
    vec p = vec_set(1.9875691500e-4f);
    p = p * f + 1.3981999507e-3f;
    p = p * f + 8.3334519073e-3f;
    p = p * f + 4.1665795894e-2f;
    p = p * f + 1.6666665459e-1f;
    p = p * f + 5.0000001201e-1f;
    return p * f * f + f + 1.0f;
}

/* e^x within 2 ulp for x up to 88: 0 below -87.3 (no denormals); NaN stays NaN. */
static inline vec vec_exp_bounded(vec x)
{
    vec clamped = vec_max(vec_set(-87.33f), x);
    vec shifted = clamped * 1.44269504f + 12582912.0f; /* 1.5 * 2^23: rounds to an integer */
    vec scale = (vec)(((ivec)shifted - (0x4B400000 - 127)) << 23);
    vec result = vec_exp_fraction(clamped, shifted) * scale;
    return (vec)(~(x < vec_set(-87.33f)) & (ivec)result);
}

/* e^x within 2 ulp for any x: infinity above 88.7. */
static inline vec vec_exp(vec x)
{
    vec clamped = vec_select(x > vec_set(88.73f), vec_set(88.73f), x);
    clamped = vec_select(clamped < vec_set(-87.33f), vec_set(-87.33f), clamped);
    vec shifted = clamped * 1.44269504f + 12582912.0f; /* 1.5 * 2^23: rounds to an integer */
    vec p = vec_exp_fraction(clamped, shifted);
    /* 2^n in two halves, so that n = 128 does not overflow on the way */
    ivec whole = (ivec)shifted - 0x4B400000;
    ivec half = whole >> 1;
    vec scale_low = (vec)((half + 127) << 23), scale_high = (vec)((whole - half + 127) << 23);
    vec result = p * scale_low * scale_high;
    result = vec_select(x < vec_set(-87.33f), vec_set(0.0f), result);
    return vec_select(x == x, result, x);
}

#endif
