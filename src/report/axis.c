/* Axes: see axis.h. */
#include "report/axis.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void hone_axis_round(double low, double high, int most, double *first, double *step)
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

/* ---- numbers as texts --------------------------------------------------------------------- */

void hone_axis_number(double value, int digits, char *text, int size)
{
    char plain[400], grouped[536]; /* the widest double has 309 digits before its point */
    if (fabs(value) < 0.5 * pow(10.0, -digits))
        value = 0.0;
    snprintf(plain, sizeof plain, "%.*f", digits < 60 ? digits : 60, value);
    int whole = (int)strspn(plain, "-0123456789"), used = 0;
    if (!isfinite(value))
        whole = 0;
    for (int i = 0; i < whole; i++) {
        if (i > 0 && plain[i - 1] != '-' && (whole - i) % 3 == 0)
            grouped[used++] = ',';
        grouped[used++] = plain[i];
    }
    grouped[used] = '\0';
    /* The point is a comma in some locales. */
    if (whole > 0 && plain[whole] != '\0')
        plain[whole] = '.';
    snprintf(text, (size_t)size, "%s%s", grouped, plain + whole);
}

/* Digits after the point that tell multiples of step apart. */
static int digits_of(double step)
{
    double digits = ceil(-log10(step) - 1e-9);
    /* 0.25 and 0.125 need more than their power of ten says. */
    for (int more = 0; more < 3; more++) {
        double scaled = step * pow(10.0, digits);
        if (fabs(scaled - nearbyint(scaled)) < 1e-6 * scaled)
            break;
        digits += 1.0;
    }
    return digits > 0.0 ? (int)digits : 0;
}

/* largest: of all ticks, so that all have one form. */
static void number_label(double value, double step, double largest, char text[HONE_AXIS_LABEL])
{
    if (largest >= 1e15 || largest < 1e-4) {
        double digits = fmin(fmax(ceil(log10(largest / step)) + 1.0, 1.0), 15.0);
        snprintf(text, HONE_AXIS_LABEL, "%.*g", (int)digits,
                 fabs(value) < 1e-9 * step ? 0.0 : value);
        char *comma = strchr(text, ',');
        if (comma != NULL)
            *comma = '.';
        return;
    }
    static const struct {
        double from, unit;
        const char *sign;
    } units[] = {{1e12, 1e12, "T"}, {1e9, 1e9, "G"}, {1e6, 1e6, "M"}, {0.0, 1.0, ""}};
    size_t u = 0;
    while (largest < units[u].from)
        u++;
    char digits[HONE_AXIS_LABEL - 2];
    hone_axis_number(value / units[u].unit, digits_of(step / units[u].unit), digits, sizeof digits);
    bool zero = fabs(value) < 1e-9 * step;
    snprintf(text, HONE_AXIS_LABEL, "%s%s", digits, zero ? "" : units[u].sign);
}

/* ---- kinds -------------------------------------------------------------------------------- */

static void number_ticks(hone_axis *axis, int most)
{
    double first, step;
    hone_axis_round(axis->low, axis->high, most, &first, &step);
    double largest = fmax(fabs(axis->low), fabs(axis->high));
    for (int i = 0; i < most && first + i * step <= axis->high + 1e-9 * step; i++) {
        axis->at[axis->count] = first + i * step;
        number_label(axis->at[axis->count], step, largest, axis->label[axis->count]);
        axis->count++;
    }
}

/* Ticks at these multiples of powers of ten, or none of them when they are too many or too few. */
static bool log_ticks_at(hone_axis *axis, const double *multiples, int count, int apart, int most)
{
    axis->count = 0;
    int from = (int)floor(log10(axis->low)), to = (int)ceil(log10(axis->high));
    for (int power = from; power <= to; power++) {
        for (int i = 0; i < count && power % apart == 0; i++) {
            double value = multiples[i] * pow(10.0, power);
            if (value < axis->low * (1.0 - 1e-9) || value > axis->high * (1.0 + 1e-9))
                continue;
            if (axis->count == most)
                return false;
            axis->at[axis->count++] = value;
        }
    }
    return axis->count >= 2;
}

