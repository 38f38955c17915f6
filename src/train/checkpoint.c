/* Writing and reading one checkpoint: see checkpoint.h. */
#include "train/checkpoint.h"

#include "base/files.h"
#include "file/weight_source.h"
#include "optim/clip.h"
#include "train/checkpoint_folder.h"
#include "train/json_file.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define STATE_LIMIT ((size_t)4 << 20)

const char *hone_run_log_name(hone_run_log log)
{
    static const char *const names[] = {
#define NAME(name, file) file,
        HONE_RUN_LOG_LIST(NAME)
#undef NAME
    };
    return names[log];
}

/* ---- state.json --------------------------------------------------------------------------- */

/* One list for writing and reading: JSON key, kind, member. */
#define STATE_INTEGERS(X)                                                                          \
    X("step", step)                                                                                \
    X("best_step", stopping.best_step)                                                             \
    X("validations_without_improvement", stopping.bad)                                             \
    X("tokens", tokens)
#define STATE_REALS(X)                                                                             \
    X("best_measure", stopping.best)                                                               \
    X("best_validation_loss", kept_loss)                                                           \
    X("loss", loss)                                                                                \
    X("grad_norm", grad_norm)                                                                      \
    X("learning_rate", learning_rate)                                                              \
    X("seconds", seconds)

static hone_json *state_json(const hone_checkpoint *checkpoint)
{
    const hone_run_state *state = checkpoint->state;
    hone_json *root = hone_json_new_object(), *logs = hone_json_new_object();
    bool made = root != NULL && logs != NULL;
#define PUT(key, member)                                                                           \
    made = made && hone_json_set(root, key, hone_json_new_integer(state->member));
    STATE_INTEGERS(PUT)
#undef PUT
#define PUT(key, member) made = made && hone_json_set(root, key, hone_json_new_real(state->member));
    STATE_REALS(PUT)
#undef PUT
    made = made && hone_json_set(root, "ended_early", hone_json_new_bool(state->ended_early));
    for (int i = 0; i < HONE_RUN_LOGS; i++)
        made = made && hone_json_set(logs, hone_run_log_name((hone_run_log)i),
                                     hone_json_new_integer(state->log_sizes[i]));
    made = made && hone_json_set(root, "log_bytes", logs != NULL ? hone_json_share(logs) : NULL) &&
           hone_json_set(root, "settings", hone_json_share(checkpoint->settings));
    hone_json_free(logs);
    if (made)
        return root;
    hone_json_free(root);
    return NULL;
}

static hone_status state_lacks(const char *file, const char *key, hone_error *error)
{
    return hone_fail_at(error, HONE_INPUT, file, -1, -1,
                        "the key \"%s\" is missing or of another type than expected", key);
}

static hone_status parse_state(const hone_json *root, const char *file, hone_run_state *state,
                               hone_error *error)
{
    *state = (hone_run_state){0};
#define GET(key, member)                                                                           \
    if (!hone_json_integer(hone_json_get(root, key), &state->member) || state->member < 0)         \
        return state_lacks(file, key, error);
    STATE_INTEGERS(GET)
#undef GET
#define GET(key, member)                                                                           \
    if (!hone_json_real(hone_json_get(root, key), &state->member) || !isfinite(state->member))     \
        return state_lacks(file, key, error);
    STATE_REALS(GET)
#undef GET
    if (!hone_json_bool(hone_json_get(root, "ended_early"), &state->ended_early))
        return state_lacks(file, "ended_early", error);
    const hone_json *logs = hone_json_get(root, "log_bytes");
    for (int i = 0; i < HONE_RUN_LOGS; i++) {
        const char *name = hone_run_log_name((hone_run_log)i);
        if (!hone_json_integer(hone_json_get(logs, name), &state->log_sizes[i]) ||
            state->log_sizes[i] < 0)
            return state_lacks(file, name, error);
    }
    return HONE_OK;
}

hone_status hone_checkpoint_read_state(const char *path, hone_run_state *state,
                                       hone_json **settings, hone_error *error)
{
    *settings = NULL;
    char *file = hone_path_join(path, "state.json");
    if (file == NULL)
        return hone_fail_memory(error, "path", 0);
    hone_json *root = NULL;
    hone_status status = hone_json_load(file, STATE_LIMIT, &root, error);
    if (status == HONE_OK)
        status = parse_state(root, file, state, error);
    if (status == HONE_OK) {
        hone_json *found = hone_json_get(root, "settings");
        if (found == NULL || hone_json_type_of(found) != HONE_JSON_OBJECT)
            status = state_lacks(file, "settings", error);
        else
            *settings = hone_json_share(found);
    }
    hone_json_free(root);
    hone_free(file);
    return status;
}

