/* Line charts: see plot.h. The only file that knows cairo. Both formats come from the same calls;
 * the bytes are collected first and then written at once, so a file appears whole or not at all.
 *
 * From top to bottom: title, legend, panels, caption. The legend has its own rows, so it never
 * covers a curve; how many rows legend and caption take is found first, and the height from that.
 */
#include "report/plot.h"

#include "base/files.h"
#include "base/memory.h"
#include "base/utf8_check.h"
#include "report/axis.h"

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

static const double width = 800.0, margin = 16.0;
static const double body_size = 13.0, small_size = 12.0, title_size = 16.0;
static const double legend_row = 22.0, caption_row = 16.0, sample = 34.0; /* sample: of a line */
static const double tau = 6.283185307179586;

enum { COLOURS = 7, DASHES = 4, MARKS = 5, TEXT = 512, MOST_MARKS = 40, LINES = 4 };

typedef struct colour {
    double red, green, blue;
} colour;

/* Told apart by people who see colours differently (Okabe and Ito's set, without its yellow). */
static const colour palette[COLOURS] = {{0.00, 0.45, 0.70}, {0.84, 0.37, 0.00}, {0.00, 0.62, 0.45},
                                        {0.80, 0.47, 0.65}, {0.90, 0.62, 0.00}, {0.34, 0.71, 0.91},
                                        {0.20, 0.20, 0.20}};

/* On, off, on, off; 0 in the first place: solid. */
static const double dashes[DASHES][4] = {{0, 0, 0, 0}, {9, 4, 9, 4}, {3, 3, 3, 3}, {11, 3, 3, 3}};

typedef struct frame {
    double left, right, top, bottom; /* where the panel lies */
    hone_axis x, y;
} frame;

typedef struct layout {
    double legend, panels, panel_height, caption, height; /* tops and the whole */
    bool panel_titles;
} layout;

/* ---- texts -------------------------------------------------------------------------------- */

static void set_grey(cairo_t *c, double grey)
{
    cairo_set_source_rgb(c, grey, grey, grey);
}

/* What is not UTF-8 would end the drawing; control characters would show as boxes. */
static void clean_text(const char *text, char out[TEXT])
{
    size_t used = 0, length = strlen(text);
    for (size_t at = 0; at < length && used + 5 < TEXT;) {
        size_t size = hone_utf8_length(text + at, length - at);
        bool shown = size > 0 && (unsigned char)text[at] >= 0x20 && text[at] != 0x7F;
        if (shown)
            memcpy(out + used, text + at, size);
        else
            out[used] = '?';
        used += shown ? size : 1;
        at += size > 0 ? size : 1;
    }
    out[used] = '\0';
}

static double text_width(cairo_t *c, const char *text)
{
    cairo_text_extents_t extents;
    cairo_text_extents(c, text, &extents);
    return extents.x_advance;
}

/* Cuts a clean text at its end until it is at most so wide. */
static void fit_text(cairo_t *c, char text[TEXT], double most)
{
    static const char ellipsis[] = "\xE2\x80\xA6";
    size_t length = strlen(text);
    while (length > 0 && text_width(c, text) > most) {
        do
            length--;
        while (length > 0 && ((unsigned char)text[length] & 0xC0) == 0x80);
        if (length + sizeof ellipsis <= TEXT)
            memcpy(text + length, ellipsis, sizeof ellipsis);
    }
}

/* align: 0 the text starts at x, 0.5 is centred there, 1 ends there. most: its width, or 0. */
static void put_text(cairo_t *c, double x, double y, double align, double most, const char *text)
{
    char clean[TEXT];
    clean_text(text, clean);
    if (most > 0.0)
        fit_text(c, clean, most);
    cairo_move_to(c, x - align * text_width(c, clean), y);
    cairo_show_text(c, clean);
}

