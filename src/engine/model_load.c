/* Filling weights: see model_load.h. Everything that does not match is collected into one error. */
#include "engine/model_load.h"

#include "adapter/near_name.h"
#include "base/parallel.h"
#include "base/random.h"

#include <string.h>

/* ---- names -------------------------------------------------------------------------------- */

/* The tensor of a name, or of what is left of it without one of the family's prefixes. */
static const hone_stored_tensor *find_name(const hone_family *family,
                                           const hone_weight_source *source, const char *name)
{
    const hone_stored_tensor *found = hone_weight_source_find(source, name);
    for (int i = 0; found == NULL && i < HONE_FAMILY_NAMES && family->prefixes[i] != NULL; i++) {
        size_t length = strlen(family->prefixes[i]);
        if (strncmp(name, family->prefixes[i], length) == 0)
            found = hone_weight_source_find(source, name + length);
    }
    return found;
}

/* All tensors that a weight has on disk: the embedding may lie there under several names. */
typedef struct stored_names {
    const hone_stored_tensor *found[HONE_FAMILY_NAMES + 1];
    int count;
} stored_names;

static void add_found(stored_names *names, const hone_family *family,
                      const hone_weight_source *source, const char *name)
{
    const hone_stored_tensor *found = find_name(family, source, name);
    if (found != NULL)
        names->found[names->count++] = found;
}

static stored_names find_embedding(const hone_family *family, const hone_weight_source *source)
{
    stored_names names = {0};
    for (int i = 0; i < HONE_FAMILY_NAMES && family->embedding[i] != NULL; i++)
        add_found(&names, family, source, family->embedding[i]);
    return names;
}

static bool is_embedding(const hone_model *model, const hone_weight *weight)
{
    return strcmp(weight->name, model->family->embedding[0]) == 0;
}

static bool has_tied_head(const hone_model *model)
{
    return hone_program_find_weight(&model->program, model->family->head) < 0;
}

static stored_names find_stored(const hone_model *model, const hone_weight_source *source,
                                const hone_weight *weight)
{
    stored_names names = {0};
    if (is_embedding(model, weight)) {
        names = find_embedding(model->family, source);
        if (has_tied_head(model))
            add_found(&names, model->family, source, model->family->head);
    } else {
        add_found(&names, model->family, source, weight->name);
    }
    return names;
}

