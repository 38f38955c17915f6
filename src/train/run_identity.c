/* Identities of runs: see run_identity.h. */
#include "train/run_identity.h"

#include "base/hash.h"

#include <string.h>

enum { PIECES = 64, PIECE_BYTES = 64 };

static void add_sample(hone_hash *hash, const void *data, size_t bytes)
{
    const char *from = data;
    if (from == NULL || bytes <= (size_t)PIECES * PIECE_BYTES) {
        hone_hash_add(hash, from, from != NULL ? bytes : 0);
        return;
    }
    size_t last = bytes - PIECE_BYTES;
    for (size_t i = 0; i < PIECES; i++)
        hone_hash_add(hash, from + last / (PIECES - 1) * i, PIECE_BYTES);
    hone_hash_add(hash, from + last, PIECE_BYTES);
}

static hone_status hash_json(const hone_json *value, hone_hash *hash, hone_error *error)
{
    char *text = hone_json_dump(value, (hone_json_format){.sort_keys = true, .digits = 17});
    if (text == NULL)
        return hone_fail_memory(error, "identity", 0);
    hone_hash_add(hash, text, strlen(text));
    hone_free(text);
    return HONE_OK;
}

static void add_weight(hone_hash *hash, const hone_weight *weight)
{
    bool master = weight->trainable && weight->master != NULL;
    hone_dtype dtype = master ? HONE_F32 : weight->dtype;
    const int64_t facts[] = {weight->dims, weight->rows, weight->columns, (int64_t)dtype};
    hone_hash_add(hash, weight->name, strlen(weight->name) + 1);
    hone_hash_add(hash, facts, sizeof facts);
    add_sample(hash, master ? weight->master : weight->data,
               (size_t)hone_weight_elements(weight) * hone_dtype_size(dtype));
}

hone_status hone_run_identify(const hone_json *settings, const hone_model *model,
                              const hone_dataset *train, const hone_dataset *valid,
                              hone_run_identity *out, hone_error *error)
{
    hone_hash hash;
    *out = (hone_run_identity){.train = hone_dataset_count(train).hash};
    if (valid != NULL)
        out->valid = hone_dataset_count(valid).hash;
    hone_hash_init(&hash, 0);
    HONE_TRY(hash_json(settings, &hash, error));
    out->settings = hone_hash_get(&hash);
    hone_hash_init(&hash, 0);
    HONE_TRY(hash_json(model->config, &hash, error));
    for (size_t i = 0; i < model->program.weight_count; i++)
        add_weight(&hash, &model->program.weights[i]);
    out->base = hone_hash_get(&hash);
    return HONE_OK;
}

hone_status hone_run_identity_compare(const hone_run_identity *found,
                                      const hone_run_identity *stored, const char *place,
                                      hone_status status, hone_error *error)
{
    const struct {
        const char *what;
        bool same;
    } parts[] = {
        {"the base model or the adapter to start from", found->base == stored->base},
        {"the training data", found->train == stored->train},
        {"the validation data", found->valid == stored->valid},
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (parts[i].same)
            continue;
        if (status == HONE_OK)
            status = hone_fail_at(error, HONE_MISMATCH, place, -1, -1,
                                  "the run can't go on, it was started with other parts:");
        hone_error_append(error, "\n  %s: the content has changed since", parts[i].what);
    }
    return status;
}
