/* See fault_scenes.h. */
#include "fault_scenes.h"

#include "../support/byte_tokenizer.h"

#include "base/files.h"
#include "base/memory.h"
#include "train/checkpoint_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ARGUMENTS = 60 };

#define COMMON " --threads 1 --max-source-length 12"
#define LORA                                                                                       \
    "train --model base --method lora --target-modules all-linear --r 2 --lora-dropout 0.1"        \
    " --train train.jsonl --batch-size 2" COMMON

static const char *const study_times[] = {
    "*results.json",    "*table.*", "*report.html", "*-seconds.png", "*-seconds.svg",
    "*experiment.json", NULL};

/* stdio's; nothing removes it. */
static const char *const logprobs_left[] = {"logprobs.jsonl.tmp.*", NULL};

static const scene scenes[SCENES] = {
    [SCENE_TRAIN] = {.name = "train",
                     .first = LORA " --valid valid.jsonl --out out/run --max-steps 3 --eval-steps 1"
                                   " --save-steps 1 --save-total-limit 2",
                     .again = "train --resume out/run",
                     .marker = "run/config.yaml",
                     .checkpoints = "run/checkpoints"},
    [SCENE_FULL] = {.name = "full training with samples and predictions",
                    .first = "train --model base --method full --train train.jsonl --split 0.3"
                             " --batch-size 2 --out out/deep/er/run --max-steps 2 --eval-steps 1"
                             " --save-steps 1 --save-total-limit 1 --sample-steps 2"
                             " --eval-generate 2 --max-new-tokens 2 --metrics rouge1" COMMON,
                    .again = "train --resume out/deep/er/run",
                    .marker = "deep/er/run/config.yaml",
                    .checkpoints = "deep/er/run/checkpoints"},
    [SCENE_MERGE] = {.name = "merge",
                     .first = "merge --model base --adapter adapter --out out/merged"},
    [SCENE_MERGE_OVER] = {.name = "merge over another model",
                          .first = "merge --model base --adapter adapter --out out/merged",
                          .before = "merge --model other --adapter adapter --out out/merged",
                          .config = "merged/config.json",
                          .weights = "merged/model.safetensors"},
    [SCENE_GENERATE] = {.name = "generate",
                        .first = "generate --model base --adapter adapter --data valid.jsonl"
                                 " --max-new-tokens 3 --out out/texts.jsonl" COMMON,
                        .before = "generate --model base --data valid.jsonl --max-new-tokens 3"
                                  " --out out/texts.jsonl" COMMON},
    [SCENE_LOGPROBS] = {.name = "eval",
                        .first = "eval --model base --data valid.jsonl --logprobs"
                                 " out/logprobs.jsonl" COMMON,
                        .before = "eval --model base --adapter adapter --data valid.jsonl"
                                  " --logprobs out/logprobs.jsonl" COMMON,
                        .ignored = logprobs_left,
                        .by_stdio = true},
    [SCENE_PLOT] = {.name = "report", .first = "report run --out out/page.html"},
    [SCENE_COMPARE] = {.name = "compare",
                       .first =
                           "compare --methods ia3,full --model base --train train.jsonl"
                           " --valid valid.jsonl --max-steps 2 --batch-size 2 --eval-steps 1"
                           " --save-steps 1 --eval-generate 2 --num-predictions 2"
                           " --max-new-tokens 2 --metrics rouge1 --out out/study --quiet" COMMON,
                       .ignored = study_times}};

/* ---- inputs ------------------------------------------------------------------------------- */

static void add_tokenizer(tree *inputs, const char *folder)
{
    char text[BYTE_VOCABULARY], path[64];
    size_t used = byte_vocabulary(text);
    snprintf(path, sizeof path, "%s/vocab.json", folder);
    tree_add(inputs, path, false, text, used);
    snprintf(path, sizeof path, "%s/merges.txt", folder);
    tree_add(inputs, path, false, NO_MERGES, strlen(NO_MERGES));
}

/* A base model without weights, which `init random` makes. */
static void add_model(tree *inputs, const char *folder, const char *epsilon)
{
    char text[512], path[64];
    tree_add(inputs, folder, true, NULL, 0);
    int size = snprintf(text, sizeof text,
                        "{\"model_type\": \"gpt2\", \"n_embd\": 6, \"n_head\": 2, \"n_layer\": 1,"
                        " \"vocab_size\": 257, \"n_positions\": 24, \"layer_norm_epsilon\": %s,"
                        " \"initializer_range\": 0.2, \"eos_token_id\": 256}\n",
                        epsilon);
    snprintf(path, sizeof path, "%s/config.json", folder);
    tree_add(inputs, path, false, text, (size_t)size);
    add_tokenizer(inputs, folder);
}

