/* Studies: see hone/compare.h. Everything goes through the option tables: what a run can be set to
 * can stand in the file without a line here. */
#include "study/study.h"

#include "base/files.h"
#include "base/memory.h"
#include "base/option_value.h"
#include "base/parallel.h"
#include "base/string_builder.h"
#include "base/yaml.h"
#include "train/run_settings.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define FILE_LIMIT ((size_t)1 << 20)

enum { NAME = 100, EXPERIMENTS = 1000 };

#define ROW(type, key, value, minimum, maximum, choices, metavar, help)                            \
    {#key, HONE_OPTION_##type, offsetof(OBJECT, key), value, minimum, maximum, choices, metavar,   \
     help},
#define OBJECT hone_compare_settings
static const hone_option compare_options[] = {HONE_COMPARE_SETTINGS(ROW)};
#undef OBJECT

hone_option_set hone_compare_option_set(hone_compare_settings *object)
{
    return (hone_option_set){compare_options, sizeof compare_options / sizeof *compare_options,
                             object, "Comparison"};
}

/* The keys of a file beside those of settings. */
typedef struct study_place {
    hone_option_STRING out;
} study_place;
typedef struct experiment_name {
    hone_option_STRING name;
} experiment_name;

static const hone_option place_options[] = {{"out", HONE_OPTION_STRING, offsetof(study_place, out),
                                             "", 0, 0, NULL, "DIR", "Folder of the comparison"}};
static const hone_option name_options[] = {{"name", HONE_OPTION_STRING,
                                            offsetof(experiment_name, name), "", 0, 0, NULL, "NAME",
                                            "Name of the experiment"}};

/* ---- life --------------------------------------------------------------------------------- */

static hone_status init(hone_study *study, hone_error *error)
{
    hone_option_set set = hone_compare_option_set(&study->settings);
    HONE_TRY(hone_options_init(&set, error));
    hone_status status = hone_run_settings_init(&study->defaults, error);
    if (status != HONE_OK)
        hone_options_deinit(&set);
    if (status != HONE_OK)
        return status;
    study->defaults.train.eval_generate = 32;
    status = hone_study_set(study, "metrics", "rouge1,rouge2,rougeL,bleu", "metrics", error);
    if (status != HONE_OK) {
        hone_run_settings_deinit(&study->defaults);
        hone_options_deinit(&set);
    }
    return status;
}

void hone_study_free(hone_study *study)
{
    if (study == NULL)
        return;
    for (size_t i = 0; i < study->count; i++) {
        hone_free(study->items[i].name);
        hone_run_settings_deinit(&study->items[i].settings);
    }
    hone_option_set set = hone_compare_option_set(&study->settings);
    hone_options_deinit(&set);
    hone_run_settings_deinit(&study->defaults);
    hone_free(study->items);
    hone_free(study->out);
    hone_free(study);
}

size_t hone_study_count(const hone_study *study)
{
    return study->count;
}

const char *hone_study_name(const hone_study *study, size_t index)
{
    return study->items[index].name;
}

const hone_run_settings *hone_study_experiment(const hone_study *study, size_t index)
{
    return &study->items[index].settings;
}

const char *hone_study_out(const hone_study *study)
{
    return study->out;
}

/* ---- experiments -------------------------------------------------------------------------- */

static hone_status check_name(const hone_study *study, const char *name, hone_error *error)
{
    size_t length = strlen(name);
    bool fits = length > 0 && length <= NAME && name[0] != '.';
    for (size_t i = 0; i < length; i++)
        fits = fits && (isalnum((unsigned char)name[i]) || strchr("._-", name[i]) != NULL) &&
               (unsigned char)name[i] < 0x80;
    if (!fits)
        return hone_fail(
            error, HONE_USAGE,
            "the name of an experiment is a folder's too: expected at most %d letters, "
            "digits, dots, dashes and underscores, found \"%.200s\"",
            NAME, name);
    for (size_t i = 0; i < study->count; i++)
        if (strcmp(study->items[i].name, name) == 0)
            return hone_fail(error, HONE_USAGE,
                             "two experiments are called \"%.100s\": each needs a name of its own",
                             name);
    if (study->count == EXPERIMENTS)
        return hone_fail(error, HONE_USAGE, "expected at most %d experiments", EXPERIMENTS);
    return HONE_OK;
}