/* Breaks a text into lines that fit, at spaces; the number of lines. */
static int wrap_text(cairo_t *c, const char *text, double most, char lines[LINES][TEXT])
{
    char clean[TEXT];
    int count = 0;
    clean_text(text, clean);
    for (const char *at = clean; *at != '\0' && count < LINES; count++) {
        size_t fits = 0;
        for (size_t end = 0; at[end] != '\0';) {
            end += strspn(at + end, " ");
            end += strcspn(at + end, " ");
            memcpy(lines[count], at, end);
            lines[count][end] = '\0';
            if (fits > 0 && text_width(c, lines[count]) > most)
                break;
            fits = end;
        }
        lines[count][fits] = '\0';
        at += fits;
        at += strspn(at, " ");
    }
    return count;
}

/* ---- looks -------------------------------------------------------------------------------- */

static void use_look(cairo_t *c, hone_plot_look look, size_t style)
{
    static const double opacities[] = {[HONE_LOOK_LINE] = 1.0,
                                       [HONE_LOOK_DOTS] = 1.0,
                                       [HONE_LOOK_THIN] = 0.6,
                                       [HONE_LOOK_FAINT] = 0.2};
    const colour *k = &palette[style % COLOURS];
    cairo_set_dash(c, NULL, 0, 0.0);
    if (look == HONE_LOOK_LEVEL)
        set_grey(c, 0.45);
    else
        cairo_set_source_rgba(c, k->red, k->green, k->blue, opacities[look]);
    bool strong = look == HONE_LOOK_LINE || look == HONE_LOOK_DOTS;
    cairo_set_line_width(c, strong ? 2.2 : look == HONE_LOOK_FAINT ? 1.0 : 1.3);
    const double *dash = dashes[style % DASHES];
    if ((strong || look == HONE_LOOK_LEVEL) && dash[0] > 0.0)
        cairo_set_dash(c, dash, 4, 0.0);
}

static void path_mark(cairo_t *c, size_t style, double x, double y, double r)
{
    cairo_new_path(c);
    switch (style % MARKS) {
    case 0: cairo_arc(c, x, y, r, 0.0, tau); break;
    case 1: cairo_rectangle(c, x - 0.9 * r, y - 0.9 * r, 1.8 * r, 1.8 * r); break;
    case 2:
        cairo_move_to(c, x, y - 1.25 * r);
        cairo_line_to(c, x + 1.15 * r, y + 0.8 * r);
        cairo_line_to(c, x - 1.15 * r, y + 0.8 * r);
        break;
    case 3:
        cairo_move_to(c, x, y - 1.35 * r);
        cairo_line_to(c, x + 1.2 * r, y);
        cairo_line_to(c, x, y + 1.35 * r);
        cairo_line_to(c, x - 1.2 * r, y);
        break;
    default:
        cairo_move_to(c, x, y + 1.25 * r);
        cairo_line_to(c, x + 1.15 * r, y - 0.8 * r);
        cairo_line_to(c, x - 1.15 * r, y - 0.8 * r);
        break;
    }
    cairo_close_path(c);
}

/* Marks have a white rim, so that they stand out from lines that pass behind. */
static void draw_mark(cairo_t *c, size_t style, double x, double y)
{
    const colour *k = &palette[style % COLOURS];
    path_mark(c, style, x, y, 5.2);
    set_grey(c, 1.0);
    cairo_fill(c);
    path_mark(c, style, x, y, 3.8);
    cairo_set_source_rgb(c, k->red, k->green, k->blue);
    cairo_fill(c);
}

/* ---- layout ------------------------------------------------------------------------------- */

static const hone_plot_series *series_at(const hone_plot *plot, size_t number)
{
    for (size_t p = 0; p < plot->count; p++) {
        if (number < plot->panels[p].count)
            return &plot->panels[p].series[number];
        number -= plot->panels[p].count;
    }
    return NULL;
}

