/* Each call by which hone writes or reads its own files fails, once or from then on, with what a
 * disk, a quota, rights or a limit say. hone ends with code 4 and one line that names the file and
 * the reason, or with code 0 and everything there; what stood before still does; and once the cause
 * is gone, the same work ends with the same bytes. Short writes and interruptions are no failures.
 */
#include "fault_scenes.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KIND(name) (1u << IO_##name)

enum {
    NAMING = KIND(RENAME) | KIND(EXCHANGE) | KIND(MKDIR),
    REMOVING = KIND(UNLINK) | KIND(RMDIR),
    OPENING = KIND(LOOK) | KIND(CREATE),
    FILLING = KIND(CREATE) | KIND(WRITE) | KIND(SYNC) | KIND(CLOSE) | KIND(MKDIR),
    ACCESSING = OPENING | NAMING | REMOVING,
    CHANGING = KIND(CREATE) | KIND(CUT) | NAMING | REMOVING,
    ALL_KINDS = (1u << IO_KINDS) - 1,
    /* Without these nothing is known to be written. Others may have been for tidiness alone. */
    NEEDED = KIND(CREATE) | KIND(WRITE) | KIND(SYNC) | KIND(CUT) | KIND(CLOSE) | KIND(RENAME) |
             KIND(EXCHANGE)
};

/* `lasting`: the calls that go on failing, if it lasts. `carried`: no reason to fail. */
static const struct failing {
    const char *name;
    int number;
    unsigned kinds, lasting;
    bool carried;
} failings[] = {
    {"ENOSPC", ENOSPC, FILLING | NAMING, FILLING, false},
    {"EIO", EIO, ALL_KINDS, ALL_KINDS, false},
    {"EDQUOT", EDQUOT, FILLING | NAMING, FILLING, false},
    {"EACCES", EACCES, ACCESSING, ACCESSING, false},
    {"EROFS", EROFS, CHANGING, CHANGING, false},
    {"EMFILE", EMFILE, OPENING, OPENING, false},
    {"EINTR", EINTR, OPENING | KIND(WRITE) | KIND(SYNC) | KIND(CUT) | KIND(CLOSE), 0, true},
};
enum { FAILINGS = sizeof failings / sizeof *failings };

typedef struct fault {
    char plan[64], name[64];
    int failure; /* 0: it is to be carried through */
    bool on;
} fault;

typedef struct failing_scene {
    const rehearsal *r;
    fault *faults;
    size_t count;
} failing_scene;

static fault *add_fault(failing_scene *s, bool carried, int failure)
{
    s->faults = must_alloc(s->faults, (s->count + 1) * sizeof *s->faults);
    fault *made = &s->faults[s->count++];
    *made = (fault){.failure = carried ? 0 : failure};
    return made;
}

static void add_failing(failing_scene *s, const io_record *record, size_t which, bool on)
{
    const struct failing *f = &failings[which];
    fault *made = add_fault(s, f->carried, f->number);
    made->on = on;
    snprintf(made->plan, sizeof made->plan, "fail%s %llu %d %u", on ? "-on" : "",
             (unsigned long long)record->number, f->number, on ? f->lasting : 0);
    snprintf(made->name, sizeof made->name, "%s%s at call %llu", f->name, on ? " from then on" : "",
             (unsigned long long)record->number);
}

static void add_write(failing_scene *s, const io_record *record, const char *verb, bool carried)
{
    fault *made = add_fault(s, carried, ENOSPC);
    snprintf(made->plan, sizeof made->plan, "%s %llu", verb, (unsigned long long)record->number);
    snprintf(made->name, sizeof made->name, "%s", made->plan);
}

/* All errors at each call, or at every `every`-th one of them in turn. */
static void find_faults(failing_scene *s, size_t every)
{
    const call_journal *calls = &s->r->calls;
    size_t turn = 0;
    for (size_t i = 0; i < calls->count; i++) {
        const io_record *record = &calls->entries[i].record;
        for (size_t which = 0; which < FAILINGS; which++)
            for (int on = 0; on < 2; on++) {
                unsigned kinds = on ? failings[which].lasting : failings[which].kinds;
                if (s->r->scene->by_stdio && failings[which].number == EINTR)
                    continue;
                if ((kinds >> record->kind & 1) != 0 && turn++ % every == 0)
                    add_failing(s, record, which, on != 0);
            }
        if (record->kind == IO_WRITE && record->size > 1) {
            if (turn++ % every == 0)
                add_write(s, record, "short", true);
            if (!s->r->scene->by_stdio && turn++ % every == 0)
                add_write(s, record, "zero", false);
        }
    }
    static const io_record first = {.number = 1};
    add_write(s, &first, "short-on", true);
}

/* The name that a user knows: without what is added while it is written. Where a folder is removed
 * with all in it, that of the folder. */