/* Takes the settings, also on failure. */
static hone_status add(hone_study *study, const char *name, hone_run_settings *settings,
                       hone_error *error)
{
    const char *called = name != NULL ? name : settings->adapter.method;
    hone_status status = check_name(study, called, error);
    void *items = study->items;
    char *copy = NULL;
    if (status == HONE_OK) {
        copy = hone_strdup(called);
        if (copy == NULL ||
            !hone_array_reserve(&items, &study->capacity, study->count + 1, sizeof *study->items))
            status = hone_fail_memory(error, "study", sizeof *study->items);
        study->items = items;
    }
    if (status != HONE_OK) {
        hone_free(copy);
        hone_run_settings_deinit(settings);
        return status;
    }
    study->items[study->count++] = (hone_experiment){copy, *settings};
    return HONE_OK;
}

hone_status hone_study_add(hone_study *study, const char *name, hone_error *error)
{
    hone_run_settings settings;
    HONE_TRY(hone_run_settings_copy(&settings, &study->defaults, error));
    return add(study, name, &settings, error);
}

static hone_status add_method(hone_study *study, const char *method, const hone_map *learning_rates,
                              hone_error *error)
{
    hone_run_settings settings;
    hone_option_set sets[HONE_RUN_SETS];
    HONE_TRY(hone_run_settings_copy(&settings, &study->defaults, error));
    hone_run_option_sets(&settings, sets);
    hone_status status =
        hone_options_set_text(sets, HONE_RUN_SETS, "method", method, "methods", error);
    for (size_t i = 0; learning_rates != NULL && i < learning_rates->count; i++)
        if (strcmp(learning_rates->keys[i], method) == 0)
            settings.train.learning_rate = learning_rates->values[i];
    if (status == HONE_OK)
        return add(study, method, &settings, error);
    hone_run_settings_deinit(&settings);
    return status;
}

hone_status hone_study_add_methods(hone_study *study, const hone_list *methods,
                                   const hone_map *learning_rates, hone_error *error)
{
    for (size_t i = 0; learning_rates != NULL && i < learning_rates->count; i++) {
        bool known = false;
        for (size_t m = 0; m < methods->count; m++)
            known = known || strcmp(methods->items[m], learning_rates->keys[i]) == 0;
        if (!known)
            return hone_fail(error, HONE_USAGE,
                             "learning_rates: \"%.100s\" is none of the methods that are compared",
                             learning_rates->keys[i]);
        if (!(learning_rates->values[i] >= 0.0 && learning_rates->values[i] <= 1e3))
            return hone_fail(error, HONE_USAGE,
                             "learning_rates: expected numbers from 0 to 1000, found %g",
                             learning_rates->values[i]);
    }
    for (size_t i = 0; i < methods->count; i++)
        HONE_TRY(add_method(study, methods->items[i], learning_rates, error));
    return HONE_OK;
}

static hone_status set_out(hone_study *study, const char *out, hone_error *error)
{
    char *copy = out != NULL && out[0] != '\0' ? hone_strdup(out) : NULL;
    if (copy == NULL && out != NULL && out[0] != '\0')
        return hone_fail_memory(error, "path", strlen(out));
    hone_free(study->out);
    study->out = copy;
    return HONE_OK;
}

hone_status hone_study_set(hone_study *study, const char *key, const char *text, const char *place,
                           hone_error *error)
{
    hone_option_set own = hone_compare_option_set(&study->settings), sets[HONE_RUN_SETS];
    if (strcmp(key, "out") == 0)
        return set_out(study, text, error);
    if (hone_options_find(&own, 1, key, NULL) != NULL)
        return hone_options_set_text(&own, 1, key, text, place, error);
    hone_run_option_sets(&study->defaults, sets);
    HONE_TRY(hone_options_set_text(sets, HONE_RUN_SETS, key, text, place, error));
    for (size_t i = 0; i < study->count; i++) {
        hone_run_option_sets(&study->items[i].settings, sets);
        HONE_TRY(hone_options_set_text(sets, HONE_RUN_SETS, key, text, place, error));
    }
    return HONE_OK;
}

/* ---- files -------------------------------------------------------------------------------- */

static hone_status refuse_out(const hone_yaml *document, const char *file, hone_error *error)
{
    for (size_t i = 0; i < document->count; i++)
        if (strcmp(document->entries[i].key, "out") == 0)
            return hone_fail_at(error, HONE_INPUT, file, document->entries[i].line, -1,
                                "an experiment has no \"out\" of its own: it is runs/NAME in that "
                                "of the comparison");
    return HONE_OK;
}