/* The number-th entry of the legend: series with a name that no earlier one has. */
static const hone_plot_series *legend_at(const hone_plot *plot, size_t number)
{
    const hone_plot_series *series;
    for (size_t i = 0; (series = series_at(plot, i)) != NULL; i++) {
        bool known = series->name == NULL;
        for (size_t j = 0; j < i && !known; j++) {
            const char *name = series_at(plot, j)->name;
            known = name != NULL && strcmp(name, series->name) == 0;
        }
        if (!known && number-- == 0)
            return series;
    }
    return NULL;
}

/* Walks the legend's entries, drawing them when there is a place to; the rows it takes. */
static int put_legend(cairo_t *c, const hone_plot *plot, double top, bool draw)
{
    const hone_plot_series *series;
    double x = margin, room = width - 2.0 * margin;
    int row = 0;
    cairo_set_font_size(c, body_size);
    for (size_t i = 0; (series = legend_at(plot, i)) != NULL; i++) {
        char name[TEXT];
        clean_text(series->name, name);
        fit_text(c, name, room - sample - 8.0);
        double taken = sample + 8.0 + text_width(c, name);
        if (x > margin && x + taken > margin + room) {
            x = margin;
            row++;
        }
        if (draw) {
            double middle = top + legend_row * (row + 0.5);
            use_look(c, series->look, series->style);
            cairo_move_to(c, x, middle);
            cairo_line_to(c, x + sample, middle);
            cairo_stroke(c);
            if (series->look == HONE_LOOK_DOTS)
                draw_mark(c, series->style, x + sample / 2.0, middle);
            set_grey(c, 0.1);
            put_text(c, x + sample + 8.0, middle + 4.5, 0.0, 0.0, name);
        }
        x += taken + 24.0;
    }
    return legend_at(plot, 0) != NULL ? row + 1 : 0;
}

static layout lay_out(cairo_t *c, const hone_plot *plot)
{
    layout l = {.legend = 38.0};
    char lines[LINES][TEXT];
    for (size_t p = 0; p < plot->count; p++)
        l.panel_titles = l.panel_titles || plot->panels[p].title != NULL;
    l.panels = l.legend + legend_row * put_legend(c, plot, 0.0, false) + 8.0;
    if (l.panel_titles)
        l.panels += 20.0;
    l.panel_height = plot->count > 1 ? 270.0 : 360.0;
    l.caption = l.panels + l.panel_height + 54.0;
    l.height = l.caption + 8.0;
    cairo_set_font_size(c, small_size);
    if (plot->caption != NULL)
        l.height += caption_row * wrap_text(c, plot->caption, width - 2.0 * margin, lines) + 4.0;
    return l;
}

/* ---- ranges ------------------------------------------------------------------------------- */

typedef struct range {
    double low, high;
} range;

static const range no_range = {HUGE_VAL, -HUGE_VAL};

static void widen(range *r, double value)
{
    r->low = fmin(r->low, value);
    r->high = fmax(r->high, value);
}

static bool is_point(const hone_plot_series *series, size_t i)
{
    return isfinite(series->x[i]) && isfinite(series->y[i]);
}

/* Adds what a panel shows; with `faint` what lies in its background, else the rest. */
static void add_ranges(const hone_plot_panel *panel, bool faint, range *x, range *y)
{
    for (size_t s = 0; s < panel->count; s++) {
        const hone_plot_series *series = &panel->series[s];
        if ((series->look == HONE_LOOK_FAINT) != faint)
            continue;
        bool level = series->look == HONE_LOOK_LEVEL;
        if (level && series->n > 0 && isfinite(series->y[0]))
            widen(y, series->y[0]);
        for (size_t i = 0; i < series->n && !level; i++) {
            if (!is_point(series, i))
                continue;
            widen(x, series->x[i]);
            widen(y, series->y[i]);
        }
    }
}

static void make_y_axis(const hone_plot *plot, range y, hone_axis *axis)
{
    enum { TICKS = 8 };
    bool logarithmic = plot->y_may_be_log && y.low > 0.0 && y.high > 10.0 * y.low;
    if (logarithmic) {
        double room = pow(y.high / y.low, 0.05);
        hone_axis_make(HONE_AXIS_LOG, y.low / room, y.high * room, TICKS, axis);
        return;
    }
    double room = 0.06 * (y.high - y.low);
    /* A range that lies beside zero does not pass it for want of room. */
    double low = y.low >= 0.0 && y.low < room ? 0.0 : y.low - room;
    hone_axis_make(HONE_AXIS_NUMBER, low, y.high + room, TICKS, axis);
}

