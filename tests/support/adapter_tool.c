/* Makes, copies or merges adapters, for comparing with PEFT from outside.
 * usage: adapter_tool MODEL save|merge OUT [key=value ...]
 * With adapter=DIR the folder is opened (and, with continue=1, made trainable first); without it a
 * new adapter is made by the settings. Errors go to stderr; the exit code is the status's. */
#include <hone/log.h>
#include <hone/model.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(const hone_error *error)
{
    char text[4096];
    hone_error_format(error, text, sizeof text);
    fprintf(stderr, "%s\n", text);
    return hone_status_exit_code(error->status);
}

static void warn(void *context, hone_log_level level, const char *message)
{
    (void)context, (void)level;
    fprintf(stderr, "note: %s\n", message);
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: adapter_tool MODEL save|merge OUT [key=value ...]\n");
        return 2;
    }
    hone_log_set(warn, NULL);
    hone_error error;
    hone_model_settings model_settings;
    hone_adapter_settings adapter_settings;
    hone_option_set sets[] = {hone_model_option_set(&model_settings),
                              hone_adapter_option_set(&adapter_settings)};
    if (hone_options_init(&sets[0], &error) != HONE_OK ||
        hone_options_init(&sets[1], &error) != HONE_OK ||
        hone_options_set_text(sets, 2, "model", argv[1], "model", &error) != HONE_OK)
        return fail(&error);
    int go_on = 0;
    for (int i = 4; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        if (value == NULL)
            return 2;
        *value++ = '\0';
        if (strcmp(argv[i], "continue") == 0)
            go_on = value[0] == '1';
        else if (hone_options_set_text(sets, 2, argv[i], value, argv[i], &error) != HONE_OK)
            return fail(&error);
    }
    int is_new = model_settings.adapter == NULL;
    hone_model *model;
    if (hone_model_open(&model_settings, is_new || go_on ? &adapter_settings : NULL, &model,
                        &error) != HONE_OK)
        return fail(&error);
    hone_model_facts facts = hone_model_describe(model);
    printf("{\"trainable\": %lld, \"parameters\": %lld}\n", (long long)facts.trainable,
           (long long)facts.parameters);
    hone_status status = strcmp(argv[2], "merge") == 0 ? hone_model_merge(model, argv[3], &error)
                                                       : hone_model_save(model, argv[3], &error);
    hone_model_close(model);
    hone_options_deinit(&sets[0]);
    hone_options_deinit(&sets[1]);
    return status == HONE_OK ? 0 : fail(&error);
}
