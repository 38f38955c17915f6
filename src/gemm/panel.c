/* Which kernels of panel.h there are here. */
#include "gemm/panel.h"

#include "base/isa.h"
#include "gemm/backend.h"

#include <pthread.h>
#include <string.h>

#if defined(__x86_64__)

extern const hone_panel_kernels hone_panel_f32_v4, hone_panel_bf16_v4_bf16;

static const hone_panel_kernels *f32, *bf16;

/* Where the library multiplies bf16 on tiles, it is faster than any kernel without them. */
static void choose(void)
{
    enum { WITH_AVX512 = 2 };
    if (hone_isa_level() < WITH_AVX512)
        return;
    f32 = &hone_panel_f32_v4;
    if (hone_isa_bf16_dots() && strstr(hone_backend_isa(), "amx") == NULL)
        bf16 = &hone_panel_bf16_v4_bf16;
}

const hone_panel_kernels *hone_panel_kernels_of(hone_dtype dtype)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, choose);
    return dtype == HONE_F32 ? f32 : dtype == HONE_BF16 ? bf16 : NULL;
}

#else

const hone_panel_kernels *hone_panel_kernels_of(hone_dtype dtype)
{
    (void)dtype;
    return NULL;
}

#endif

size_t hone_matmul_room(hone_dtype dtype, int threads)
{
    return hone_panel_kernels_of(dtype) != NULL ? (size_t)threads * HONE_PANEL_ROOM : 0;
}
