/* Packed rows: positions, shifted labels, starts. */
#include "data/dataset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static hone_document document(const int32_t *ids, const int32_t *labels, int64_t length)
{
    return (hone_document){.ids = ids, .labels = labels, .length = length, .line = 1};
}

static void documents_lie_side_by_side_with_labels_shifted(void **state)
{
    (void)state;
    static const int32_t a[] = {11, 12, 13}, b[] = {21}, c[] = {31, 32, 33, 34, 35};
    static const int32_t c_labels[] = {31, -1, -1, 34, 35};
    static const int32_t ids[] = {11, 12, 13, 21, 31, 32, 33, 34, 35};
    static const int32_t positions[] = {0, 1, 2, 0, 0, 1, 2, 3, 4};
    static const int32_t labels[] = {12, 13, -1, -1, -1, -1, 34, 35, -1};
    static const int64_t starts[] = {0, 3, 4, 9};
    hone_packer *packer;
    hone_error error = {0};
    assert_int_equal(hone_packer_create(&packer, &error), HONE_OK);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(hone_packer_batch(packer).target.rows, 0);
        assert_int_equal(hone_packer_add(packer, document(a, a, 3), &error), HONE_OK);
        assert_int_equal(hone_packer_add(packer, document(b, b, 1), &error), HONE_OK);
        assert_int_equal(hone_packer_add(packer, document(c, c_labels, 5), &error), HONE_OK);
        hone_batch batch = hone_packer_batch(packer);
        assert_int_equal(batch.target.rows, 9);
        assert_int_equal(batch.segments, 3);
        assert_memory_equal(batch.target.ids, ids, sizeof ids);
        assert_memory_equal(batch.target.positions, positions, sizeof positions);
        assert_memory_equal(batch.labels, labels, sizeof labels);
        assert_memory_equal(batch.target.starts, starts, sizeof starts);
        assert_int_equal(hone_packer_labels(packer), 4);
        hone_packer_reset(packer);
        assert_int_equal(hone_packer_labels(packer), 0);
        assert_int_equal(hone_packer_batch(packer).target.starts[0], 0);
    }
    hone_packer_free(packer);
}

static void without_labels_nothing_is_predicted(void **state)
{
    (void)state;
    static const int32_t a[] = {11, 12, 13};
    hone_packer *packer;
    hone_error error = {0};
    assert_int_equal(hone_packer_create(&packer, &error), HONE_OK);
    assert_int_equal(hone_packer_add(packer, document(a, NULL, 3), &error), HONE_OK);
    assert_int_equal(hone_packer_labels(packer), 0);
    assert_int_equal(hone_packer_batch(packer).labels[0], HONE_NO_LABEL);
    hone_packer_free(packer);
}

static void a_document_without_tokens_is_refused(void **state)
{
    (void)state;
    static const int32_t a[] = {11};
    hone_packer *packer;
    hone_error error = {0};
    assert_int_equal(hone_packer_create(&packer, &error), HONE_OK);
    assert_int_equal(hone_packer_add(packer, document(a, a, 0), &error), HONE_USAGE);
    assert_int_equal(hone_packer_batch(packer).segments, 0);
    hone_packer_free(packer);
    hone_packer_free(NULL);
}

static void a_large_batch_keeps_what_was_added(void **state)
{
    (void)state;
    int32_t ids[101];
    hone_packer *packer;
    hone_error error = {0};
    assert_int_equal(hone_packer_create(&packer, &error), HONE_OK);
    int64_t rows = 0;
    for (int32_t d = 0; d < 1009; d++) {
        int64_t length = d % 101 + 1;
        for (int32_t i = 0; i < length; i++)
            ids[i] = d * 128 + i;
        assert_int_equal(hone_packer_add(packer, document(ids, ids, length), &error), HONE_OK);
        rows += length;
    }
    hone_batch batch = hone_packer_batch(packer);
    assert_int_equal(batch.target.rows, rows);
    assert_int_equal(batch.target.starts[batch.segments], rows);
    for (int64_t s = 0; s < batch.segments; s++)
        for (int64_t row = batch.target.starts[s]; row < batch.target.starts[s + 1]; row++) {
            int64_t i = row - batch.target.starts[s];
            assert_int_equal(batch.target.ids[row], s * 128 + i);
            assert_int_equal(batch.target.positions[row], i);
            assert_int_equal(batch.labels[row], row + 1 < batch.target.starts[s + 1]
                                                    ? s * 128 + i + 1
                                                    : HONE_NO_LABEL);
        }
    hone_packer_free(packer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_lie_side_by_side_with_labels_shifted),
        cmocka_unit_test(without_labels_nothing_is_predicted),
        cmocka_unit_test(a_document_without_tokens_is_refused),
        cmocka_unit_test(a_large_batch_keeps_what_was_added),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