/* ---- tensors ------------------------------------------------------------------------------ */

static hone_tensor_out tensor_of(const hone_parameter *parameter, const char *name,
                                 const float *block)
{
    return (hone_tensor_out){.name = name,
                             .dtype = HONE_F32,
                             .stored = HONE_F32,
                             .dims = parameter->dims,
                             .shape = {parameter->rows, parameter->columns},
                             .data = block + parameter->offset};
}

static hone_status write_values(const char *path, const hone_parameters *parameters,
                                hone_error *error)
{
    char *file = hone_path_join(path, "trainable.safetensors");
    hone_tensor_out *tensors = hone_alloc_array(parameters->count + 1, sizeof *tensors);
    hone_status status = HONE_OK;
    if (file == NULL || tensors == NULL) {
        status = hone_fail_memory(error, "checkpoint", parameters->count * sizeof *tensors);
    } else {
        for (size_t i = 0; i < parameters->count; i++)
            tensors[i] =
                tensor_of(&parameters->items[i], parameters->items[i].name, parameters->values);
        status = hone_safetensors_write(file, tensors, parameters->count, error);
    }
    hone_free(tensors);
    hone_free(file);
    return status;
}

static char *moment_name(hone_arena *names, const char *moment, const char *parameter)
{
    size_t size = strlen(moment) + strlen(parameter) + 2;
    char *name = hone_arena_alloc(names, size);
    if (name != NULL)
        snprintf(name, size, "%s/%s", moment, parameter);
    return name;
}

static hone_status write_moments(const char *path, const hone_parameters *parameters,
                                 const hone_adamw *adamw, hone_error *error)
{
    size_t count = parameters->count;
    hone_arena names = {0};
    char *file = hone_path_join(path, "optimizer.safetensors");
    hone_tensor_out *tensors = hone_alloc_array(2 * count + 1, sizeof *tensors);
    bool made = file != NULL && tensors != NULL;
    for (size_t i = 0; i < count && made; i++) {
        const hone_parameter *parameter = &parameters->items[i];
        const char *first = moment_name(&names, "first", parameter->name);
        const char *second = moment_name(&names, "second", parameter->name);
        made = first != NULL && second != NULL;
        tensors[2 * i] = tensor_of(parameter, first, adamw->first);
        tensors[2 * i + 1] = tensor_of(parameter, second, adamw->second);
    }
    hone_status status = made ? hone_safetensors_write(file, tensors, 2 * count, error)
                              : hone_fail_memory(error, "checkpoint", count * sizeof *tensors);
    hone_free(tensors);
    hone_free(file);
    hone_arena_deinit(&names);
    return status;
}

static hone_status read_tensor(const hone_weight_source *source, const char *name,
                               const hone_parameter *parameter, float *block, hone_error *error)
{
    const hone_stored_tensor *stored = hone_weight_source_find(source, name);
    if (stored == NULL)
        return hone_fail(error, HONE_MISMATCH, "the checkpoint has no tensor %s", name);
    bool fits = stored->dtype == HONE_F32 && stored->dims == parameter->dims &&
                stored->shape[0] == parameter->rows &&
                (stored->dims < 2 || stored->shape[1] == parameter->columns);
    if (!fits)
        return hone_fail_at(error, HONE_MISMATCH, stored->file, -1, -1,
                            "%s: expected F32 of %lld x %lld, found %s of %lld elements", name,
                            (long long)parameter->rows, (long long)parameter->columns,
                            hone_dtype_name(stored->dtype), (long long)stored->elements);
    return hone_weight_source_read(source, stored, HONE_F32, block + parameter->offset, error);
}

static hone_status read_block(const char *path, const char *name, const char *moment,
                              const hone_parameters *parameters, float *block, hone_error *error)
{
    char *file = hone_path_join(path, name);
    if (file == NULL)
        return hone_fail_memory(error, "path", 0);
    hone_weight_source *source = NULL;
    hone_arena names = {0};
    hone_status status = hone_weight_source_open(file, "", &source, error);
    for (size_t i = 0; i < parameters->count && status == HONE_OK; i++) {
        const hone_parameter *parameter = &parameters->items[i];
        const char *key = parameter->name;
        if (moment != NULL)
            key = moment_name(&names, moment, parameter->name);
        status = key == NULL ? hone_fail_memory(error, "checkpoint", 0)
                             : read_tensor(source, key, parameter, block, error);
    }
    hone_arena_deinit(&names);
    hone_weight_source_close(source);
    hone_free(file);
    return status;
}