static void log_ticks(hone_axis *axis, int most)
{
    static const double dense[] = {1, 2, 3, 4, 5, 6, 8}, some[] = {1, 2, 3, 5}, few[] = {1, 2, 5},
                        two[] = {1, 3}, one[] = {1};
    bool found = log_ticks_at(axis, dense, 7, 1, most) || log_ticks_at(axis, some, 4, 1, most) ||
                 log_ticks_at(axis, few, 3, 1, most) || log_ticks_at(axis, two, 2, 1, most);
    for (int apart = 1; !found && apart < 400; apart++)
        found = log_ticks_at(axis, one, 1, apart, most);
    if (!found) {
        /* Less than the distance of the densest: the range hardly bends. */
        axis->count = 0;
        number_ticks(axis, most);
        return;
    }
    for (int i = 0; i < axis->count; i++) {
        double value = axis->at[i];
        number_label(value, value, value, axis->label[i]);
    }
}

static void time_label(double seconds, double unit, double step, char text[HONE_AXIS_LABEL])
{
    double part = unit / 60.0; /* of "min:s" and "h:min" */
    if (unit > 1.0 && unit < 86400.0 && step < unit) {
        long long parts = llround(seconds / part);
        snprintf(text, HONE_AXIS_LABEL, "%lld:%02lld", parts / 60, parts % 60);
    } else {
        hone_axis_number(seconds / unit, digits_of(step / unit), text, HONE_AXIS_LABEL);
    }
}

/* Round times: parts of a minute, an hour, a day. Outside of these, round numbers of seconds and of
 * days. */
static void time_ticks(hone_axis *axis, int most)
{
    static const double steps[] = {1,   2,   5,    10,   15,   30,    60,    120,   300,
                                   600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400};
    static const struct {
        double below, unit;
        const char *name, *parts;
    } units[] = {{120.0, 1.0, "s", "s"},
                 {7200.0, 60.0, "min", "min:s"},
                 {259200.0, 3600.0, "h", "h:min"},
                 {HUGE_VAL, 86400.0, "days", "days"}};
    size_t u = 0;
    while (axis->high > units[u].below)
        u++;
    double first = 0.0, step = 0.0, unit = units[u].unit;
    for (size_t i = 0; i < sizeof steps / sizeof *steps && step == 0.0; i++) {
        first = ceil(axis->low / steps[i] - 1e-9) * steps[i];
        if (first + (double)most * steps[i] > axis->high * (1.0 + 1e-12))
            step = steps[i];
    }
    if (step == 0.0 || (step == 1.0 && axis->high - axis->low < 3.0)) {
        hone_axis_round(axis->low / unit, axis->high / unit, most, &first, &step);
        first *= unit;
        step *= unit;
    }
    axis->unit = step < unit ? units[u].parts : units[u].name;
    for (int i = 0; i < most && first + i * step <= axis->high + 1e-9 * step; i++) {
        axis->at[axis->count] = first + i * step;
        time_label(axis->at[axis->count], unit, step, axis->label[axis->count]);
        axis->count++;
    }
}

void hone_axis_make(hone_axis_kind kind, double low, double high, int most, hone_axis *axis)
{
    *axis = (hone_axis){.kind = kind, .low = low, .high = high, .unit = ""};
    /* Beyond this what is added for room, or the difference, may not be finite. */
    const double most_magnitude = 1e305;
    if (!(fabs(low) < most_magnitude && fabs(high) < most_magnitude)) {
        axis->low = kind == HONE_AXIS_LOG ? 1.0 : 0.0;
        axis->high = axis->low + 1.0;
    } else if (kind == HONE_AXIS_LOG && !(low > 0.0)) {
        axis->low = high > 0.0 ? high / 10.0 : 1.0;
        axis->high = high > 0.0 ? high : 10.0;
    }
    if (!(axis->high - axis->low > 1e-9 * (fabs(axis->high) + 1e-290))) {
        double room = 0.5 * (fabs(axis->low) > 0.0 ? fabs(axis->low) : 1.0);
        axis->high = axis->low + room;
        axis->low = kind == HONE_AXIS_TIME && axis->low >= 0.0 ? 0.0 : axis->low - room;
    }
    switch (kind) {
    case HONE_AXIS_NUMBER: number_ticks(axis, most); break;
    case HONE_AXIS_LOG: log_ticks(axis, most); break;
    case HONE_AXIS_TIME: time_ticks(axis, most); break;
    }
}

double hone_axis_place(const hone_axis *axis, double value)
{
    if (axis->kind != HONE_AXIS_LOG)
        return (value - axis->low) / (axis->high - axis->low);
    if (!(value > 0.0))
        return (double)NAN;
    /* The quotient of two values may be beyond a double; their logarithms are not. */
    return (log(value) - log(axis->low)) / (log(axis->high) - log(axis->low));
}
