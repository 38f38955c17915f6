/* The families that hone knows. */
#include "model/family.h"

#include <string.h>

extern const hone_family hone_family_gpt2, hone_family_opt, hone_family_t5, hone_family_mt5;

static const hone_family *const families[] = {&hone_family_gpt2, &hone_family_opt, &hone_family_t5,
                                              &hone_family_mt5};
const char hone_family_names[] = "gpt2, opt, t5 and mt5";

const hone_family *hone_family_find(const char *model_type)
{
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
        if (strcmp(families[i]->model_type, model_type) == 0)
            return families[i];
    return NULL;
}
