/* What is interrupted: commands of hone that write, on models and data as small as they can be, and
 * what must be left of each once it has been run again. */
#ifndef HONE_TESTS_FAULT_SCENES_H
#define HONE_TESTS_FAULT_SCENES_H

#include "fault_disk.h"
#include "fault_run.h"

typedef struct scene {
    const char *name;
    const char *first, *again; /* command lines; again: once `marker` exists; NULL: first anew */
    const char *marker;
    const char *checkpoints;      /* their folder, or NULL */
    const char *const *ignored;   /* patterns of what holds times */
    const char *before;           /* a command that makes what is overwritten, or NULL */
    const char *config, *weights; /* files that must never be of two makers; or NULL */
    bool by_stdio; /* which gives up when it is interrupted, and knows no write of nothing */
} scene;

enum {
    SCENE_TRAIN,
    SCENE_FULL,
    SCENE_MERGE,
    SCENE_MERGE_OVER,
    SCENE_GENERATE,
    SCENE_LOGPROBS,
    SCENE_PLOT,
    SCENE_COMPARE,
    SCENES
};

/* A scene and how it goes when nothing happens. */
typedef struct rehearsal {
    const scene *scene;
    const tree *inputs;
    tree start;         /* of `out` */
    tree raw, end;      /* of `out` afterwards: as it is, and settled */
    call_journal calls; /* with paths below `root` */
    char root[300];
    char *said;
} rehearsal;

/* Models, adapters and data; made once. */
const tree *scene_inputs(void);
/* Fails the test when the journal does not account for every byte that is there afterwards. */
void rehearse(int number, rehearsal *r);
void rehearsal_free(rehearsal *r);
/* A place as the scene begins. */
void scene_reset(const rehearsal *r, const place *where);
void scene_start(const rehearsal *r, const place *where, const char *plan, program_run *run);
/* Runs all cases of a scene and says how many of `what` they were; fails the test when one fails.
 */
void scene_cases(const rehearsal *r, const char *what, size_t count, case_fn check,
                 const void *context);
/* What is in `out` now, settled. */
void scene_take(const rehearsal *r, const place *where, tree *now);
/* Runs the command once more and compares the end. What has been found to end well is not run
 * again. */
bool scene_recovers(const rehearsal *r, const place *where, char *why, size_t size);
/* Every checkpoint under a checkpoint's name is whole, and the newest that was told to be there is,
 * or a newer one. */
bool scene_keeps_checkpoints(const rehearsal *r, const place *where, const char *said, char *why,
                             size_t size);
/* Nothing stands that is made of two things. */
bool scene_is_of_one_maker(const rehearsal *r, const place *where, char *why, size_t size);
/* The step of the last checkpoint in the first `length` bytes of what was said; 0: none. */
long long scene_told(const char *said, size_t length);

#endif
