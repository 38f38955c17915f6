/* Line charts: see plot.h. The only file that knows cairo. Both formats come from the same calls;
 * the bytes are collected first and then written at once, so a file appears whole or not at all. */
#include "report/plot.h"

#include "base/files.h"
#include "base/memory.h"

#include <cairo-svg.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HONE_LEAK_CHECK
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define HONE_LEAK_CHECK
#endif

#ifdef HONE_LEAK_CHECK
/* The font library keeps what it has found in static memory, by offsets that the leak checker can't
 * follow; what is allocated while drawing is not looked at. */
#include <sanitizer/lsan_interface.h>
#define LEAK_CHECK_OFF() __lsan_disable()
#define LEAK_CHECK_ON() __lsan_enable()
#else
#define LEAK_CHECK_OFF() ((void)0)
#define LEAK_CHECK_ON() ((void)0)
#endif

static const double width = 800.0, height = 500.0;
static const double left = 74.0, right = 780.0, top = 44.0, bottom = 446.0;

typedef struct colour {
    double red, green, blue;
} colour;

/* Told apart by people who see colours differently (Okabe and Ito's set). */
static const colour palette[] = {
    {0.00, 0.45, 0.70}, {0.84, 0.37, 0.00}, {0.00, 0.62, 0.45}, {0.80, 0.47, 0.65}};
enum { COLOURS = sizeof palette / sizeof *palette, TICKS = 8 };

typedef struct frame {
    double x_low, x_high, y_low, y_high;
} frame;

/* ---- scales ------------------------------------------------------------------------------- */

void hone_plot_ticks(double low, double high, int most, double *first, double *step)
{
    double rough = (high - low) / (double)most;
    double power = pow(10.0, floor(log10(rough)));
    static const double round_numbers[] = {1.0, 2.0, 5.0, 10.0, 20.0};
    for (size_t i = 0; i < sizeof round_numbers / sizeof *round_numbers; i++) {
        *step = round_numbers[i] * power;
        *first = ceil(low / *step - 1e-9) * *step;
        if (*first + (double)most * *step > high * (1.0 + 1e-12))
            return;
    }
}

static bool is_shown(const hone_plot_series *series, size_t i)
{
    return isfinite(series->x[i]) && isfinite(series->y[i]);
}

static frame find_frame(const hone_plot *plot)
{
    frame f = {HUGE_VAL, -HUGE_VAL, HUGE_VAL, -HUGE_VAL};
    for (size_t s = 0; s < plot->count; s++) {
        for (size_t i = 0; i < plot->series[s].n; i++) {
            if (!is_shown(&plot->series[s], i))
                continue;
            f.x_low = fmin(f.x_low, plot->series[s].x[i]);
            f.x_high = fmax(f.x_high, plot->series[s].x[i]);
            f.y_low = fmin(f.y_low, plot->series[s].y[i]);
            f.y_high = fmax(f.y_high, plot->series[s].y[i]);
        }
    }
    if (!(f.x_low <= f.x_high))
        f = (frame){0.0, 1.0, 0.0, 1.0};
    /* Room above and below; a single value gets some too. */
    double room = 0.06 * (f.y_high - f.y_low);
    if (!(room > 1e-9 * (1.0 + fabs(f.y_high))))
        room = 0.1 * (1.0 + fabs(f.y_high));
    f.y_low -= room;
    f.y_high += room;
    if (!(f.x_high - f.x_low > 1e-9 * (1.0 + fabs(f.x_high)))) {
        f.x_low -= 1.0;
        f.x_high += 1.0;
    }
    return f;
}

static double place_x(const frame *f, double x)
{
    return left + (x - f->x_low) / (f->x_high - f->x_low) * (right - left);
}

static double place_y(const frame *f, double y)
{
    return bottom - (y - f->y_low) / (f->y_high - f->y_low) * (bottom - top);
}

/* ---- drawing ------------------------------------------------------------------------------ */

static void set_grey(cairo_t *c, double grey)
{
    cairo_set_source_rgb(c, grey, grey, grey);
}

/* align: 0 the text starts at x, 0.5 is centred there, 1 ends there. */
static void put_text(cairo_t *c, double x, double y, double align, const char *text)
{
    cairo_text_extents_t extents;
    cairo_text_extents(c, text, &extents);
    cairo_move_to(c, x - align * extents.x_advance, y);
    cairo_show_text(c, text);
}

/* A number with as few digits as its distance to the next tick allows. */
static void format_tick(double value, double step, char text[32])
{
    if (fabs(value) < 1e-9 * step)
        value = 0.0;
    if (fabs(value) >= 1e6 || (value != 0.0 && step < 1e-4)) {
        snprintf(text, 32, "%.3g", value);
    } else {
        int digits = step < 1.0 ? (int)ceil(-log10(step) - 1e-9) : 0;
        snprintf(text, 32, "%.*f", digits, value);
    }
    char *comma = strchr(text, ','); /* some locales */
    if (comma != NULL)
        *comma = '.';
}