hone_status hone_checkpoint_read_tensors(const char *path, const hone_parameters *parameters,
                                         hone_adamw *adamw, hone_error *error)
{
    HONE_TRY(
        read_block(path, "trainable.safetensors", NULL, parameters, parameters->values, error));
    HONE_TRY(read_block(path, "optimizer.safetensors", "first", parameters, adamw->first, error));
    return read_block(path, "optimizer.safetensors", "second", parameters, adamw->second, error);
}

/* ---- the whole ---------------------------------------------------------------------------- */

static hone_status check_finite(const hone_checkpoint *checkpoint, hone_error *error)
{
    const hone_parameters *parameters = checkpoint->parameters;
    const struct {
        const char *what;
        const float *block;
    } blocks[] = {{"trained values", parameters->values},
                  {"Adam's first moments", checkpoint->adamw->first},
                  {"Adam's second moments", checkpoint->adamw->second}};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        if (!isfinite(hone_gradient_norm(blocks[i].block, parameters->elements)))
            return hone_fail(error, HONE_NUMERIC,
                             "step %lld: the %s are not all finite: no checkpoint is written",
                             (long long)checkpoint->state->step, blocks[i].what);
    return HONE_OK;
}

static hone_status write_files(const char *path, const hone_checkpoint *checkpoint,
                               hone_error *error)
{
    HONE_TRY(hone_folder_make(path, error));
    HONE_TRY(write_values(path, checkpoint->parameters, error));
    HONE_TRY(write_moments(path, checkpoint->parameters, checkpoint->adamw, error));
    HONE_TRY(hone_json_file_write(path, "state.json", state_json(checkpoint), 17, error));
    return hone_manifest_write(path, checkpoint->state->step, &checkpoint->identity, error);
}

/* Puts the finished folder in its place. What stood there, if anything, ends up under the temporary
 * name and is removed by the caller. */
static hone_status move_into_place(const char *temporary, const char *path,
                                   const hone_checkpoint *checkpoint, hone_error *error)
{
    if (!hone_file_exists(path)) {
        if (rename(temporary, path) != 0)
            return hone_fail_errno(error, path, "cannot rename the finished checkpoint");
        return HONE_OK;
    }
    hone_run_identity found;
    if (hone_checkpoint_check(path, checkpoint->state->step, &found, NULL) == HONE_OK &&
        memcmp(&found, &checkpoint->identity, sizeof found) != 0)
        return hone_fail_at(error, HONE_MISMATCH, path, -1, -1,
                            "a checkpoint of another run stands here: move it away");
    if (renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_EXCHANGE) != 0)
        return hone_fail_errno(error, path, "cannot replace the checkpoint");
    return HONE_OK;
}

static char *step_path(const char *folder, int64_t step, bool temporary)
{
    char name[96];
    if (temporary)
        snprintf(name, sizeof name, "step-%lld.tmp.%ld", (long long)step, (long)getpid());
    else
        snprintf(name, sizeof name, "step-%lld", (long long)step);
    return hone_path_join(folder, name);
}

hone_status hone_checkpoint_write(const char *folder, const hone_checkpoint *checkpoint,
                                  char **path, hone_error *error)
{
    if (path != NULL)
        *path = NULL;
    HONE_TRY(check_finite(checkpoint, error));
    char *final = step_path(folder, checkpoint->state->step, false);
    char *temporary = step_path(folder, checkpoint->state->step, true);
    hone_status status = HONE_OK;
    if (final == NULL || temporary == NULL) {
        status = hone_fail_memory(error, "path", 0);
        goto done;
    }
    /* A process with the same number may have died here. */
    HONE_TRY_GOTO(hone_folder_remove(temporary, error), done);
    status = write_files(temporary, checkpoint, error);
    if (status == HONE_OK)
        status = hone_folder_sync(temporary, error);
    if (status == HONE_OK)
        status = move_into_place(temporary, final, checkpoint, error);
    if (status == HONE_OK)
        status = hone_folder_sync(folder, error);
    hone_status removed = hone_folder_remove(temporary, status == HONE_OK ? error : NULL);
    if (status == HONE_OK)
        status = removed;
done:
    hone_free(temporary);
    if (status == HONE_OK && path != NULL)
        *path = final;
    else
        hone_free(final);
    return status;
}