static hone_status parse_top(hone_study *study, const hone_yaml *top, const char *file,
                             hone_error *error)
{
    study_place place = {NULL};
    const hone_option_set sets[] = {hone_compare_option_set(&study->settings),
                                    {place_options, 1, &place, ""}};
    hone_status status = hone_options_apply(sets, 2, top, file, error);
    if (status == HONE_OK)
        status = set_out(study, place.out, error);
    hone_options_deinit(&sets[1]);
    return status;
}

static hone_status parse_defaults(hone_study *study, const hone_yaml *body, const char *file,
                                  hone_error *error)
{
    hone_option_set sets[HONE_RUN_SETS];
    HONE_TRY(refuse_out(body, file, error));
    hone_run_option_sets(&study->defaults, sets);
    return hone_options_apply(sets, HONE_RUN_SETS, body, file, error);
}

static hone_status parse_experiment(hone_study *study, const hone_yaml_section *section,
                                    const char *file, hone_error *error)
{
    experiment_name name = {NULL};
    hone_run_settings settings;
    hone_option_set sets[1 + HONE_RUN_SETS] = {{name_options, 1, &name, ""}};
    HONE_TRY(refuse_out(&section->body, file, error));
    HONE_TRY(hone_run_settings_copy(&settings, &study->defaults, error));
    hone_run_option_sets(&settings, sets + 1);
    hone_status status = hone_options_apply(sets, 1 + HONE_RUN_SETS, &section->body, file, error);
    if (status != HONE_OK) {
        hone_run_settings_deinit(&settings);
    } else {
        status = add(study, name.name, &settings, error);
        if (status == HONE_USAGE && error != NULL) {
            hone_error inner = *error;
            status = hone_fail_at(error, HONE_INPUT, file, section->line, -1, "%s", inner.message);
        }
    }
    hone_options_deinit(&sets[0]);
    return status;
}

/* Keys whose values should have been documents. */
static hone_status check_top(const hone_yaml *top, const char *file, hone_error *error)
{
    for (size_t i = 0; i < top->count; i++) {
        bool defaults = strcmp(top->entries[i].key, "defaults") == 0;
        if (defaults || strcmp(top->entries[i].key, "experiments") == 0)
            return hone_fail_at(error, HONE_INPUT, file, top->entries[i].line, -1,
                                defaults ? "expected the defaults as lines of \"key: value\""
                                         : "expected a list of experiments, each with lines of "
                                           "\"key: value\"");
    }
    return HONE_OK;
}

static hone_status parse_book(hone_study *study, const hone_yaml_book *book, const char *file,
                              hone_error *error)
{
    HONE_TRY(check_top(&book->top, file, error));
    HONE_TRY(parse_top(study, &book->top, file, error));
    size_t defaults = 0;
    /* The defaults go first, wherever they stand. */
    for (size_t i = 0; i < book->count; i++) {
        const hone_yaml_section *section = &book->sections[i];
        if (strcmp(section->key, "defaults") == 0) {
            if (defaults++ > 0)
                return hone_fail_at(error, HONE_INPUT, file, section->line, -1,
                                    "expected one mapping of defaults, found a list");
            HONE_TRY(parse_defaults(study, &section->body, file, error));
        } else if (strcmp(section->key, "experiments") != 0) {
            return hone_fail_at(error, HONE_INPUT, file, section->line, -1,
                                "expected the keys defaults and experiments, found '%.100s'",
                                section->key);
        }
    }
    for (size_t i = 0; i < book->count; i++)
        if (strcmp(book->sections[i].key, "experiments") == 0)
            HONE_TRY(parse_experiment(study, &book->sections[i], file, error));
    if (study->count == 0)
        return hone_fail_at(error, HONE_INPUT, file, -1, -1,
                            "expected a list of experiments, found none");
    return HONE_OK;
}

hone_status hone_study_parse(hone_study *study, const char *text, size_t length, const char *file,
                             hone_error *error)
{
    hone_yaml_book book;
    HONE_TRY(hone_yaml_parse_book(text, length, file, &book, error));
    hone_status status = parse_book(study, &book, file, error);
    hone_yaml_book_deinit(&book);
    return status;
}

hone_status hone_study_create(const char *path, hone_study **out, hone_error *error)
{
    *out = NULL;
    hone_study *study = hone_alloc_array(1, sizeof *study);
    if (study == NULL)
        return hone_fail_memory(error, "study", sizeof *study);
    hone_status status = init(study, error);
    if (status != HONE_OK) {
        hone_free(study);
        return status;
    }
    if (path != NULL) {
        char *text;
        size_t length;
        status = hone_file_load(path, FILE_LIMIT, &text, &length, error);
        if (status == HONE_OK) {
            status = hone_study_parse(study, text, length, path, error);
            hone_free(text);
        }
    }
    if (status != HONE_OK)
        hone_study_free(study);
    else
        *out = study;
    return status;
}

