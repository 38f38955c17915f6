/* Detection of the instruction set: see isa.h. */
#include "base/isa.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static int level;
static bool bf16_dots;

static void detect(void)
{
#if defined(__x86_64__)
    const char *limit = getenv("HONE_ISA");
    bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
              __builtin_cpu_supports("bmi2");
    bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
              __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    level = v4 ? 2 : v3 ? 1 : 0;
    if (limit != NULL && strcmp(limit, "v2") == 0)
        level = 0;
    if (limit != NULL && strcmp(limit, "v3") == 0 && level > 1)
        level = 1;
    bf16_dots = level == 2 && __builtin_cpu_supports("avx512bf16") &&
                (limit == NULL || strcmp(limit, "v4") != 0);
#endif
}

static void detect_once(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, detect);
}

int hone_isa_level(void)
{
    detect_once();
    return level;
}

bool hone_isa_bf16_dots(void)
{
    detect_once();
    return bf16_dots;
}

const char *hone_isa_name(void)
{
#if defined(__x86_64__)
    static const char *const names[] = {"x86-64-v2", "x86-64-v3", "x86-64-v4"};
    return names[hone_isa_level()];
#else
    return "base";
#endif
}
