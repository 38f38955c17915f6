/* Floats, as many at a time as a register holds, in the compiler's own vectors, and names for each
 * instruction set. Included only by sources that are compiled once for each set (HONE_ISA says
 * which). */
#ifndef HONE_TENSOR_VECTOR_H
#define HONE_TENSOR_VECTOR_H

#include <math.h>
#include <stdint.h>
#include <string.h>
#ifdef __AVX__
#include <immintrin.h>
#endif

#ifndef HONE_ISA
#error "compile with HONE_ISA set to the name of an instruction set"
#endif
#define HONE_JOIN_(a, b) a##_##b
#define HONE_JOIN(a, b) HONE_JOIN_(a, b)
/* name_v3, name_v4 ...: everything that such a source exports */
#define HONE_ISA_NAME(name) HONE_JOIN(name, HONE_ISA)

/* As wide as the set's registers: compilers keep wider ones in memory. */
#if defined(__AVX512F__)
#define VECTOR_LANES 16
#elif defined(__AVX__)
#define VECTOR_LANES 8
#else
#define VECTOR_LANES 4
#endif
enum { LANES = VECTOR_LANES };
typedef float vec __attribute__((vector_size(4 * VECTOR_LANES)));
typedef int32_t ivec __attribute__((vector_size(4 * VECTOR_LANES)));
typedef uint32_t uvec __attribute__((vector_size(4 * VECTOR_LANES)));
typedef uint16_t vec_halves __attribute__((vector_size(2 * VECTOR_LANES)));

/* Orders of lanes. SWAP_n: groups of n lanes change places with their neighbours. LOW, HIGH: within
 * each four lanes of a and b the lower, the upper halves in turn; FIRST, SECOND: their halves. */
#define ORDER __builtin_shufflevector
#if VECTOR_LANES == 16
#define EACH_LANE 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
#define SWAP_8(v) ORDER(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7)
#define SWAP_4(v) ORDER(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11)
#define SWAP_2(v) ORDER(v, v, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13)
#define SWAP_1(v) ORDER(v, v, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14)
#define LOW(a, b) ORDER(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29)
#define HIGH(a, b) ORDER(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31)
#define FIRST(a, b) ORDER(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29)
#define SECOND(a, b) ORDER(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31)
#elif VECTOR_LANES == 8
#define EACH_LANE 0, 1, 2, 3, 4, 5, 6, 7
#define SWAP_4(v) ORDER(v, v, 4, 5, 6, 7, 0, 1, 2, 3)
#define SWAP_2(v) ORDER(v, v, 2, 3, 0, 1, 6, 7, 4, 5)
#define SWAP_1(v) ORDER(v, v, 1, 0, 3, 2, 5, 4, 7, 6)
#define LOW(a, b) ORDER(a, b, 0, 8, 1, 9, 4, 12, 5, 13)
#define HIGH(a, b) ORDER(a, b, 2, 10, 3, 11, 6, 14, 7, 15)
#define FIRST(a, b) ORDER(a, b, 0, 1, 8, 9, 4, 5, 12, 13)
#define SECOND(a, b) ORDER(a, b, 2, 3, 10, 11, 6, 7, 14, 15)
#else
#define EACH_LANE 0, 1, 2, 3
#define SWAP_2(v) ORDER(v, v, 2, 3, 0, 1)
#define SWAP_1(v) ORDER(v, v, 1, 0, 3, 2)
#define LOW(a, b) ORDER(a, b, 0, 4, 1, 5)
#define HIGH(a, b) ORDER(a, b, 2, 6, 3, 7)
#define FIRST(a, b) ORDER(a, b, 0, 1, 4, 5)
#define SECOND(a, b) ORDER(a, b, 2, 3, 6, 7)
#endif

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
#if defined(__AVX512F__)
    return (vec)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX__)
    return (vec)_mm256_max_ps((__m256)a, (__m256)b);
#else
    return vec_select(a > b, a, b);
#endif
}

