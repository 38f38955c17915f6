/* Any adapter_config.json: reading, matching it against a model's names and writing it end in an
 * error with a message, or in a text that is read back and written to the same. */
#include "adapter/module_list.h"
#include "adapter/target_match.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

/* NULL when the text is refused, else the configuration written anew; *config is to be released. */
static char *read_and_write(const char *text, size_t size, hone_peft_config *config)
{
    hone_json *json;
    hone_error error = {.message = ""};
    *config = (hone_peft_config){.r = 0};
    hone_status status = hone_json_parse(text, size, "fuzz", 1, &json, &error);
    if (status == HONE_OK) {
        status = hone_peft_config_read(json, "fuzz", "gpt2", config, &error);
        hone_json_free(json);
    }
    check(status == HONE_OK || error.message[0] != '\0');
    if (status != HONE_OK)
        return NULL;
    hone_peft_facts facts = {.targets = config->target_modules,
                             .feedforward = config->feedforward_modules};
    char *written = hone_peft_config_text(config, &facts);
    check(written != NULL);
    return written;
}

static void match(const hone_peft_config *config)
{
    static const char *const names[] = {"transformer", "transformer.h.0", "lm_head",
                                        "transformer.h.0.attn.c_attn",
                                        "transformer.h.11.mlp.c_proj"};
    hone_target_match *matcher;
    hone_error error = {.message = ""};
    hone_status status = hone_target_match_create(config, &matcher, &error);
    for (size_t i = 0; status == HONE_OK && i < sizeof names / sizeof *names; i++) {
        hone_module_verdict verdict;
        int64_t r;
        double alpha;
        bool feedforward;
        status = hone_target_match_module(matcher, names[i], i > 2, &verdict, &error);
        if (status == HONE_OK)
            status = hone_target_match_rank(matcher, names[i], &r, &alpha, &error);
        if (status == HONE_OK)
            status = hone_target_match_feedforward(matcher, names[i], &feedforward, &error);
        check(status != HONE_OK || (r >= 1 && alpha >= 0));
    }
    check(status == HONE_OK || error.message[0] != '\0');
    hone_target_match_free(matcher);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hone_peft_config config, again;
    char *written = read_and_write((const char *)data, size, &config);
    if (written != NULL) {
        match(&config);
        char *second = read_and_write(written, strlen(written), &again);
        check(second != NULL && strcmp(written, second) == 0);
        hone_free(second);
        hone_peft_config_deinit(&again);
        hone_free(written);
    }
    hone_peft_config_deinit(&config);
    return 0;
}
