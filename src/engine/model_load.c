/* Filling weights: see model_load.h. Everything that does not match is collected into one error. */
#include "engine/model_load.h"

#include "base/parallel.h"
#include "base/random.h"

#include <stdio.h>
#include <string.h>

/* ---- names -------------------------------------------------------------------------------- */

const hone_stored_tensor *hone_model_stored(const hone_family *family,
                                            const hone_weight_source *source, const char *name)
{
    const hone_stored_tensor *found = hone_weight_source_find(source, name);
    size_t prefix = strlen(family->prefix);
    if (found == NULL && strncmp(name, family->prefix, prefix) == 0)
        found = hone_weight_source_find(source, name + prefix);
    return found;
}

static bool same_shape(const hone_weight *weight, const hone_stored_tensor *stored)
{
    if (stored->dims != weight->dims || stored->shape[0] != weight->rows)
        return false;
    return weight->dims < 2 || stored->shape[1] == weight->columns;
}

static bool belongs_to_base(const hone_weight *weight)
{
    return weight->use != HONE_WEIGHT_ADAPTER;
}

/* Does some weight of the program ask for this tensor? */
static bool is_asked_for(const hone_model *model, const hone_weight_source *source,
                         const hone_stored_tensor *stored)
{
    const hone_family *family = model->family;
    char full[512];
    snprintf(full, sizeof full, "%s%s", family->prefix, stored->name);
    const char *names[] = {stored->name, full};
    for (int i = 0; i < 2; i++)
        if (hone_program_find_weight(&model->program, names[i]) >= 0 &&
            hone_model_stored(family, source, names[i]) == stored)
            return true;
    /* A tied head beside the embedding holds the same values: checked when the folder was opened.
     */
    return family->ignores(stored->name) || strcmp(stored->name, family->head) == 0;
}

enum { MOST_LISTED = 20 };

static void list(hone_error *error, int *listed, const char *what, const char *name,
                 const char *detail)
{
    if (++*listed <= MOST_LISTED)
        hone_error_append(error, "\n  %s: %s%s", what, name, detail);
}

static void describe_shapes(const hone_weight *weight, const hone_stored_tensor *stored, char *out,
                            size_t size)
{
    int used = snprintf(out, size, " expected (%lld", (long long)weight->rows);
    if (weight->dims == 2)
        used += snprintf(out + used, size - (size_t)used, ", %lld", (long long)weight->columns);
    used += snprintf(out + used, size - (size_t)used, "), found (");
    for (int i = 0; i < stored->dims && (size_t)used < size; i++)
        used += snprintf(out + used, size - (size_t)used, "%s%lld", i > 0 ? ", " : "",
                         (long long)stored->shape[i]);
    if ((size_t)used < size)
        snprintf(out + used, size - (size_t)used, ")");
}

static hone_status check_names(const hone_model *model, const hone_weight_source *source,
                               hone_error *error)
{
    int listed = 0;
    hone_error scratch;
    hone_error *into = error != NULL ? error : &scratch;
    hone_fail_at(into, HONE_MISMATCH, model->folder, -1, -1,
                 "the tensors do not match what config.json describes:");
    for (size_t i = 0; i < model->program.weight_count; i++) {
        const hone_weight *weight = &model->program.weights[i];
        if (!belongs_to_base(weight))
            continue;
        const hone_stored_tensor *stored = hone_model_stored(model->family, source, weight->name);
        char shapes[160];
        if (stored == NULL) {
            list(into, &listed, "missing", weight->name, "");
        } else if (!same_shape(weight, stored)) {
            describe_shapes(weight, stored, shapes, sizeof shapes);
            list(into, &listed, "wrong shape", stored->name, shapes);
        }
    }
    for (size_t i = 0; i < hone_weight_source_count(source); i++) {
        const hone_stored_tensor *stored = hone_weight_source_at(source, i);
        if (!is_asked_for(model, source, stored))
            list(into, &listed, "unexpected", stored->name, "");
    }
    if (listed > MOST_LISTED)
        hone_error_append(into, "\n  and %d more", listed - MOST_LISTED);
    return listed > 0 ? HONE_MISMATCH : HONE_OK;
}

hone_status hone_model_has_own_head(const hone_family *family, const hone_weight_source *source,
                                    bool *out, hone_error *error)
{
    *out = false;
    const hone_stored_tensor *head = hone_model_stored(family, source, family->head);
    const hone_stored_tensor *embedding = hone_model_stored(family, source, family->embedding);
    if (head == NULL || embedding == NULL || head->elements != embedding->elements)
        return HONE_OK;
    size_t bytes;
    if (!hone_size_mul((size_t)head->elements, 2 * sizeof(float), &bytes))
        return hone_fail_memory(error, "head", 0);
    float *values = hone_pages_alloc(bytes);
    if (values == NULL)
        return hone_fail_memory(error, "head", bytes);
    float *other = values + head->elements;
    hone_status status = hone_weight_source_read(source, head, HONE_F32, values, error);
    if (status == HONE_OK)
        status = hone_weight_source_read(source, embedding, HONE_F32, other, error);
    if (status == HONE_OK)
        *out = memcmp(values, other, bytes / 2) != 0;
    hone_pages_free(values, bytes);
    return status;
}

/* ---- memory ------------------------------------------------------------------------------- */

static hone_dtype kept_type(const hone_model *model, const hone_weight *weight)
{
    return weight->use == HONE_WEIGHT_MATRIX ? model->compute : HONE_F32;
}