static void final_name(const program_run *run, char name[IO_PATH])
{
    char path[IO_PATH];
    snprintf(path, sizeof path, "%s", run->path);
    char *slash = strrchr(path, '/');
    if ((1u << run->kind & REMOVING) != 0 && strstr(path, ".tmp.") < slash) {
        *slash = '\0';
        slash = strrchr(path, '/');
    }
    snprintf(name, IO_PATH, "%s", slash + 1);
    char *temporary = strstr(name, ".tmp.");
    if (temporary != NULL)
        *temporary = '\0';
}

/* One line for the error, with file and reason, whatever else was said. What lasts may first hit
 * something that nothing depends on. */
static bool tells(const program_run *run, int failure, bool lasts, char *why, size_t size)
{
    char name[IO_PATH] = "out";
    if (!lasts)
        final_name(run, name);
    size_t count = 0;
    const char *line = run->said;
    bool named = false, reasoned = false;
    for (const char *next; *line != '\0'; line = *next != '\0' ? next + 1 : next) {
        next = line + strcspn(line, "\n");
        char text[4096];
        snprintf(text, sizeof text, "%.*s", (int)(next - line), line);
        if (strncmp(text, "hone ", 5) != 0)
            continue;
        count++;
        named = strstr(text, name) != NULL;
        reasoned = strstr(text, strerror(failure)) != NULL;
    }
    if (count == 1 && named && reasoned)
        return true;
    snprintf(why, size, "%zu lines of errors, %s the file %s, %s the reason: %s", count,
             named ? "naming" : "not naming", name, reasoned ? "with" : "without", run->said);
    return false;
}

/* Ended with an error: nothing is lost, and half files are gone unless nothing could be removed. */
static bool failed_well(const failing_scene *s, const place *where, const fault *f,
                        const program_run *run, char *why, size_t size)
{
    tree now;
    if (run->code != 4) {
        snprintf(why, size, "exit code %d, expected 4: %s", run->code, run->said);
        return false;
    }
    if (!tells(run, f->failure, f->on, why, size) ||
        !scene_keeps_checkpoints(s->r, where, run->said, why, size) ||
        !scene_is_of_one_maker(s->r, where, why, size))
        return false;
    bool removable = !f->on || (f->failure != EIO && f->failure != EACCES && f->failure != EROFS);
    bool removes = (1u << run->kind & REMOVING) != 0;
    tree_load(&now, where->out);
    const char *left = tree_leftover(&now);
    bool clean = left == NULL || !removable || removes;
    if (!clean)
        snprintf(why, size, "%s is left behind", left);
    tree_free(&now);
    return clean && scene_recovers(s->r, where, why, size);
}

static bool fail_and_recover(const void *context, const place *where, size_t index, char *why,
                             size_t size)
{
    const failing_scene *s = context;
    const fault *f = &s->faults[index];
    program_run run;
    char found[WHY / 2] = "";
    bool well;
    scene_reset(s->r, where);
    scene_start(s->r, where, f->plan, &run);
    if (run.faults == 0) {
        snprintf(found, sizeof found, "no fault was made");
        well = false;
    } else if (run.code == 0 && f->failure != 0 && (NEEDED >> run.kind & 1) != 0) {
        snprintf(found, sizeof found, "exit code 0, whatever the call said");
        well = false;
    } else if (run.code == 0) {
        tree now;
        char what[WHY / 2] = "";
        scene_take(s->r, where, &now);
        well = tree_same(&s->r->end, &now, what, sizeof what);
        if (!well)
            snprintf(found, sizeof found, "exit code 0, but %s", what);
        tree_free(&now);
    } else if (f->failure == 0) {
        snprintf(found, sizeof found, "not carried through, exit code %d: %s", run.code, run.said);
        well = false;
    } else {
        well = failed_well(s, where, f, &run, found, sizeof found);
    }
    if (!well)
        snprintf(why, size, "%s (%s): %s", f->name, run.path, found);
    program_free(&run);
    return well;
}

static void fail_scene(int number, size_t every)
{
    rehearsal r;
    rehearse(number, &r);
    failing_scene s = {.r = &r};
    find_faults(&s, every);
    scene_cases(&r, "faults", s.count, fail_and_recover, &s);
    free(s.faults);
    rehearsal_free(&r);
}

static void training_tells_every_error_and_loses_nothing(void **state)
{
    (void)state;
    fail_scene(SCENE_TRAIN, options.all ? 1 : 19);
}

static void so_does_what_a_full_run_writes_besides(void **state)
{
    (void)state;
    fail_scene(SCENE_FULL, options.all ? 11 : 211);
}

static void outputs_are_whole_or_as_they_were(void **state)
{
    (void)state;
    for (int number = SCENE_MERGE; number <= SCENE_PLOT; number++)
        fail_scene(number, options.all ? 1 : 23);
}

static void a_comparison_tells_every_error(void **state)
{
    (void)state;
    fail_scene(SCENE_COMPARE, options.all ? 211 : 3989);
}

static int run_all(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(training_tells_every_error_and_loses_nothing),
        cmocka_unit_test(so_does_what_a_full_run_writes_besides),
        cmocka_unit_test(outputs_are_whole_or_as_they_were),
        cmocka_unit_test(a_comparison_tells_every_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(int argc, char **argv)
{
    return fault_main(argc, argv, run_all);
}
