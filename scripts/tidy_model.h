/* What clang's analyzer can't see from one file: a failure is never HONE_OK. Put before each source
 * by check_tidy.sh; no compiler ever reads it. */
#ifndef HONE_TIDY_MODEL_H
#define HONE_TIDY_MODEL_H

#include "base/failure.h"

#define hone_fail(...) (hone_fail(__VA_ARGS__), HONE_INPUT)
#define hone_fail_at(...) (hone_fail_at(__VA_ARGS__), HONE_INPUT)
#define hone_fail_errno(...) (hone_fail_errno(__VA_ARGS__), HONE_INPUT)
#define hone_fail_memory(...) (hone_fail_memory(__VA_ARGS__), HONE_INPUT)

#endif