static inline vec vec_min(vec a, vec b)
{
#if defined(__AVX512F__)
    return (vec)_mm512_min_ps((__m512)a, (__m512)b);
#elif defined(__AVX__)
    return (vec)_mm256_min_ps((__m256)a, (__m256)b);
#else
    return vec_select(a < b, a, b);
#endif
}

/* Mask of the lanes before lane n. */
static inline ivec vec_below(int64_t n)
{
    const ivec lane = {EACH_LANE};
    return lane < (int32_t)(n < LANES ? n : LANES);
}

/* To bf16 as hone_f32_to_bf16 does it. */
static inline void vec_store_bf16(uint16_t *to, vec value)
{
#ifdef __AVX512BF16__
    __m256bh half = _mm512_cvtneps_pbh((__m512)value);
#else
    uvec bits = (uvec)value;
    uvec rounded = (bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16, quiet = bits >> 16 | 0x40u;
    uvec whole = (uvec)vec_select(value == value, (vec)rounded, (vec)quiet);
    vec_halves half = __builtin_convertvector(whole, vec_halves);
#endif
    memcpy(to, &half, sizeof half);
}

static inline vec vec_load_bf16(const uint16_t *from)
{
    vec_halves half;
    memcpy(&half, from, sizeof half);
    return (vec)(__builtin_convertvector(half, uvec) << 16);
}

/* Pairwise: halves are added to halves. */
static inline float vec_sum(vec v)
{
#if VECTOR_LANES >= 16
    v += SWAP_8(v);
#endif
#if VECTOR_LANES >= 8
    v += SWAP_4(v);
#endif
    v += SWAP_2(v);
    v += SWAP_1(v);
    return v[0];
}

/* The sums of four vectors: within each four lanes first, then those sums. */
static inline void vec_sum4(const vec v[4], float out[4])
{
    vec ab = LOW(v[0], v[1]) + HIGH(v[0], v[1]);
    vec cd = LOW(v[2], v[3]) + HIGH(v[2], v[3]);
    vec all = FIRST(ab, cd) + SECOND(ab, cd);
#if VECTOR_LANES >= 16
    all += SWAP_8(all);
#endif
#if VECTOR_LANES >= 8
    all += SWAP_4(all);
#endif
    memcpy(out, &all, 4 * sizeof *out);
}

static inline float vec_largest(vec v)
{
#if VECTOR_LANES >= 16
    v = vec_max(SWAP_8(v), v);
#endif
#if VECTOR_LANES >= 8
    v = vec_max(SWAP_4(v), v);
#endif
    v = vec_max(SWAP_2(v), v);
    v = vec_max(SWAP_1(v), v);
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

#define LOG2_E 1.44269504f

/* 2^t within 4 ulp for t up to 127; 2^-126 where t is less than -126; NaN stays NaN. The polynomial
 * has the least relative error on [-1/2, 1/2] of its degree. */
static inline vec vec_exp2(vec t)
{
    t = vec_max(vec_set(-126.0f), t);
#if defined(__AVX512F__)
    enum { TO_NEAREST = 8 }; /* and no exceptions */
    vec n = (vec)_mm512_roundscale_ps((__m512)t, TO_NEAREST);
#else
    vec shifted = t + 12582912.0f; /* 1.5 * 2^23: rounds to an integer */
    vec n = shifted - 12582912.0f;
#endif
    vec f = t - n;
    vec p = vec_set(1.327645745e-3f);
    p = p * f + 9.675541218e-3f;
    p = p * f + 5.550713318e-2f;
    p = p * f + 2.402211973e-1f;
    p = p * f + 6.931469670e-1f;
    p = p * f + 1.000000072f;
#if defined(__AVX512F__)
    return (vec)_mm512_scalef_ps((__m512)p, (__m512)n);
#else
    return (vec)((ivec)p + (((ivec)shifted - 0x4B400000) << 23));
#endif
}

/* e^x for x up to 88: within 4 ulp and x / 10 ulp more; e^-87.3 below that; NaN stays NaN. */
static inline vec vec_exp_bounded(vec x)
{
    return vec_exp2(x * LOG2_E);
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