static void make_axes(const hone_plot *plot, const hone_plot_panel *panel, frame *f)
{
    range x = no_range, own_x = no_range, y = no_range;
    for (size_t p = 0; p < plot->count; p++) {
        range ignored = no_range;
        add_ranges(&plot->panels[p], false, &x, &ignored);
        add_ranges(&plot->panels[p], true, &x, &ignored);
    }
    add_ranges(panel, false, &own_x, &y);
    if (!(y.low <= y.high))
        add_ranges(panel, true, &own_x, &y);
    /* Runs begin at zero, whether or not something was measured there. */
    if (x.low > 0.0 && x.low < 0.5 * x.high)
        x.low = 0.0;
    double most = (f->right - f->left) / 75.0;
    int ticks = most < 3.0 ? 3 : most > HONE_AXIS_TICKS ? HONE_AXIS_TICKS : (int)most;
    hone_axis_make(plot->x_is_time ? HONE_AXIS_TIME : HONE_AXIS_NUMBER, x.low, x.high, ticks,
                   &f->x);
    make_y_axis(plot, y, &f->y);
}

/* ---- panels ------------------------------------------------------------------------------- */

static double place_x(const frame *f, double x)
{
    return f->left + hone_axis_place(&f->x, x) * (f->right - f->left);
}

static double place_y(const frame *f, double y)
{
    return f->bottom - hone_axis_place(&f->y, y) * (f->bottom - f->top);
}

static void draw_axes(cairo_t *c, const frame *f)
{
    cairo_set_line_width(c, 1.0);
    cairo_set_dash(c, NULL, 0, 0.0);
    cairo_set_font_size(c, small_size);
    for (int i = 0; i < f->x.count; i++) {
        double x = floor(place_x(f, f->x.at[i])) + 0.5;
        set_grey(c, 0.9);
        cairo_move_to(c, x, f->top);
        cairo_line_to(c, x, f->bottom);
        cairo_stroke(c);
        set_grey(c, 0.25);
        put_text(c, x, f->bottom + 17.0, 0.5, 0.0, f->x.label[i]);
    }
    for (int i = 0; i < f->y.count; i++) {
        double y = floor(place_y(f, f->y.at[i])) + 0.5;
        set_grey(c, 0.9);
        cairo_move_to(c, f->left, y);
        cairo_line_to(c, f->right, y);
        cairo_stroke(c);
        set_grey(c, 0.25);
        put_text(c, f->left - 7.0, y + 4.0, 1.0, 0.0, f->y.label[i]);
    }
    set_grey(c, 0.4);
    cairo_move_to(c, floor(f->left) + 0.5, f->top);
    cairo_line_to(c, floor(f->left) + 0.5, floor(f->bottom) + 0.5);
    cairo_line_to(c, f->right, floor(f->bottom) + 0.5);
    cairo_stroke(c);
}

/* Several points in one column of pixels show as one stroke from the lowest to the highest: a
 * million steps draw as fast, and look as they should. */
