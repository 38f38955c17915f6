/* Beam search: see beam.h. Scores are f32, as the library's own are, so that two that are equal
 * there are equal here. */
#include "infer/beam.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- candidates --------------------------------------------------------------------------- */

int64_t hone_beam_candidates(int64_t num_beams, int64_t end_tokens)
{
    return (end_tokens > 1 ? 1 + end_tokens : 2) * num_beams;
}

bool hone_beam_log_softmax(float *logits, int64_t vocabulary)
{
    float top = -INFINITY;
    for (int64_t i = 0; i < vocabulary; i++) {
        if (!(logits[i] < INFINITY))
            return false;
        top = logits[i] > top ? logits[i] : top;
    }
    if (!(top > -INFINITY))
        return false;
    double sum = 0.0;
    for (int64_t i = 0; i < vocabulary; i++)
        sum += (double)expf(logits[i] - top);
    float log_sum = (float)log(sum);
    for (int64_t i = 0; i < vocabulary; i++)
        logits[i] = logits[i] - top - log_sum;
    return true;
}

static bool ahead(const hone_beam_candidate *a, const hone_beam_candidate *b)
{
    if (a->score != b->score)
        return a->score > b->score;
    return a->beam != b->beam ? a->beam < b->beam : a->token < b->token;
}

int64_t hone_beam_best(const float *logprobs, int64_t vocabulary, int32_t beam, float score,
                       int64_t most, hone_beam_candidate *out)
{
    int64_t count = 0;
    /* The list stays ordered; few tokens of a row enter it. */
    for (int64_t i = 0; i < vocabulary; i++) {
        float sum = logprobs[i] + score;
        if (!(sum > -INFINITY) || (count == most && !(sum > out[most - 1].score)))
            continue;
        int64_t place = count < most ? count++ : most - 1;
        for (; place > 0 && sum > out[place - 1].score; place--)
            out[place] = out[place - 1];
        out[place] = (hone_beam_candidate){.score = sum, .beam = beam, .token = (int32_t)i};
    }
    return count;
}

static int compare(const void *a, const void *b)
{
    return ahead(a, b) ? -1 : ahead(b, a) ? 1 : 0;
}

int64_t hone_beam_merge(hone_beam_candidate *candidates, int64_t count, int64_t most)
{
    qsort(candidates, (size_t)count, sizeof *candidates, compare);
    return count < most ? count : most;
}

/* ---- beams -------------------------------------------------------------------------------- */

hone_status hone_beams_create(const hone_beam_rules *rules, const int32_t *ids, int64_t count,
                              hone_beams *out, hone_error *error)
{
    size_t beams = (size_t)rules->num_beams, length = (size_t)(count + rules->most), total;
    *out = (hone_beams){.rules = *rules, .running_count = 1};
    if (!hone_size_mul(3 * beams, length, &total))
        return hone_fail_memory(error, "beams", SIZE_MAX);
    out->block = hone_alloc_array(3 * beams, sizeof *out->block);
    out->ids = hone_alloc_array(total, sizeof *out->ids);
    if (out->block == NULL || out->ids == NULL) {
        hone_beams_free(out);
        return hone_fail_memory(error, "beams", total * sizeof *out->ids);
    }
    for (size_t i = 0; i < 3 * beams; i++)
        out->block[i].ids = out->ids + i * length;
    out->running = out->block;
    out->spare = out->running + beams;
    out->finished = out->spare + beams;
    memcpy(out->running[0].ids, ids, (size_t)count * sizeof *ids);
    out->running[0].count = count;
    return HONE_OK;
}

void hone_beams_free(hone_beams *beams)
{
    hone_free(beams->block);
    hone_free(beams->ids);
    *beams = (hone_beams){0};
}

/* The score of a text that ends: what Transformers divides by is a float of this power. */
static float ended_score(const hone_beams *b, float sum, int64_t length)
{
    return sum / (float)pow((double)(length > 0 ? length : 1), b->rules.length_penalty);
}

/* Puts a text among the finished ones, if it is good enough. */
static void finish(hone_beams *b, const hone_beam *from, float score, hone_finish how)
{
    hone_beam *list = b->finished;
    int64_t last = b->finished_count;
    if (last == b->rules.num_beams) {
        if (!(score > list[last - 1].score))
            return;
        last--;
    } else {
        b->finished_count++;
    }
    hone_beam made = list[last]; /* its room */
    for (; last > 0 && score > list[last - 1].score; last--)
        list[last] = list[last - 1];
    memcpy(made.ids, from->ids, (size_t)from->count * sizeof *made.ids);
    made.count = from->count;
    made.score = score;
    made.finish = how;
    list[last] = made;
}

/* The beam of a candidate with its token behind it, in the room of `to`. */
static void extend(const hone_beams *b, const hone_beam_candidate *c, hone_beam *to)
{
    const hone_beam *from = &b->running[c->beam];
    memcpy(to->ids, from->ids, (size_t)from->count * sizeof *to->ids);
    to->count = from->count;
    to->ids[to->count++] = c->token;
    to->score = c->score;
    to->parent = c->beam;
}

/* Whether the search is over, once beams and finished texts are those of this step. */
static bool is_over(const hone_beams *b)
{
    if (b->running_count == 0)
        return true;
    if (b->finished_count < b->rules.num_beams)
        return false;
    if (b->rules.early_stopping == HONE_STOP_FULL)
        return true;
    /* The best beam's score, were it to end at a length that suits it. */
    bool longest = b->rules.early_stopping == HONE_STOP_NEVER && b->rules.length_penalty > 0.0;
    float best = ended_score(b, b->running[0].score, longest ? b->rules.most : b->made);
    return !(best > b->finished[b->finished_count - 1].score);
}

void hone_beams_advance(hone_beams *beams, const hone_beam_candidate *candidates, int64_t count)
{
    hone_beams *b = beams;
    int64_t next = 0;
    for (int64_t i = 0; i < count; i++) {
        const hone_beam_candidate *c = &candidates[i];
        if (!c->ends) {
            if (next < b->rules.num_beams)
                extend(b, c, &b->spare[next++]);
            continue;
        }
        if (i >= b->rules.num_beams)
            continue;
        float score = ended_score(b, c->score, b->made + 1);
        hone_beam ended = b->running[c->beam];
        if (c->finish != HONE_FINISH_EOS)
            ended.ids[ended.count++] = c->token; /* behind what the beam itself counts */
        finish(b, &ended, score, c->finish);
    }
    for (int64_t i = 0; i < b->running_count && count == 0; i++)
        finish(b, &b->running[i], ended_score(b, b->running[i].score, b->made), HONE_FINISH_LENGTH);
    hone_beam *before = b->running;
    b->running = b->spare;
    b->spare = before;
    b->running_count = next;
    b->made++;
    b->done = is_over(b);
    if (b->done)
        b->running_count = 0;
}