const hone_stored_tensor *hone_model_stored(const hone_model *model,
                                            const hone_weight_source *source,
                                            const hone_weight *weight)
{
    return find_stored(model, source, weight).found[0];
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

/* ---- comparing ---------------------------------------------------------------------------- */

enum { MOST_LISTED = 8 }; /* of each kind */

/* A folder's tensors held against what the program asks for. */
typedef struct comparison {
    const hone_model *model;
    const hone_weight_source *source;
    bool *asked;          /* (tensors of the source) whether a weight takes it */
    const char **missing; /* names of weights that no tensor has */
    const char **foreign; /* names of tensors that no weight takes */
    size_t missing_count, foreign_count;
    size_t problems, of_kind; /* so far; of the kind being listed */
    hone_error *error;        /* or NULL */
} comparison;

static hone_status sort_names(comparison *c)
{
    const hone_program *program = &c->model->program;
    size_t count = hone_weight_source_count(c->source);
    c->asked = hone_alloc_array(count + 1, sizeof *c->asked);
    c->missing = hone_alloc_array(program->weight_count + 1, sizeof *c->missing);
    c->foreign = hone_alloc_array(count + 1, sizeof *c->foreign);
    if (c->asked == NULL || c->missing == NULL || c->foreign == NULL)
        return hone_fail_memory(c->error, "table of tensors", count);
    for (size_t i = 0; i < program->weight_count; i++) {
        const hone_weight *weight = &program->weights[i];
        if (!belongs_to_base(weight))
            continue;
        stored_names stored = find_stored(c->model, c->source, weight);
        for (int k = 0; k < stored.count; k++)
            c->asked[stored.found[k] - hone_weight_source_at(c->source, 0)] = true;
        if (stored.count == 0)
            c->missing[c->missing_count++] = weight->name;
    }
    for (size_t i = 0; i < count; i++) {
        const char *name = hone_weight_source_at(c->source, i)->name;
        if (!c->asked[i] && !c->model->family->ignores(name))
            c->foreign[c->foreign_count++] = name;
    }
    return HONE_OK;
}

/* Starts a line of the one error, unless there are too many of its kind already. */
static bool add_line(comparison *c, const char *what, const char *name)
{
    if (c->problems++ == 0)
        hone_fail_at(c->error, HONE_MISMATCH, c->model->folder, -1, -1,
                     "the tensors do not match what config.json describes:");
    if (++c->of_kind > MOST_LISTED)
        return false;
    hone_error_append(c->error, "\n  %s: %.120s", what, name);
    return true;
}

static void end_kind(comparison *c, const char *what)
{
    if (c->of_kind > MOST_LISTED)
        hone_error_append(c->error, "\n  and %zu more %s", c->of_kind - MOST_LISTED, what);
    c->of_kind = 0;
}

/* The other names under which a missing weight was looked for. */
static void list_tied_names(comparison *c, const char *name)
{
    const hone_family *family = c->model->family;
    if (strcmp(name, family->embedding[0]) != 0)
        return;
    for (int i = 1; i < HONE_FAMILY_NAMES && family->embedding[i] != NULL; i++)
        hone_error_append(c->error, ", nor %s", family->embedding[i]);
    if (has_tied_head(c->model))
        hone_error_append(c->error, ", nor %s, which is tied to it", family->head);
}

static void list_names(comparison *c, bool missing, const char *const *names, size_t count,
                       const char *const *others, size_t other_count)
{
    const char *what = missing ? "missing" : "unexpected";
    const char *where = missing ? "nearest there" : "nearest missing";
    for (size_t i = 0; i < count; i++) {
        if (!add_line(c, what, names[i]))
            continue;
        if (missing)
            list_tied_names(c, names[i]);
        const char *near = hone_near_name(names[i], others, other_count);
        if (near != NULL)
            hone_error_append(c->error, "; %s: %.120s", where, near);
    }
    end_kind(c, what);
}

static void add_shape(hone_error *error, const int64_t *shape, int dims)
{
    hone_error_append(error, "(");
    for (int i = 0; i < dims; i++)
        hone_error_append(error, "%s%lld", i > 0 ? ", " : "", (long long)shape[i]);
    hone_error_append(error, ")");
}

static void compare_tensor(comparison *c, const hone_weight *weight,
                           const hone_stored_tensor *stored)
{
    hone_dtype type = stored->dtype;
    bool number = type == HONE_F32 || type == HONE_F16 || type == HONE_BF16 || type == HONE_F64;
    if (!same_shape(weight, stored) && add_line(c, "wrong shape", stored->name)) {
        const int64_t shape[HONE_MAX_DIMS] = {weight->rows, weight->columns};
        hone_error_append(c->error, " expected ");
        add_shape(c->error, shape, weight->dims);
        hone_error_append(c->error, ", found ");
        add_shape(c->error, stored->shape, stored->dims);
    }
    if (!number && add_line(c, "wrong type", stored->name))
        hone_error_append(c->error, " expected F32, F16, BF16 or F64, found %s",
                          hone_dtype_name(type));
}

static void compare_tensors(comparison *c)
{
    const hone_program *program = &c->model->program;
    for (size_t i = 0; i < program->weight_count; i++) {
        const hone_weight *weight = &program->weights[i];
        if (!belongs_to_base(weight))
            continue;
        stored_names stored = find_stored(c->model, c->source, weight);
        for (int k = 0; k < stored.count; k++)
            compare_tensor(c, weight, stored.found[k]);
    }
    end_kind(c, "of a wrong shape or type");
}

hone_status hone_model_compare(const hone_model *model, const hone_weight_source *source,
                               hone_error *error)
{
    comparison c = {.model = model, .source = source, .error = error};
    hone_status status = sort_names(&c);
    if (status == HONE_OK) {
        compare_tensors(&c);
        list_names(&c, true, c.missing, c.missing_count, c.foreign, c.foreign_count);
        list_names(&c, false, c.foreign, c.foreign_count, c.missing, c.missing_count);
        status = c.problems > 0 ? HONE_MISMATCH : HONE_OK;
    }
    hone_free(c.asked);
    hone_free(c.missing);
    hone_free(c.foreign);
    return status;
}

hone_status hone_model_find_head(const hone_family *family, const hone_weight_source *source,
                                 hone_stored_head *out, hone_error *error)
{
    *out = HONE_HEAD_ABSENT;
    bool equal = true;
    stored_names names = find_embedding(family, source);
    const hone_stored_tensor *head = find_name(family, source, family->head);
    for (int i = 1; i < names.count; i++) {
        const hone_stored_tensor *one = names.found[0], *other = names.found[i];
        HONE_TRY(hone_weight_source_equal(source, one, other, &equal, error));
        if (!equal)
            return hone_fail_at(error, HONE_MISMATCH, other->file, -1, -1,
                                "%.120s and %.120s are names of one tensor, and differ", one->name,
                                other->name);
    }
    if (head == NULL || names.count == 0 || head->elements != names.found[0]->elements)
        return HONE_OK;
    HONE_TRY(hone_weight_source_equal(source, names.found[0], head, &equal, error));
    *out = equal ? HONE_HEAD_EQUAL : HONE_HEAD_OWN;
    return HONE_OK;
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
    const hone_stored_tensor *stored = hone_model_stored(job->model, job->source, weight);
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
    int found = hone_program_find_weight(&model->program, model->family->embedding[0]);
    const hone_stored_tensor *embedding =
        found >= 0 ? hone_model_stored(model, source, &model->program.weights[found]) : NULL;
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