static void draw_axes(cairo_t *c, const hone_plot *plot, const frame *f)
{
    double first, step;
    char text[32];
    cairo_set_line_width(c, 1.0);
    cairo_set_font_size(c, 12.0);
    hone_plot_ticks(f->x_low, f->x_high, TICKS, &first, &step);
    for (int i = 0; first + i * step <= f->x_high + 1e-9 * step; i++) {
        double x = floor(place_x(f, first + i * step)) + 0.5;
        set_grey(c, 0.9);
        cairo_move_to(c, x, top);
        cairo_line_to(c, x, bottom);
        cairo_stroke(c);
        set_grey(c, 0.25);
        format_tick(first + i * step, step, text);
        put_text(c, x, bottom + 17.0, 0.5, text);
    }
    hone_plot_ticks(f->y_low, f->y_high, TICKS, &first, &step);
    for (int i = 0; first + i * step <= f->y_high + 1e-9 * step; i++) {
        double y = floor(place_y(f, first + i * step)) + 0.5;
        set_grey(c, 0.9);
        cairo_move_to(c, left, y);
        cairo_line_to(c, right, y);
        cairo_stroke(c);
        set_grey(c, 0.25);
        format_tick(first + i * step, step, text);
        put_text(c, left - 8.0, y + 4.0, 1.0, text);
    }
    set_grey(c, 0.4);
    cairo_move_to(c, left + 0.5, top);
    cairo_line_to(c, left + 0.5, bottom + 0.5);
    cairo_line_to(c, right, bottom + 0.5);
    cairo_stroke(c);
    set_grey(c, 0.1);
    put_text(c, (left + right) / 2.0, height - 16.0, 0.5, plot->x_label);
    cairo_set_font_size(c, 15.0);
    put_text(c, (left + right) / 2.0, 26.0, 0.5, plot->title);
    cairo_set_font_size(c, 12.0);
    cairo_save(c);
    cairo_move_to(c, 0.0, 0.0);
    cairo_translate(c, 20.0, (top + bottom) / 2.0);
    cairo_rotate(c, -1.5707963267948966);
    put_text(c, 0.0, 0.0, 0.5, plot->y_label);
    cairo_restore(c);
}

static void use_colour(cairo_t *c, const hone_plot_series *series, size_t number)
{
    const colour *k = &palette[number % COLOURS];
    double mix = series->faint ? 0.65 : 0.0;
    cairo_set_source_rgb(c, k->red + mix * (1.0 - k->red), k->green + mix * (1.0 - k->green),
                         k->blue + mix * (1.0 - k->blue));
    cairo_set_line_width(c, series->faint ? 1.0 : 2.0);
}

/* Several points in one column of pixels show as one stroke from the lowest to the highest: a
 * million steps draw as fast, and look as they should. */
static void draw_line(cairo_t *c, const hone_plot_series *series, const frame *f)
{
    bool started = false;
    double column = (double)NAN, low = 0.0, high = 0.0;
    for (size_t i = 0; i <= series->n; i++) {
        bool shown = i < series->n && is_shown(series, i);
        double x = shown ? place_x(f, series->x[i]) : (double)NAN;
        double y = shown ? place_y(f, series->y[i]) : (double)NAN;
        if (shown && started && fabs(x - column) < 0.5) {
            low = fmin(low, y);
            high = fmax(high, y);
            continue;
        }
        if (started && high > low) {
            cairo_line_to(c, column, low);
            cairo_line_to(c, column, high);
        }
        if (!shown) {
            started = false;
            continue;
        }
        if (started)
            cairo_line_to(c, x, y);
        else
            cairo_move_to(c, x, y);
        started = true;
        column = x;
        low = high = y;
    }
    cairo_stroke(c);
}

static void draw_dots(cairo_t *c, const hone_plot_series *series, const frame *f)
{
    for (size_t i = 0; i < series->n; i++) {
        if (!is_shown(series, i))
            continue;
        cairo_arc(c, place_x(f, series->x[i]), place_y(f, series->y[i]), 3.0, 0.0,
                  6.283185307179586);
        cairo_fill(c);
    }
}

/* A faint series takes the colour of the one that follows it. */
static size_t colour_of(const hone_plot *plot, size_t number)
{
    size_t used = 0;
    for (size_t i = 0; i < number; i++)
        used += !plot->series[i].faint;
    return used;
}