static void draw_line(cairo_t *c, const hone_plot_series *series, const frame *f)
{
    bool started = false;
    double column = (double)NAN, low = 0.0, high = 0.0;
    for (size_t i = 0; i <= series->n; i++) {
        bool shown = i < series->n && is_point(series, i);
        double x = shown ? place_x(f, series->x[i]) : (double)NAN;
        double y = shown ? place_y(f, series->y[i]) : (double)NAN;
        shown = shown && isfinite(y);
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

static void draw_marks(cairo_t *c, const hone_plot_series *series, const frame *f)
{
    size_t apart = series->n / MOST_MARKS + 1;
    /* Counted from the end: the last value is the one that is looked for. */
    for (size_t i = series->n; i-- > 0;) {
        if (!is_point(series, i) || (series->n - 1 - i) % apart != 0)
            continue;
        double y = place_y(f, series->y[i]);
        if (isfinite(y))
            draw_mark(c, series->style, place_x(f, series->x[i]), y);
    }
}

static void draw_level(cairo_t *c, const hone_plot_series *series, const frame *f)
{
    double y = series->n > 0 ? place_y(f, series->y[0]) : (double)NAN;
    if (!isfinite(y))
        return;
    cairo_move_to(c, f->left, y);
    cairo_line_to(c, f->right, y);
    cairo_stroke(c);
}

/* From the background to the front, whatever their order in the panel. */
static void draw_series(cairo_t *c, const hone_plot_panel *panel, const frame *f)
{
    static const hone_plot_look order[] = {HONE_LOOK_FAINT, HONE_LOOK_LEVEL, HONE_LOOK_THIN,
                                           HONE_LOOK_LINE, HONE_LOOK_DOTS};
    cairo_save(c);
    cairo_rectangle(c, f->left - 6.0, f->top, f->right - f->left + 12.0, f->bottom - f->top + 6.0);
    cairo_clip(c);
    for (size_t o = 0; o < sizeof order / sizeof *order; o++) {
        for (size_t s = 0; s < panel->count; s++) {
            const hone_plot_series *series = &panel->series[s];
            if (series->look != order[o])
                continue;
            use_look(c, series->look, series->style);
            if (series->look == HONE_LOOK_LEVEL)
                draw_level(c, series, f);
            else
                draw_line(c, series, f);
            if (series->look == HONE_LOOK_DOTS)
                draw_marks(c, series, f);
        }
    }
    cairo_restore(c);
}

static void draw_panels(cairo_t *c, const hone_plot *plot, const layout *l)
{
    const double labels = 54.0, first = 76.0, end = width - 28.0;
    double each = (end - first - labels * ((double)plot->count - 1.0)) / (double)plot->count;
    char title[TEXT] = "";
    for (size_t p = 0; p < plot->count; p++) {
        double left = first + (each + labels) * (double)p;
        frame f = {left, left + each, l->panels, l->panels + l->panel_height, {0}, {0}};
        make_axes(plot, &plot->panels[p], &f);
        draw_axes(c, &f);
        draw_series(c, &plot->panels[p], &f);
        set_grey(c, 0.1);
        cairo_set_font_size(c, body_size);
        if (plot->panels[p].title != NULL)
            put_text(c, left + each / 2.0, f.top - 9.0, 0.5, each, plot->panels[p].title);
        const char *unit = f.x.unit;
        snprintf(title, sizeof title, unit[0] != '\0' ? "%s (%s)" : "%s", plot->x_label, unit);
    }
    set_grey(c, 0.1);
    cairo_set_font_size(c, body_size);
    put_text(c, (first + end) / 2.0, l->panels + l->panel_height + 40.0, 0.5, 0.0, title);
    cairo_save(c);
    cairo_translate(c, margin + 8.0, l->panels + l->panel_height / 2.0);
    cairo_rotate(c, -tau / 4.0);
    put_text(c, 0.0, 0.0, 0.5, 0.0, plot->y_label);
    cairo_restore(c);
}

static void draw(cairo_t *c, const hone_plot *plot, const layout *l)
{
    char lines[LINES][TEXT];
    set_grey(c, 1.0);
    cairo_paint(c);
    set_grey(c, 0.1);
    cairo_set_font_size(c, title_size);
    put_text(c, margin, 26.0, 0.0, width - 2.0 * margin, plot->title);
    cairo_set_line_join(c, CAIRO_LINE_JOIN_ROUND);
    put_legend(c, plot, l->legend, true);
    draw_panels(c, plot, l);
    cairo_set_font_size(c, small_size);
    int count =
        plot->caption != NULL ? wrap_text(c, plot->caption, width - 2.0 * margin, lines) : 0;
    set_grey(c, 0.35);
    for (int i = 0; i < count; i++)
        put_text(c, margin, l->caption + caption_row * (i + 1) - 3.0, 0.0, 0.0, lines[i]);
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
    bool reserved = hone_array_reserve(&bytes, &s->capacity, s->size + length + 1, 1);
    s->bytes = bytes;
    if (!reserved)
        return CAIRO_STATUS_NO_MEMORY;
    memcpy(s->bytes + s->size, data, length);
    s->size += length;
    s->bytes[s->size] = '\0';
    return CAIRO_STATUS_SUCCESS;
}

/* Cairo numbers its surfaces through the life of the process, and writes the number: it is taken
 * out, so that a file depends on the plot alone. */
static void drop_surface_number(sink *s)
{
    static const char mark[] = "id=\"surface";
    char *found = s->bytes != NULL ? strstr(s->bytes, mark) : NULL;
    if (found == NULL)
        return;
    char *digits = found + sizeof mark - 1;
    size_t count = strspn(digits, "0123456789");
    memmove(digits, digits + count, strlen(digits + count) + 1);
    s->size -= count;
}

/* Texts must have one width on all surfaces: the layout is found on another than is drawn on. */
static void use_font(cairo_t *c)
{
    cairo_font_options_t *options = cairo_font_options_create();
    cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
    cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
    cairo_set_font_options(c, options);
    cairo_font_options_destroy(options);
    cairo_select_font_face(c, "sans-serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
}

/* The height that the plot needs: texts are measured on a surface that nothing is drawn on. */
static layout measure(const hone_plot *plot)
{
    cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, 1, 1);
    cairo_t *c = cairo_create(surface);
    use_font(c);
    layout l = lay_out(c, plot);
    cairo_destroy(c);
    cairo_surface_destroy(surface);
    return l;
}

/* `place` is named in errors. The caller frees the bytes, also after a failure. */
static hone_status render(const hone_plot *plot, bool svg, const char *place, sink *s,
                          hone_error *error)
{
    LEAK_CHECK_OFF();
    layout l = measure(plot);
    cairo_surface_t *surface =
        svg ? cairo_svg_surface_create_for_stream(put_bytes, s, width, l.height)
            : cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)width, (int)ceil(l.height));
    cairo_t *c = cairo_create(surface);
    use_font(c);
    draw(c, plot, &l);
    cairo_surface_flush(surface);
    cairo_status_t drawn = cairo_status(c);
    cairo_destroy(c);
    LEAK_CHECK_ON();
    if (drawn == CAIRO_STATUS_SUCCESS && !svg)
        drawn = cairo_surface_write_to_png_stream(surface, put_bytes, s);
    cairo_surface_finish(surface);
    if (drawn == CAIRO_STATUS_SUCCESS)
        drawn = cairo_surface_status(surface);
    cairo_surface_destroy(surface);
    if (svg && drawn == CAIRO_STATUS_SUCCESS)
        drop_surface_number(s);
    if (drawn == CAIRO_STATUS_NO_MEMORY)
        return hone_fail_memory(error, place, s->size);
    if (drawn != CAIRO_STATUS_SUCCESS)
        return hone_fail_at(error, HONE_IO, place, -1, -1, "cannot draw: %s",
                            cairo_status_to_string(drawn));
    return HONE_OK;
}

static hone_status write_file(const hone_plot *plot, const char *path, bool svg, hone_error *error)
{
    sink s = {0};
    hone_status status = render(plot, svg, path, &s, error);
    if (status == HONE_OK)
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

hone_status hone_plot_svg(const hone_plot *plot, char **svg, size_t *length, hone_error *error)
{
    sink s = {0};
    *svg = NULL;
    hone_status status = render(plot, true, plot->title, &s, error);
    if (status != HONE_OK) {
        hone_free(s.bytes);
        return status;
    }
    *svg = s.bytes;
    *length = s.size;
    return HONE_OK;
}
