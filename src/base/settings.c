/* The option tables, made from the lists of settings.h: a row names its key once, so a table can't
 * disagree with its struct. */
#include <hone/settings.h>

#define ROW(type, key, value, minimum, maximum, choices, metavar, help)                            \
    {#key, HONE_OPTION_##type, offsetof(OBJECT, key), value, minimum, maximum, choices, metavar,   \
     help},

#define OBJECT hone_model_settings
static const hone_option model_options[] = {HONE_MODEL_SETTINGS(ROW)};
#undef OBJECT
#define OBJECT hone_adapter_settings
static const hone_option adapter_options[] = {HONE_ADAPTER_SETTINGS(ROW)};
#undef OBJECT
#define OBJECT hone_data_settings
static const hone_option data_options[] = {HONE_DATA_SETTINGS(ROW)};
#undef OBJECT
#define OBJECT hone_train_settings
static const hone_option train_options[] = {HONE_TRAIN_SETTINGS(ROW)};
#undef OBJECT
#define OBJECT hone_generate_settings
static const hone_option generate_options[] = {HONE_GENERATE_SETTINGS(ROW)};
#undef OBJECT
#define OBJECT hone_score_settings
static const hone_option score_options[] = {HONE_SCORE_SETTINGS(ROW)};
#undef OBJECT

#define SET(table, title)                                                                          \
    (hone_option_set)                                                                              \
    {                                                                                              \
        table, sizeof table / sizeof *table, object, title                                         \
    }

hone_option_set hone_model_option_set(hone_model_settings *object)
{
    return SET(model_options, "Model");
}

hone_option_set hone_adapter_option_set(hone_adapter_settings *object)
{
    return SET(adapter_options, "Adapter");
}

hone_option_set hone_data_option_set(hone_data_settings *object)
{
    return SET(data_options, "Data");
}

hone_option_set hone_train_option_set(hone_train_settings *object)
{
    return SET(train_options, "Training");
}

hone_option_set hone_generate_option_set(hone_generate_settings *object)
{
    return SET(generate_options, "Generation");
}

hone_option_set hone_score_option_set(hone_score_settings *object)
{
    return SET(score_options, "Scores");
}