/* JSON is YAML: texts are written with quotes, lists and maps in one line. */
static void put_value(hone_string *out, const hone_option *option, const void *field)
{
    char number[32];
    if (option->type == HONE_OPTION_LIST) {
        const hone_list *list = field;
        for (size_t i = 0; i < list->count; i++) {
            hone_string_add(out, i > 0 ? ", " : "[");
            hone_string_json(out, list->items[i], strlen(list->items[i]));
        }
        hone_string_add(out, list->count > 0 ? "]" : "[]");
    } else if (option->type == HONE_OPTION_MAP) {
        const hone_map *map = field;
        for (size_t i = 0; i < map->count; i++) {
            hone_string_add(out, i > 0 ? ", " : "{");
            hone_string_json(out, map->keys[i], strlen(map->keys[i]));
            hone_option_number_text(map->values[i], number);
            hone_string_format(out, ": %s", number);
        }
        hone_string_add(out, map->count > 0 ? "}" : "{}");
    } else if (option->type == HONE_OPTION_STRING) {
        const char *text = *(char *const *)field;
        if (text != NULL)
            hone_string_json(out, text, strlen(text));
        else
            hone_string_add(out, "null");
    } else {
        char *text = hone_option_value_text(option, field);
        out->failed = out->failed || text == NULL;
        hone_string_add(out, text != NULL ? text : "");
        hone_free(text);
    }
}

static void put_experiment(hone_string *out, hone_experiment *experiment)
{
    hone_option_set sets[HONE_RUN_SETS];
    hone_run_option_sets(&experiment->settings, sets);
    hone_string_format(out, "  - name: \"%s\"\n", experiment->name);
    for (size_t s = 0; s < HONE_RUN_SETS; s++) {
        for (size_t i = 0; i < sets[s].count; i++) {
            const hone_option *option = &sets[s].options[i];
            if (strcmp(option->key, "out") == 0)
                continue;
            hone_string_format(out, "    %s: ", option->key);
            put_value(out, option, hone_option_field(&sets[s], option));
            hone_string_add(out, "\n");
        }
    }
}

hone_status hone_study_save(const hone_study *study, const char *path, hone_error *error)
{
    hone_string out = {0};
    hone_string_format(&out, "num_predictions: %lld\n", (long long)study->settings.num_predictions);
    if (study->settings.title != NULL) {
        hone_string_add(&out, "title: ");
        hone_string_json(&out, study->settings.title, strlen(study->settings.title));
        hone_string_add(&out, "\n");
    }
    hone_string_add(&out, "experiments:\n");
    for (size_t i = 0; i < study->count; i++)
        put_experiment(&out, &study->items[i]);
    hone_status status = hone_string_write(&out, path, error);
    hone_string_deinit(&out);
    return status;
}

hone_status hone_study_isolate(const hone_compare_options *options, const char *what,
                               const char *name, hone_compare_work_fn work, void *argument,
                               hone_error *error)
{
    char text[200];
    if (options == NULL || options->isolate == NULL)
        return work(argument, error);
    /* A signal may have come between two pieces. */
    if (options->stop != NULL && options->stop(options->context) != 0)
        return hone_fail(error, HONE_STOPPED, "stopped on request before %s %.160s", what, name);
    snprintf(text, sizeof text, "%s %.160s", what, name);
    /* A fork would copy the pool's memory, but not its threads. */
    hone_parallel_stop();
    return options->isolate(options->context, text, work, argument, error);
}

hone_status hone_study_check(const hone_study *study, hone_error *error)
{
    if (study->out == NULL)
        return hone_fail(error, HONE_USAGE, "no folder given for the comparison (out)");
    if (study->count == 0)
        return hone_fail(error, HONE_USAGE, "there are no experiments to compare (methods)");
    for (size_t i = 0; i < study->count; i++) {
        const hone_run_settings *settings = &study->items[i].settings;
        if (settings->model.model == NULL)
            return hone_fail(error, HONE_USAGE, "%s: no model folder given (model)",
                             study->items[i].name);
        if (settings->train.train == NULL)
            return hone_fail(error, HONE_USAGE, "%s: no training data given (train)",
                             study->items[i].name);
        if (settings->train.valid == NULL && settings->train.split == 0.0)
            return hone_fail(error, HONE_USAGE,
                             "%s: no validation data given (valid or split): there would be "
                             "nothing to compare by",
                             study->items[i].name);
    }
    return HONE_OK;
}
