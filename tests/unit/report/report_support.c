/* See report_support.h. */
#include "report_support.h"

#include "base/files.h"
#include "base/string_builder.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char scratch[64];

int make_scratch(void **state)
{
    (void)state;
    snprintf(scratch, sizeof scratch, "/tmp/hone-report-XXXXXX");
    return mkdtemp(scratch) == NULL;
}

int remove_scratch(void **state)
{
    (void)state;
    return hone_folder_remove(scratch, NULL) != HONE_OK;
}

const char *in_scratch(const char *name)
{
    static char paths[8][512];
    static int next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", scratch, name);
    return path;
}

void write_file(const char *name, const char *text)
{
    assert_int_equal(hone_file_write(in_scratch(name), text, strlen(text), NULL), HONE_OK);
}

char *read_file(const char *path)
{
    char *text = NULL;
    size_t size;
    assert_int_equal(hone_file_load(path, 1 << 24, &text, &size, NULL), HONE_OK);
    return text;
}

static void write_part(const char *run, const char *part, hone_string *text)
{
    char name[256];
    snprintf(name, sizeof name, "%s/%s", run, part);
    assert_int_equal(hone_string_write(text, in_scratch(name), NULL), HONE_OK);
    hone_string_deinit(text);
}

void write_run(const char *name, int steps)
{
    hone_string train = {0}, valid = {0}, log = {0}, rest = {0};
    assert_int_equal(hone_folder_make(in_scratch(name), NULL), HONE_OK);
    hone_string_add(&train, "step\tepoch\tloss\n");
    hone_string_add(&valid, "step\tepoch\tloss\tperplexity\tbest\n");
    for (int i = 1; i <= steps; i++) {
        double loss = 3.0 + 2.0 * exp(-i / 30.0) + 0.1 * sin(i * 12.9898);
        hone_string_format(&train, "%d\t%.3f\t%.4f\n", i, i / 100.0, loss);
        hone_string_format(&log, "{\"step\":%d,\"seconds\":%.3f,\"rss_bytes\":%d}\n", i,
                           0.5 + 0.001 * i, 1000000 + i);
        if (i % 10 == 0)
            hone_string_format(&valid, "%d\t%.3f\t%.4f\t%.3f\ttrue\n", i, i / 100.0, loss + 0.1,
                               exp(loss + 0.1));
    }
    write_part(name, "train.tsv", &train);
    write_part(name, "valid.tsv", &valid);
    write_part(name, "log.jsonl", &log);
    hone_string_add(&rest, "method: lora\nmodel: \"<script>alert('x')</script>\"\nr: 16\n"
                           "target_modules: [c_attn, \"a&b\"]\nrank_pattern: {\"<b>\": 4}\n"
                           "prompt_template: null\n");
    write_part(name, "config.yaml", &rest);
    hone_string_add(&rest,
                    "{\"status\":\"finished\",\"step\":7,\"total_steps\":7,\"loss\":3.25,"
                    "\"trainable\":12,\"parameters\":3456789,\"tokens\":1000,\"seconds\":75.5,"
                    "\"tokens_per_second\":13.25,\"best_validation_loss\":3.1,"
                    "\"best_validation_perplexity\":22.198,\"best_step\":5}");
    write_part(name, "summary.json", &rest);
    for (int i = 1; i <= 6; i++)
        hone_string_format(
            &rest, "{\"step\":%d,\"prompt\":\"<i>\",\"text\":\"</div>&amp;\\\"%d\"}\n", i, i);
    write_part(name, "samples.jsonl", &rest);
}
