/* The course through the data: see course.h. */
#include "train/course.h"

#include "base/failure.h"
#include "base/memory.h"
#include "base/parallel.h"

#include <math.h>

#define MOST_STEPS 1e15
#define MOST_SCANNED ((int64_t)1 << 20) /* documents looked at to find the largest micro-batch */
#define SCAN_STEPS ((int64_t)256)       /* of one task of that search */

hone_status hone_course_init(hone_course *course, const hone_dataset *dataset,
                             const hone_train_settings *train, const hone_data_settings *data,
                             uint64_t seed, hone_error *error)
{
    *course = (hone_course){.dataset = dataset,
                            .documents = hone_dataset_size(dataset),
                            .batch_size = train->batch_size,
                            .accumulation = train->gradient_accumulation_steps,
                            .shuffle = data->shuffle,
                            .seed = seed};
    if (course->documents == 0)
        return hone_fail_at(error, HONE_INPUT, train->train != NULL ? train->train : "", -1, -1,
                            "there is no document to train on");
    /* Both factors are at most 1e6. */
    int64_t taken = course->batch_size * course->accumulation;
    course->steps_per_epoch = (course->documents + taken - 1) / taken;
    course->total_steps = train->max_steps;
    if (train->max_steps == 0) {
        double steps = ceil(train->epochs * (double)course->steps_per_epoch);
        if (!(steps >= 1.0 && steps <= MOST_STEPS))
            return hone_fail(error, HONE_USAGE,
                             "expected at least one step and at most %g, found %g (epochs %g, "
                             "max_steps 0)",
                             MOST_STEPS, steps, train->epochs);
        course->total_steps = (int64_t)steps;
    }
    return HONE_OK;
}

hone_course_step hone_course_at(const hone_course *course, int64_t step)
{
    int64_t taken = course->batch_size * course->accumulation;
    hone_course_step at = {.epoch = step / course->steps_per_epoch};
    at.first = step % course->steps_per_epoch * taken;
    int64_t left = course->documents - at.first;
    at.count = left < taken ? left : taken;
    at.ends_epoch = (step + 1) % course->steps_per_epoch == 0;
    return at;
}

hone_document hone_course_document(const hone_course *course, int64_t epoch, int64_t place)
{
    int64_t index =
        hone_dataset_order(course->dataset, course->shuffle, course->seed, epoch, place);
    hone_document document = hone_dataset_at(course->dataset, index);
    document.key.seed = course->seed;
    document.key.epoch = (uint32_t)epoch;
    return document;
}

typedef struct scan {
    const hone_course *course;
    int64_t steps;
    hone_stream_rows *most; /* of each task */
} scan;

static void raise_to(hone_stream_rows *most, hone_stream_rows rows)
{
    most->target = rows.target > most->target ? rows.target : most->target;
    most->source = rows.source > most->source ? rows.source : most->source;
}

static void scan_steps(void *context, int64_t task, int thread)
{
    (void)thread;
    const scan *s = context;
    int64_t end = (task + 1) * SCAN_STEPS < s->steps ? (task + 1) * SCAN_STEPS : s->steps;
    hone_stream_rows most = {0};
    for (int64_t step = task * SCAN_STEPS; step < end; step++) {
        hone_course_step at = hone_course_at(s->course, step);
        hone_stream_rows rows = {0};
        for (int64_t i = 0; i < at.count; i++) {
            if (i % s->course->batch_size == 0)
                rows = (hone_stream_rows){0};
            hone_document document = hone_course_document(s->course, at.epoch, at.first + i);
            hone_stream_rows more = hone_document_rows(&document);
            rows.target += more.target;
            rows.source += more.source;
            raise_to(&most, rows);
        }
    }
    s->most[task] = most;
}

hone_stream_rows hone_course_most_rows(const hone_course *course)
{
    hone_stream_rows bound = hone_dataset_most_rows(course->dataset, course->batch_size),
                     most = {0};
    double epochs = (double)course->total_steps / (double)course->steps_per_epoch;
    if (epochs * (double)course->documents > (double)MOST_SCANNED)
        return bound;
    /* Without shuffling all epochs are alike. */
    scan s = {.course = course, .steps = course->total_steps};
    if (!course->shuffle && s.steps > course->steps_per_epoch)
        s.steps = course->steps_per_epoch;
    int64_t tasks = (s.steps + SCAN_STEPS - 1) / SCAN_STEPS;
    s.most = hone_alloc_array((size_t)tasks, sizeof *s.most);
    if (s.most == NULL)
        return bound;
    hone_parallel_run(tasks, scan_steps, &s);
    for (int64_t i = 0; i < tasks; i++)
        raise_to(&most, s.most[i]);
    hone_free(s.most);
    return most;
}
