/* Conversions between element types: all 65,536 halves and bf16 numbers there and back, and the
 * rounding of f32 at the borders. */
#include "tensor/dtype.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The definition, slowly. */
static double half_value(uint16_t bits)
{
    int exponent = bits >> 10 & 31, fraction = bits & 1023;
    double sign = bits & 0x8000 ? -1 : 1;
    if (exponent == 31)
        return fraction != 0 ? (double)NAN : sign * (double)INFINITY;
    return exponent == 0 ? sign * ldexp(fraction, -24)
                         : sign * ldexp(1024 + fraction, exponent - 25);
}

static void every_half_has_its_value_and_comes_back(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 65536; i++) {
        uint16_t half = (uint16_t)i, back;
        float value;
        hone_convert(HONE_F16, &half, HONE_F32, &value, 1);
        hone_convert(HONE_F32, &value, HONE_F16, &back, 1);
        if (isnan(half_value(half))) {
            assert_true(isnan(value));
            assert_true((back & 0x7C00) == 0x7C00 && (back & 0x3FF) != 0);
        } else {
            assert_true((double)value == half_value(half));
            assert_int_equal(back, half);
        }
    }
}

static void every_bf16_comes_back(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 65536; i++) {
        uint16_t half = (uint16_t)i, back;
        float value;
        hone_convert(HONE_BF16, &half, HONE_F32, &value, 1);
        hone_convert(HONE_F32, &value, HONE_BF16, &back, 1);
        assert_true(isnan(value) ? isnan(hone_bf16_to_f32(back)) : back == half);
    }
}

static void rounding_is_to_nearest_ties_to_even(void **state)
{
    (void)state;
    static const struct {
        float value;
        uint16_t half, bfloat;
    } cases[] = {
        {1.0f, 0x3C00, 0x3F80},
        {1.00048828125f, 0x3C00, 0x3F80}, /* half a step of f16: to the even one below */
        {1.00146484375f, 0x3C02, 0x3F80}, /* one and a half: to the even one above */
        {1.00390625f, 0x3C04, 0x3F80},    /* half a step of bf16 */
        {1.01171875f, 0x3C0C, 0x3F82},    /* one and a half */
        {65519.0f, 0x7BFF, 0x4780},       /* the last that rounds to the largest half */
        {65520.0f, 0x7C00, 0x4780},       /* infinity */
        {0x1p-25f, 0x0000, 0x3300},       /* half of the least half: to zero */
        {0x1.8p-24f, 0x0002, 0x33C0},     /* one and a half: to two */
        {-0x1p-14f, 0x8400, 0xB880},      /* the least normal half */
        {-0.0f, 0x8000, 0x8000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint16_t half, bfloat;
        hone_convert(HONE_F32, &cases[i].value, HONE_F16, &half, 1);
        hone_convert(HONE_F32, &cases[i].value, HONE_BF16, &bfloat, 1);
        assert_int_equal(half, cases[i].half);
        assert_int_equal(bfloat, cases[i].bfloat);
    }
}

static void a_nan_stays_one(void **state)
{
    (void)state;
    uint32_t bits = 0x7F800001u; /* its payload is in the half that bf16 drops */
    float value;
    uint16_t half, bfloat;
    memcpy(&value, &bits, sizeof value);
    hone_convert(HONE_F32, &value, HONE_F16, &half, 1);
    hone_convert(HONE_F32, &value, HONE_BF16, &bfloat, 1);
    assert_true(isnan(half_value(half)));
    assert_true(isnan(hone_bf16_to_f32(bfloat)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_half_has_its_value_and_comes_back),
        cmocka_unit_test(every_bf16_comes_back),
        cmocka_unit_test(rounding_is_to_nearest_ties_to_even),
        cmocka_unit_test(a_nan_stays_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
