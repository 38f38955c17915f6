/* Any bytes: a study file is read, or refused with a message. */
#include "base/failure.h"
#include "study/study.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    hone_study *study;
    hone_error error = {0};
    if (hone_study_create(NULL, &study, &error) != HONE_OK)
        abort();
    hone_status status = hone_study_parse(study, (const char *)data, size, "fuzz", &error);
    if (status != HONE_OK && error.message[0] == '\0')
        abort();
    if (status == HONE_OK && hone_study_count(study) == 0)
        abort();
    for (size_t i = 0; i < hone_study_count(study); i++)
        if (hone_study_name(study, i)[0] == '.')
            abort();
    hone_study_free(study);
    return 0;
}
