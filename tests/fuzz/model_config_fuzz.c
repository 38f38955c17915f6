/* Any config.json: it is refused with a message, or becomes a program whose plans, for training and
 * for use, can be made. Sizes are what the file says, so nothing is allocated from a plan. */
#include "graph/plan.h"
#include "model/family.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST_OPS = 2000 }; /* planned: what is longer only takes longer */

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void plan(const hone_program *program, bool training, hone_part part)
{
    hone_error error = {.message = ""};
    hone_plan made;
    hone_plan_options options = {.rows = 7,
                                 .source_rows = program->encoder_decoder ? 11 : 0,
                                 .compute = training ? HONE_F32 : HONE_BF16,
                                 .training = training,
                                 .checkpointing = training,
                                 .longest = 13,
                                 .part = part};
    hone_status status = hone_plan_create(program, &options, &made, &error);
    check(status == HONE_OK || error.message[0] != '\0');
    if (status == HONE_OK)
        hone_plan_free(&made);
}

static void build(const hone_json *json, const char *type, hone_stored_head head)
{
    const hone_family *family = hone_family_find(type);
    hone_error error = {.message = ""};
    hone_program program;
    check(family != NULL);
    hone_program_init(&program);
    hone_status status = family->build(json, "fuzz", head, &program, &error);
    check(status == HONE_OK || error.message[0] != '\0');
    if (status == HONE_OK && program.op_count <= MOST_OPS) {
        for (size_t i = 0; i < program.weight_count; i++)
            program.weights[i].trainable = i % 3 == 0;
        plan(&program, true, HONE_PART_ALL);
        plan(&program, false, HONE_PART_TARGET);
        plan(&program, false, HONE_PART_SOURCE);
    }
    hone_program_deinit(&program);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const types[] = {"gpt2", "opt", "t5", "mt5"};
    hone_json *json;
    hone_error error = {.message = ""};
    if (hone_json_parse((const char *)data, size, "fuzz", 1, &json, &error) != HONE_OK)
        return 0;
    /* Each family reads every file, whatever its model_type says. */
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        build(json, types[i], size % 2 == 0 ? HONE_HEAD_UNREAD : HONE_HEAD_OWN);
    hone_json_free(json);
    return 0;
}
