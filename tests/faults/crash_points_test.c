/* hone is killed before, within and after each call by which it writes. What it has told to be done
 * is there, and the same work begun again ends with the bytes of work that nothing disturbed. */
#include "fault_scenes.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct crash {
    char plan[40];
} crash;

typedef struct crashing {
    const rehearsal *r;
    crash *crashes;
    size_t count;
} crashing;

static void add_crash(crashing *c, const char *when, const io_record *record)
{
    c->crashes = must_alloc(c->crashes, (c->count + 1) * sizeof *c->crashes);
    snprintf(c->crashes[c->count++].plan, sizeof c->crashes->plan, "kill-%s %llu", when,
             (unsigned long long)record->number);
}

/* After a call is before the next one: where all are tried, both are. */
static void find_crashes(crashing *c, size_t every, bool both)
{
    const call_journal *calls = &c->r->calls;
    size_t changes = 0;
    const io_record *last = NULL;
    for (size_t i = 0; i < calls->count; i++) {
        const io_record *record = &calls->entries[i].record;
        if (record->kind == IO_LOOK || record->failure != 0)
            continue;
        last = record;
        if (changes++ % every != 0)
            continue;
        add_crash(c, "before", record);
        if (record->kind == IO_WRITE && record->size > 1)
            add_crash(c, "within", record);
        if (both)
            add_crash(c, "after", record);
    }
    if (last != NULL && !both)
        add_crash(c, "after", last);
}

static bool crash_and_recover(const void *context, const place *where, size_t index, char *why,
                              size_t size)
{
    const crashing *c = context;
    const char *plan = c->crashes[index].plan;
    program_run run;
    char found[WHY / 2] = "";
    scene_reset(c->r, where);
    scene_start(c->r, where, plan, &run);
    bool well = run.code == 137;
    if (!well)
        snprintf(found, sizeof found, "exit code %d, expected a kill: %s", run.code, run.said);
    well = well && scene_keeps_checkpoints(c->r, where, run.said, found, sizeof found) &&
           scene_is_of_one_maker(c->r, where, found, sizeof found) &&
           scene_recovers(c->r, where, found, sizeof found);
    if (!well)
        snprintf(why, size, "%s, %s (%s): %s", c->r->scene->name, plan, run.path, found);
    program_free(&run);
    return well;
}

static void crash_scene(int number, size_t every, bool both)
{
    rehearsal r;
    rehearse(number, &r);
    crashing c = {.r = &r};
    find_crashes(&c, every, both);
    scene_cases(&r, "crash points", c.count, crash_and_recover, &c);
    free(c.crashes);
    rehearsal_free(&r);
}

static void training_goes_on_from_wherever_it_was_killed(void **state)
{
    (void)state;
    crash_scene(SCENE_TRAIN, 1, options.all);
}

static void what_a_full_run_writes_besides_is_no_exception(void **state)
{
    (void)state;
    crash_scene(SCENE_FULL, options.all ? 1 : 29, false);
}

/* ---- twice -------------------------------------------------------------------------------- */

/* What happens while the work is begun again: a kill, or an error. */
static bool crash_twice(const void *context, const place *where, size_t index, char *why,
                        size_t size)
{
    const crashing *c = context;
    const char *plan = c->crashes[index].plan;
    char second[64], found[WHY / 2] = "";
    program_run first, then;
    scene_reset(c->r, where);
    scene_start(c->r, where, plan, &first);
    /* Early calls are those of going on, whatever is left to do. */
    int failures[] = {ENOSPC, EIO};
    unsigned long long at = 1 + index * index * 7 % 97;
    if (index % 2 == 0)
        snprintf(second, sizeof second, "kill-before %llu", at);
    else
        snprintf(second, sizeof second, "fail %llu %d 0", at, failures[index / 2 % 2]);
    scene_start(c->r, where, second, &then);
    bool well = first.code == 137 && (then.code == 137 || then.code == 4 || then.code == 0);
    if (!well)
        snprintf(found, sizeof found, "exit codes %d and %d: %s", first.code, then.code, then.said);
    well = well && scene_keeps_checkpoints(c->r, where, first.said, found, sizeof found) &&
           scene_recovers(c->r, where, found, sizeof found);
    if (!well)
        snprintf(why, size, "%s, then %s (%s): %s", plan, second, then.path, found);
    program_free(&first);
    program_free(&then);
    return well;
}

static void going_on_may_be_interrupted_too(void **state)
{
    (void)state;
    rehearsal r;
    rehearse(SCENE_TRAIN, &r);
    crashing c = {.r = &r};
    find_crashes(&c, options.all ? 1 : 41, false);
    scene_cases(&r, "interrupted twice", c.count, crash_twice, &c);
    free(c.crashes);
    rehearsal_free(&r);
}

static void outputs_are_whole_or_as_they_were(void **state)
{
    (void)state;
    for (int number = SCENE_MERGE; number <= SCENE_PLOT; number++)
        crash_scene(number, options.all ? 1 : 3, options.all);
}

static void a_comparison_goes_on_from_wherever_it_was_killed(void **state)
{
    (void)state;
    crash_scene(SCENE_COMPARE, options.all ? 11 : 307, false);
}

static int run_all(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(training_goes_on_from_wherever_it_was_killed),
        cmocka_unit_test(what_a_full_run_writes_besides_is_no_exception),
        cmocka_unit_test(going_on_may_be_interrupted_too),
        cmocka_unit_test(outputs_are_whole_or_as_they_were),
        cmocka_unit_test(a_comparison_goes_on_from_wherever_it_was_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(int argc, char **argv)
{
    return fault_main(argc, argv, run_all);
}