static void draw_legend(cairo_t *c, const hone_plot *plot)
{
    double widest = 0.0;
    cairo_text_extents_t extents;
    for (size_t s = 0; s < plot->count; s++) {
        cairo_text_extents(c, plot->series[s].name, &extents);
        widest = fmax(widest, extents.x_advance);
    }
    double x = right - widest - 52.0, y = top + 8.0;
    cairo_set_source_rgba(c, 1.0, 1.0, 1.0, 0.85);
    cairo_rectangle(c, x - 8.0, y, widest + 52.0, 18.0 * (double)plot->count + 8.0);
    cairo_fill(c);
    for (size_t s = 0; s < plot->count; s++) {
        double middle = y + 13.0 + 18.0 * (double)s;
        use_colour(c, &plot->series[s], colour_of(plot, s));
        cairo_move_to(c, x, middle);
        cairo_line_to(c, x + 26.0, middle);
        cairo_stroke(c);
        if (plot->series[s].dots) {
            cairo_arc(c, x + 13.0, middle, 3.0, 0.0, 6.283185307179586);
            cairo_fill(c);
        }
        set_grey(c, 0.1);
        put_text(c, x + 34.0, middle + 4.0, 0.0, plot->series[s].name);
    }
}

static void draw(cairo_surface_t *surface, const hone_plot *plot)
{
    cairo_t *c = cairo_create(surface);
    frame f = find_frame(plot);
    set_grey(c, 1.0);
    cairo_paint(c);
    cairo_select_font_face(c, "sans-serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
    draw_axes(c, plot, &f);
    cairo_set_line_join(c, CAIRO_LINE_JOIN_ROUND);
    for (size_t s = 0; s < plot->count; s++) {
        use_colour(c, &plot->series[s], colour_of(plot, s));
        draw_line(c, &plot->series[s], &f);
        if (plot->series[s].dots)
            draw_dots(c, &plot->series[s], &f);
    }
    draw_legend(c, plot);
    cairo_surface_flush(surface);
    cairo_destroy(c);
}

/* ---- files -------------------------------------------------------------------------------- */

/* What cairo makes, collected in memory. */
typedef struct sink {
    char *bytes;
    size_t size, capacity;
} sink;

static cairo_status_t put_bytes(void *closure, const unsigned char *data, unsigned length)
{
    sink *s = closure;
    void *bytes = s->bytes;
    bool reserved = hone_array_reserve(&bytes, &s->capacity, s->size + length, 1);
    s->bytes = bytes;
    if (!reserved)
        return CAIRO_STATUS_NO_MEMORY;
    memcpy(s->bytes + s->size, data, length);
    s->size += length;
    return CAIRO_STATUS_SUCCESS;
}

/* Cairo numbers its surfaces through the life of the process, and writes the number: it is taken
 * out, so that a file depends on the plot alone. */
static void drop_surface_number(sink *s)
{
    static const char mark[] = "id=\"surface";
    char *found = memmem(s->bytes, s->size, mark, sizeof mark - 1);
    if (found == NULL)
        return;
    char *digit = found + sizeof mark - 1, *end = digit;
    while (end < s->bytes + s->size && *end >= '0' && *end <= '9')
        end++;
    memmove(digit, end, (size_t)(s->bytes + s->size - end));
    s->size -= (size_t)(end - digit);
}

static hone_status write_file(const hone_plot *plot, const char *path, bool svg, hone_error *error)
{
    sink s = {0};
    cairo_surface_t *surface =
        svg ? cairo_svg_surface_create_for_stream(put_bytes, &s, width, height)
            : cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)width, (int)height);
    LEAK_CHECK_OFF();
    draw(surface, plot);
    LEAK_CHECK_ON();
    cairo_status_t drawn = cairo_surface_status(surface);
    if (drawn == CAIRO_STATUS_SUCCESS && !svg)
        drawn = cairo_surface_write_to_png_stream(surface, put_bytes, &s);
    cairo_surface_finish(surface);
    if (drawn == CAIRO_STATUS_SUCCESS)
        drawn = cairo_surface_status(surface);
    cairo_surface_destroy(surface);
    if (svg && drawn == CAIRO_STATUS_SUCCESS)
        drop_surface_number(&s);
    hone_status status = HONE_OK;
    if (drawn == CAIRO_STATUS_NO_MEMORY)
        status = hone_fail_memory(error, path, s.size);
    else if (drawn != CAIRO_STATUS_SUCCESS)
        status = hone_fail_at(error, HONE_IO, path, -1, -1, "cannot draw: %s",
                              cairo_status_to_string(drawn));
    else
        status = hone_file_write(path, s.bytes, s.size, error);
    hone_free(s.bytes);
    return status;
}

hone_status hone_plot_write(const hone_plot *plot, const char *png_path, const char *svg_path,
                            hone_error *error)
{
    if (png_path != NULL)
        HONE_TRY(write_file(plot, png_path, false, error));
    if (svg_path != NULL)
        HONE_TRY(write_file(plot, svg_path, true, error));
    return HONE_OK;
}