static void add_rows(tree *inputs, const char *path, int count, int first)
{
    char text[4096];
    size_t used = 0;
    for (int i = first; i < first + count; i++)
        used += (size_t)snprintf(text + used, sizeof text - used,
                                 "{\"prompt\": \"row %d is\", \"completion\": \" %c%c\"}\n", i,
                                 'a' + i * 7 % 26, 'a' + i * 5 % 26);
    tree_add(inputs, path, false, text, used);
}

static void start_line(const place *where, const char *line, const char *plan, bool recorded,
                       program_run *run)
{
    char *words = strdup(line), *arguments[ARGUMENTS + 1] = {NULL}, *rest = NULL;
    size_t count = 0;
    for (char *word = strtok_r(words, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest))
        if (count < ARGUMENTS)
            arguments[count++] = word;
    program_start(where, arguments, plan, recorded, run);
    free(words);
}

static void must_run(const place *where, const char *line)
{
    program_run run;
    start_line(where, line, NULL, false, &run);
    if (run.code != 0)
        fail_msg("exit code %d of: %s\n%s", run.code, line, run.said);
    program_free(&run);
}

/* Moves a folder that a run has written to the inputs. */
static void add_folder(tree *inputs, const place *where, const char *from, const char *to)
{
    tree made;
    tree_load(&made, path_in(where->out, from));
    tree_add(inputs, to, true, NULL, 0);
    for (size_t i = 0; i < made.count; i++)
        tree_add(inputs, path_in(to, made.items[i].path), made.items[i].folder, made.items[i].bytes,
                 made.items[i].size);
    tree_free(&made);
}

#define BASE " --init random --method full --train train.jsonl --max-steps 1 --quiet" COMMON

const tree *scene_inputs(void)
{
    static tree inputs;
    if (inputs.count > 0)
        return &inputs;
    place where;
    tree first = {0};
    add_model(&first, "one", "1e-5");
    add_model(&first, "two", "1e-3");
    add_rows(&first, "train.jsonl", 6, 0);
    add_rows(&first, "valid.jsonl", 3, 50);
    tree_sort(&first);
    place_open(&where, 0, &first);
    must_run(&where, "train --model one --out out/base" BASE);
    must_run(&where, "train --model two --out out/other" BASE);
    add_rows(&inputs, "train.jsonl", 6, 0);
    add_rows(&inputs, "valid.jsonl", 3, 50);
    add_folder(&inputs, &where, "base/adapter", "base");
    add_folder(&inputs, &where, "other/adapter", "other");
    tree_sort(&inputs);
    place_open(&where, 0, &inputs);
    must_run(&where, LORA " --max-steps 1 --learning-rate 0.1 --out out/run");
    add_folder(&inputs, &where, "run/adapter", "adapter");
    add_folder(&inputs, &where, "run", "run");
    tree_sort(&inputs);
    tree_free(&first);
    return &inputs;
}

/* ---- rehearsals --------------------------------------------------------------------------- */

static void replay(const rehearsal *r)
{
    char why[2048] = "";
    tree image;
    disk *d = disk_create(&r->start, r->root);
    for (size_t i = 0; i < r->calls.count; i++)
        if (!disk_apply(d, &r->calls.entries[i], why, sizeof why))
            fail_msg("%s: %s", r->scene->name, why);
    disk_image(d, LOSS_NONE, 0, &image);
    if (!tree_same(&r->raw, &image, why, sizeof why))
        fail_msg("%s: the journal does not tell all that was written: %s", r->scene->name, why);
    tree_free(&image);
    disk_free(d);
}

void rehearse(int number, rehearsal *r)
{
    place where;
    program_run run;
    *r = (rehearsal){.scene = &scenes[number], .inputs = scene_inputs()};
    place_open(&where, 0, r->inputs);
    snprintf(r->root, sizeof r->root, "%s", where.out);
    if (r->scene->before != NULL)
        must_run(&where, r->scene->before);
    tree_load(&r->start, where.out);
    start_line(&where, r->scene->first, NULL, true, &run);
    if (run.code != 0)
        fail_msg("%s: exit code %d\n%s", r->scene->name, run.code, run.said);
    tree_load(&r->raw, where.out);
    scene_take(r, &where, &r->end);
    journal_load(&r->calls, where.journal);
    r->said = strdup(run.said);
    program_free(&run);
    replay(r);
    seen_clear();
}

void rehearsal_free(rehearsal *r)
{
    tree_free(&r->start);
    tree_free(&r->raw);
    tree_free(&r->end);
    journal_free(&r->calls);
    free(r->said);
}