/* Whether a weight lives in the block of frozen weights (or copies), not only as a master. */
static bool wants_copy(const hone_model *model, const hone_weight *weight)
{
    return weight->master == NULL || kept_type(model, weight) != HONE_F32;
}

hone_status hone_model_allocate(hone_model *model, bool training, hone_error *error)
{
    hone_program *program = &model->program;
    HONE_TRY(hone_parameters_create(program, training, &model->parameters, error));
    for (int pass = 0; pass < 2; pass++) {
        size_t used = 0;
        for (size_t i = 0; i < program->weight_count; i++) {
            hone_weight *weight = &program->weights[i];
            weight->dtype = kept_type(model, weight);
            if (!wants_copy(model, weight)) {
                weight->data = weight->master;
                continue;
            }
            size_t size = (size_t)hone_weight_elements(weight);
            if (!hone_size_mul(size, hone_dtype_size(weight->dtype), &size) ||
                !hone_size_align(size, HONE_ALIGNMENT, &size))
                return hone_fail_memory(error, "weights", size);
            if (pass == 1)
                weight->data = (char *)model->weights + used;
            if (!hone_size_add(used, size, &used))
                return hone_fail_memory(error, "weights", used);
        }
        if (pass == 1)
            break;
        model->weights = hone_pages_alloc(used);
        if (model->weights == NULL)
            return hone_fail_memory(error, "weights", used);
        model->weight_bytes = used;
    }
    return HONE_OK;
}

/* ---- values ------------------------------------------------------------------------------- */

typedef struct load_job {
    hone_model *model;
    const hone_weight_source *source;
    hone_status *status; /* (weights) */

} load_job;

static hone_status load_weight(const load_job *job, const hone_weight *weight, hone_error *error)
{
    const hone_stored_tensor *stored =
        hone_model_stored(job->model->family, job->source, weight->name);
    if (weight->master == NULL)
        return hone_weight_source_read(job->source, stored, weight->dtype, weight->data, error);
    HONE_TRY(hone_weight_source_read(job->source, stored, HONE_F32, weight->master, error));
    if (weight->data != weight->master)
        hone_convert(HONE_F32, weight->master, weight->dtype, weight->data,
                     (size_t)hone_weight_elements(weight));
    return HONE_OK;
}

static void load_task(void *context, int64_t task, int thread)
{
    (void)thread;
    load_job *job = context;
    const hone_weight *weight = &job->model->program.weights[task];
    job->status[task] = belongs_to_base(weight) ? load_weight(job, weight, NULL) : HONE_OK;
}

hone_status hone_model_load(hone_model *model, const hone_weight_source *source, hone_error *error)
{
    HONE_TRY(check_names(model, source, error));
    size_t count = model->program.weight_count;
    load_job job = {.model = model, .source = source};
    job.status = hone_alloc_array(count, sizeof *job.status);
    if (job.status == NULL)
        return hone_fail_memory(error, "loading", count * sizeof *job.status);
    hone_parallel_run((int64_t)count, load_task, &job);
    hone_status status = HONE_OK;
    /* The tasks drop their messages; the first that failed is asked again for its own. */
    for (size_t i = 0; i < count && status == HONE_OK; i++)
        if (job.status[i] != HONE_OK) {
            status = load_weight(&job, &model->program.weights[i], error);
            if (status == HONE_OK)
                continue;
        }
    hone_free(job.status);
    model->file_dtype = HONE_F32;
    const hone_stored_tensor *embedding =
        hone_model_stored(model->family, source, model->family->embedding);
    if (embedding != NULL && (embedding->dtype == HONE_F16 || embedding->dtype == HONE_BF16))
        model->file_dtype = embedding->dtype;
    return status;
}

enum { SITE_INIT = 0x10000000 }; /* of weights: apart from the operations' own sites */

static void initialize_task(void *context, int64_t task, int thread)
{
    (void)thread;
    hone_model *model = context;
    const hone_weight *weight = &model->program.weights[task];
    if (!belongs_to_base(weight))
        return;
    hone_random_key key = {model->seed, SITE_INIT + (uint32_t)task, 0};
    int64_t n = hone_weight_elements(weight);
    for (int64_t i = 0; i < n; i++) {
        float value = weight->init_constant;
        if (weight->init_std > 0.0f)
            value = weight->init_std * (float)hone_random_normal(key, (uint64_t)i);
        if (weight->master != NULL)
            weight->master[i] = value;
        if (weight->data != weight->master)
            hone_convert(HONE_F32, &value, weight->dtype,
                         (char *)weight->data + (size_t)i * hone_dtype_size(weight->dtype), 1);
    }
}

void hone_model_initialize(hone_model *model)
{
    hone_parallel_run((int64_t)model->program.weight_count, initialize_task, model);
    model->file_dtype = HONE_F32;
}

static void refresh_task(void *context, int64_t task, int thread)
{
    (void)thread;
    hone_model *model = context;
    const hone_weight *weight = &model->program.weights[task];
    if (weight->master != NULL && weight->data != weight->master)
        hone_convert(HONE_F32, weight->master, weight->dtype, weight->data,
                     (size_t)hone_weight_elements(weight));
}

void hone_model_refresh(hone_model *model)
{
    if (model->compute != HONE_F32)
        hone_parallel_run((int64_t)model->program.weight_count, refresh_task, model);
}
