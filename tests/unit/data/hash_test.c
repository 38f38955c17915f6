/* The hash gives xxh64's published values, whole or in pieces. */
#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void known_values(void **state)
{
    (void)state;
    assert_true(hone_hash64("", 0, 0) == 0xEF46DB3751D8E999u);
    assert_true(hone_hash64("a", 1, 0) == 0xD24EC4F1A98C6E5Bu);
    assert_true(hone_hash64("abc", 3, 0) == 0x44BC2CF5AD770999u);
    assert_true(hone_hash64("abc", 3, 1) != 0x44BC2CF5AD770999u);
}

static void pieces_give_the_value_of_the_whole(void **state)
{
    (void)state;
    unsigned char bytes[257];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * i + 3 * i);
    uint64_t whole = hone_hash64(bytes, sizeof bytes, 7);
    for (size_t cut = 0; cut <= sizeof bytes; cut++) {
        hone_hash hash;
        hone_hash_init(&hash, 7);
        hone_hash_add(&hash, bytes, cut);
        assert_true(hone_hash_get(&hash) == hone_hash64(bytes, cut, 7));
        hone_hash_add(&hash, NULL, 0);
        hone_hash_add(&hash, bytes + cut, sizeof bytes - cut);
        assert_true(hone_hash_get(&hash) == whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_values),
        cmocka_unit_test(pieces_give_the_value_of_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
