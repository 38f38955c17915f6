/* The power fails at each moment at which hone waits for the disk. Of what was not synced, any part
 * may be there. A checkpoint that was told to be written is found again, the newest that is found
 * is one of those that a whole run has, to the bit, and training goes on from it to the same end.
 */
#include "fault_scenes.h"

#include "base/files.h"
#include "base/memory.h"
#include "train/checkpoint_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct outage {
    size_t calls; /* that were made before */
    int variant;
} outage;

typedef struct outages {
    const rehearsal *r;
    outage *items;
    size_t count;
    int resumed; /* of the variants, so many are also run on */
} outages;

/* Before each sync: then most is in doubt. And after all is done. */
static void find_outages(outages *o, int variants)
{
    const call_journal *calls = &o->r->calls;
    for (size_t i = 0; i <= calls->count; i++) {
        if (i < calls->count && calls->entries[i].record.kind != IO_SYNC)
            continue;
        for (int variant = 0; variant < variants; variant++) {
            o->items = must_alloc(o->items, (o->count + 1) * sizeof *o->items);
            o->items[o->count++] = (outage){i, variant};
        }
    }
}

static bool same_file(const rehearsal *r, const char *path, long long step, const char *name)
{
    char whole[600], within[200];
    snprintf(whole, sizeof whole, "%s/%s", path, name);
    snprintf(within, sizeof within, "%s/step-%lld/%s", r->scene->checkpoints, step, name);
    const tree_item *expected = tree_find(&r->raw, within);
    char *text = NULL;
    size_t size = 0;
    /* A whole run has removed its first checkpoints. */
    if (expected == NULL)
        return true;
    bool same = hone_file_load(whole, (size_t)1 << 28, &text, &size, NULL) == HONE_OK &&
                size == expected->size && memcmp(text, expected->bytes, size) == 0;
    hone_free(text);
    return same;
}

/* What the loader picks: the last that was told, or a newer one that is whole. */
static bool finds_checkpoint(const rehearsal *r, const place *where, long long told, char *why,
                             size_t size)
{
    if (r->scene->checkpoints == NULL)
        return true;
    char *folder = strdup(path_in(where->out, r->scene->checkpoints)), *path = NULL;
    hone_run_identity identity;
    hone_error error;
    long long step = 0;
    bool well = hone_checkpoint_find(folder, &path, &identity, &error) == HONE_OK;
    if (!well)
        snprintf(why, size, "no checkpoint is found: %s", error.message);
    if (path != NULL)
        step = strtoll(strrchr(path, '/') + 6, NULL, 10);
    if (well && step < told) {
        snprintf(why, size, "checkpoint %lld had been told, %lld is found", told, step);
        well = false;
    }
    if (well && path != NULL &&
        !(same_file(r, path, step, "trainable.safetensors") &&
          same_file(r, path, step, "optimizer.safetensors"))) {
        snprintf(why, size, "checkpoint %lld is not that of the whole run", step);
        well = false;
    }
    hone_free(path);
    free(folder);
    return well;
}

/* The program had ended well: all that it made is on the disk. */
static bool holds_all(const rehearsal *r, const place *where, char *why, size_t size)
{
    tree now;
    scene_take(r, where, &now);
    bool well = true;
    for (size_t i = 0; i < r->end.count && well; i++) {
        const tree_item *expected = &r->end.items[i], *found = tree_find(&now, expected->path);
        well = found != NULL && found->size == expected->size &&
               memcmp(found->bytes, expected->bytes, found->size) == 0;
        if (!well)
            snprintf(why, size, "it had ended well, and %s is %s", expected->path,
                     found == NULL ? "not there" : "not what it was");
    }
    tree_free(&now);
    return well;
}

static bool lose_and_recover(const void *context, const place *where, size_t index, char *why,
                             size_t size)
{
    const outages *o = context;
    const outage *at = &o->items[index];
    const rehearsal *r = o->r;
    char found[WHY / 2] = "";
    tree image;
    disk *d = disk_create(&r->start, r->root);
    for (size_t i = 0; i < at->calls; i++)
        if (!disk_apply(d, &r->calls.entries[i], why, size))
            return false;
    disk_image(d, (disk_loss)at->variant, 7919 * at->calls + (size_t)at->variant, &image);
    disk_free(d);
    tree_store(&image, where->out);
    tree_free(&image);
    bool over = at->calls == r->calls.count;
    size_t said = over ? strlen(r->said) : r->calls.entries[at->calls].record.said;
    bool well = finds_checkpoint(r, where, scene_told(r->said, said), found, sizeof found) &&
                scene_is_of_one_maker(r, where, found, sizeof found) &&
                (!over || holds_all(r, where, found, sizeof found)) &&
                (at->variant >= o->resumed || scene_recovers(r, where, found, sizeof found));
    if (!well)
        snprintf(why, size, "before call %zu (%s), variant %d: %s", at->calls + 1,
                 over ? "none: it was over" : r->calls.entries[at->calls].path, at->variant, found);
    return well;
}

static void lose_scene(int number, int variants, int resumed)
{
    rehearsal r;
    rehearse(number, &r);
    outages o = {.r = &r, .resumed = resumed};
    find_outages(&o, variants);
    scene_cases(&r, "images", o.count, lose_and_recover, &o);
    free(o.items);
    rehearsal_free(&r);
}

static void training_survives_any_loss(void **state)
{
    (void)state;
    lose_scene(SCENE_TRAIN, options.all ? 24 : 12, options.all ? 24 : 5);
}

static void so_does_what_a_full_run_writes_besides(void **state)
{
    (void)state;
    lose_scene(SCENE_FULL, options.all ? 12 : 7, options.all ? 12 : 2);
}

static void outputs_are_whole_or_as_they_were(void **state)
{
    (void)state;
    for (int number = SCENE_MERGE; number <= SCENE_PLOT; number++)
        lose_scene(number, options.all ? 20 : 7, options.all ? 20 : 5);
}

static int run_all(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(training_survives_any_loss),
        cmocka_unit_test(so_does_what_a_full_run_writes_besides),
        cmocka_unit_test(outputs_are_whole_or_as_they_were),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

int main(int argc, char **argv)
{
    return fault_main(argc, argv, run_all);
}
