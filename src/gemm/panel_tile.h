/* The product of panel.h for one type of unit. Included by panel_kernel.c for each, with
 * PANEL(name): the name of a function of this type;
 * PANEL_STEP(acc, a, b): acc and one step, a the address of a unit, b a vector of units. */

/* Sums to a row of the result: bias, what is there, type. */
static inline __attribute__((always_inline)) void PANEL(put)(const hone_panel_product *p,
                                                             int64_t row, int64_t column, vec sum)
{
    int64_t at = row * p->c_stride + column;
    if (p->bias != NULL)
        sum += vec_load(p->bias + column);
    if (p->c_dtype == HONE_F32) {
        float *c = (float *)p->c + at;
        vec_store(c, p->accumulate ? vec_load(c) + sum : sum);
    } else {
        uint16_t *c = (uint16_t *)p->c + at;
        vec_store_bf16(c, p->accumulate ? vec_load_bf16(c) + sum : sum);
    }
}

/* C's tile at (i, j): `rows` rows of one or two vectors, in registers until all steps are done. */
static inline __attribute__((always_inline)) void
PANEL(tile)(const hone_panel_product *p, int64_t i, int64_t j, int rows, int vectors)
{
    vec acc[TILE_ROWS][2];
    if (p->accumulate && p->c_dtype == HONE_F32)
        for (int r = 0; r < rows; r++)
            for (int v = 0; v < vectors; v++)
                __builtin_prefetch((float *)p->c + (i + r) * p->c_stride + j + v * LANES, 1);
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
        acc[r][0] = acc[r][1] = (vec){0};
    const float *a = (const float *)p->a + i * p->a_row;
    const float *b = (const float *)p->b + j / HONE_PANEL_COLUMNS * p->b_panel;
    int64_t a_row = p->a_row, a_step = p->a_step, b_step = p->b_step;
    for (int64_t s = 0; s < p->steps; s++) {
        vec b0 = vec_load(b), b1 = vectors > 1 ? vec_load(b + LANES) : b0;
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            PANEL_STEP(acc[r][0], a + r * a_row, b0);
            if (vectors > 1)
                PANEL_STEP(acc[r][1], a + r * a_row, b1);
        }
        a += a_step;
        b += b_step;
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
        PANEL(put)(p, i + r, j, acc[r][0]);
        if (vectors > 1)
            PANEL(put)(p, i + r, j + LANES, acc[r][1]);
    }
}

/* All rows of one panel, or of half a one. */
static inline __attribute__((always_inline)) void PANEL(panel)(const hone_panel_product *p,
                                                               int64_t j, int vectors)
{
    int64_t i = 0;
    for (; i + TILE_ROWS <= p->m; i += TILE_ROWS)
        PANEL(tile)(p, i, j, TILE_ROWS, vectors);
    if (i + 4 <= p->m) {
        PANEL(tile)(p, i, j, 4, vectors);
        i += 4;
    }
    for (; i < p->m; i++)
        PANEL(tile)(p, i, j, 1, vectors);
}

static void PANEL(multiply)(const hone_panel_product *p)
{
    int64_t j = 0;
    for (; j + HONE_PANEL_COLUMNS <= p->n; j += HONE_PANEL_COLUMNS)
        PANEL(panel)(p, j, 2);
    if (j < p->n)
        PANEL(panel)(p, j, 1);
}