void scene_reset(const rehearsal *r, const place *where)
{
    tree_store(&r->start, where->out);
}

void scene_start(const rehearsal *r, const place *where, const char *plan, program_run *run)
{
    const char *marker = r->scene->marker;
    bool again = marker != NULL && hone_file_exists(path_in(where->out, marker));
    start_line(where, again ? r->scene->again : r->scene->first, plan, false, run);
}

void scene_cases(const rehearsal *r, const char *what, size_t count, case_fn check,
                 const void *context)
{
    size_t failed = cases_run(r->scene->name, count, r->inputs, check, context);
    printf("%s: %zu calls, %zu %s, %zu states recovered from\n", r->scene->name, r->calls.count,
           count, what, seen_count());
    assert_int_equal(failed, 0);
}

void scene_take(const rehearsal *r, const place *where, tree *now)
{
    tree_load(now, where->out);
    tree_settle(now);
    tree_drop(now, r->scene->ignored);
}

/* ---- checks ------------------------------------------------------------------------------- */

bool scene_recovers(const rehearsal *r, const place *where, char *why, size_t size)
{
    tree before, after;
    scene_take(r, where, &before);
    uint64_t hash = tree_hash(&before);
    tree_free(&before);
    if (!seen_first(hash))
        return true;
    program_run run;
    scene_start(r, where, NULL, &run);
    bool well = run.code == 0;
    if (!well) {
        snprintf(why, size, "run again, it ended with %d: %s", run.code, run.said);
    } else {
        char found[WHY / 2] = "";
        scene_take(r, where, &after);
        well = tree_same(&r->end, &after, found, sizeof found);
        if (!well)
            snprintf(why, size, "run again, it ended otherwise: %s", found);
        tree_free(&after);
    }
    program_free(&run);
    return well;
}

/* Whether a file is as it was, or as it will be, in the one and not in the other. */
static bool is_as_in(const tree *one, const tree *other, const tree *now, const char *path)
{
    const tree_item *a = tree_find(one, path), *b = tree_find(other, path),
                    *found = tree_find(now, path);
    return a != NULL && found != NULL && found->size == a->size &&
           memcmp(found->bytes, a->bytes, a->size) == 0 &&
           (b == NULL || b->size != a->size || memcmp(b->bytes, a->bytes, a->size) != 0);
}

bool scene_is_of_one_maker(const rehearsal *r, const place *where, char *why, size_t size)
{
    const scene *s = r->scene;
    if (s->config == NULL)
        return true;
    tree now;
    tree_load(&now, where->out);
    bool mixed = (is_as_in(&r->start, &r->raw, &now, s->config) &&
                  is_as_in(&r->raw, &r->start, &now, s->weights)) ||
                 (is_as_in(&r->raw, &r->start, &now, s->config) &&
                  is_as_in(&r->start, &r->raw, &now, s->weights));
    tree_free(&now);
    if (mixed)
        snprintf(why, size, "%s and %s are of two makers", s->config, s->weights);
    return !mixed;
}

long long scene_told(const char *said, size_t length)
{
    long long step = 0;
    for (const char *at = said; (at = strstr(at, "checkpoint  ")) != NULL; at++) {
        const char *end = strchr(at, '\n'), *name = strstr(at, "/step-");
        if (end == NULL || (size_t)(end + 1 - said) > length || name == NULL || name > end)
            break;
        step = strtoll(name + 6, NULL, 10);
    }
    return step;
}

bool scene_keeps_checkpoints(const rehearsal *r, const place *where, const char *said, char *why,
                             size_t size)
{
    char **names = NULL;
    size_t count = 0;
    long long newest = 0, told = scene_told(said, strlen(said));
    if (r->scene->checkpoints == NULL)
        return true;
    char *folder = strdup(path_in(where->out, r->scene->checkpoints));
    if (hone_folder_exists(folder) && hone_folder_list(folder, &names, &count, NULL) != HONE_OK)
        abort();
    bool whole = true;
    for (size_t i = 0; i < count && whole; i++) {
        char *end;
        hone_error error;
        if (strncmp(names[i], "step-", 5) != 0 || strstr(names[i], ".tmp.") != NULL)
            continue;
        long long step = strtoll(names[i] + 5, &end, 10);
        newest = step > newest ? step : newest;
        whole = hone_checkpoint_check(path_in(folder, names[i]), step, NULL, &error) == HONE_OK;
        if (!whole)
            snprintf(why, size, "%s is not whole: %s", names[i], error.message);
    }
    hone_names_free(names, count);
    free(folder);
    if (whole && newest < told)
        snprintf(why, size, "checkpoint %lld was told to be there, the newest is %lld", told,
                 newest);
    return whole && newest >= told;
}
