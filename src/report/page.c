/* Pages: see page.h. */
#include "report/page.h"

#include "base/memory.h"
#include "base/utf8_check.h"
#include "report/axis.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char style[] =
    "<style>\n"
    ":root{color-scheme:light}\n"
    "body{margin:0;background:#fff;color:#1b1f24;"
    "font:16px/1.5 system-ui,-apple-system,\"Segoe UI\",Roboto,\"Noto Sans\",\"DejaVu Sans\","
    "sans-serif}\n"
    "main{max-width:920px;margin:0 auto;padding:24px 20px 64px}\n"
    "h1{font-size:28px;line-height:1.2;margin:8px 0 4px;overflow-wrap:anywhere}\n"
    "h2{font-size:20px;margin:40px 0 12px;padding-top:12px;border-top:1px solid #e4e7eb}\n"
    "h3{font-size:16px;margin:24px 0 8px}\n"
    "p{margin:8px 0;max-width:48em}\n"
    ".sub,.note{color:#57606a}\n"
    ".note{font-size:14px;overflow-wrap:anywhere}\n"
    ".k{white-space:nowrap}\n"
    ".facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:12px;"
    "margin:20px 0}\n"
    "@media(min-width:700px){.facts{grid-template-columns:repeat(4,1fr)}}\n"
    ".facts div{border:1px solid #e4e7eb;border-radius:8px;padding:10px 14px}\n"
    ".facts dt{font-size:13px;color:#57606a}\n"
    ".facts dd{margin:0;font-size:20px;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}\n"
    ".facts small{display:block;font-size:13px;color:#57606a}\n"
    ".wide{overflow-x:auto;margin:12px 0}\n"
    "table{border-collapse:collapse;font-size:14px}\n"
    "td small{white-space:nowrap;font-weight:400}\n"
    "th,td{padding:6px 10px;border-bottom:1px solid #e4e7eb;text-align:left;vertical-align:top}\n"
    "th{font-weight:600;color:#3d444d}\n"
    "thead th{vertical-align:bottom}\n"
    "@media(max-width:900px){th,td{padding:6px}}\n"
    "tbody th{position:sticky;left:0;background:#fff;min-width:7em;max-width:15em;"
    "overflow-wrap:break-word}\n"
    ".n{text-align:right;font-variant-numeric:tabular-nums}\n"
    "td.n{white-space:nowrap}\n"
    ".best{font-weight:700}\n"
    ".base td,.base th{color:#57606a}\n"
    "small{font-size:12px;color:#57606a}\n"
    "figure{margin:16px 0;overflow-x:auto}\n"
    "figure svg{display:block;width:100%;height:auto;min-width:600px}\n"
    ".sample{border-left:3px solid #d0d7de;padding:2px 14px;margin:12px 0;white-space:pre-wrap;"
    "overflow-wrap:anywhere}\n"
    ".sample b{font-weight:600}\n"
    ".step{font-size:13px;color:#57606a;margin:16px 0 0}\n"
    ".pre{white-space:pre-wrap;overflow-wrap:anywhere}\n"
    "details{margin:12px 0}\n"
    "summary{cursor:pointer;color:#0b62b0}\n"
    ".help{font-size:12px;color:#57606a}\n"
    "code{font:14px ui-monospace,\"DejaVu Sans Mono\",monospace}\n"
    "</style>\n";

/* ---- markup ------------------------------------------------------------------------------- */

void hone_page_begin(hone_page *page, const char *title, const char *subtitle)
{
    hone_page_html(page, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                         "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
                         /* Nothing is loaded and nothing runs, whatever the texts hold. */
                         "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src "
                         "'none'; style-src 'unsafe-inline'\">\n<title>");
    hone_page_text(page, title);
    hone_page_html(page, "</title>\n");
    hone_page_html(page, style);
    hone_page_html(page, "</head>\n<body>\n<main>\n<h1>");
    hone_page_text(page, title);
    hone_page_html(page, "</h1>\n");
    if (subtitle != NULL) {
        hone_page_html(page, "<p class=\"sub\">");
        hone_page_text(page, subtitle);
        hone_page_html(page, "</p>\n");
    }
}

void hone_page_end(hone_page *page)
{
    hone_page_html(page, "</main>\n</body>\n</html>\n");
}

void hone_page_html(hone_page *page, const char *html)
{
    hone_string_add(&page->text, html);
}

static const char *escape(char c)
{
    switch (c) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    case '\'': return "&#39;";
    default: return NULL;
    }
}

void hone_page_text_n(hone_page *page, const char *text, size_t length)
{
    static const char replacement[] = "\xEF\xBF\xBD";
    for (size_t at = 0; at < length;) {
        size_t size = hone_utf8_length(text + at, length - at);
        unsigned char first = (unsigned char)text[at];
        bool shown = size > 0 && first != 0x7F &&
                     (first >= 0x20 || first == '\n' || first == '\t' || first == '\r');
        const char *escaped = escape(text[at]);
        if (escaped != NULL)
            hone_string_add(&page->text, escaped);
        else if (shown)
            hone_string_put(&page->text, text + at, size);
        else
            hone_string_add(&page->text, replacement);
        at += size > 0 ? size : 1;
    }
}

void hone_page_text(hone_page *page, const char *text)
{
    hone_page_text_n(page, text, strlen(text));
}

void hone_page_heading(hone_page *page, const char *text)
{
    hone_page_html(page, "<h2>");
    hone_page_text(page, text);
    hone_page_html(page, "</h2>\n");
}

void hone_page_cell(hone_page *page, bool number, const char *text)
{
    hone_page_html(page, number ? "<td class=\"n\">" : "<td>");
    hone_page_text(page, text != NULL ? text : "");
    hone_page_html(page, "</td>");
}

void hone_page_number(hone_page *page, double value, int digits)
{
    char text[HONE_PAGE_NUMBER] = "\xE2\x80\x93";
    if (isfinite(value))
        hone_axis_number(value, digits, text, sizeof text);
    hone_page_cell(page, true, text);
}

void hone_page_begin_facts(hone_page *page)
{
    hone_page_html(page, "<dl class=\"facts\">\n");
}

void hone_page_fact(hone_page *page, const char *key, const char *value, const char *remark)
{
    hone_page_html(page, "<div><dt>");
    hone_page_text(page, key);
    hone_page_html(page, "</dt><dd>");
    hone_page_text(page, value);
    if (remark != NULL) {
        hone_page_html(page, "<small>");
        hone_page_text(page, remark);
        hone_page_html(page, "</small>");
    }
    hone_page_html(page, "</dd></div>\n");
}

void hone_page_end_facts(hone_page *page)
{
    hone_page_html(page, "</dl>\n");
}

/* ---- pictures ----------------------------------------------------------------------------- */

/* Puts a picture into the page. Its parts refer to each other by names that are the same in all
 * pictures of cairo's: here each name gets the picture's number in front. */
static void put_svg(hone_page *page, const char *svg, const char *title)
{
    static const char *const marks[] = {"id=\"", "href=\"#", "url(#"};
    const char *at = strstr(svg, "<svg");
    if (at == NULL)
        return;
    hone_string_format(&page->text, "<figure>\n<svg role=\"img\" aria-label=\"");
    hone_page_text(page, title);
    hone_page_html(page, "\"");
    at += 4;
    while (*at != '\0') {
        const char *next = NULL;
        size_t length = 0;
        for (size_t m = 0; m < sizeof marks / sizeof *marks; m++) {
            const char *found = strstr(at, marks[m]);
            if (found != NULL && (next == NULL || found < next)) {
                next = found;
                length = strlen(marks[m]);
            }
        }
        if (next == NULL)
            break;
        hone_string_put(&page->text, at, (size_t)(next - at) + length);
        hone_string_format(&page->text, "p%zu-", page->figures);
        at = next + length;
    }
    hone_page_html(page, at);
    hone_page_html(page, "</figure>\n");
    page->figures++;
}

hone_status hone_page_charts(hone_page *page, const hone_chart_request *request, size_t *drawn,
                             hone_error *error)
{
    *drawn = 0;
    for (int kind = 0; kind < HONE_CHARTS; kind++) {
        hone_chart_request one = *request;
        hone_chart chart;
        char *svg = NULL;
        size_t length;
        one.kind = (hone_chart_kind)kind;
        HONE_TRY(hone_chart_build(&one, &chart, error));
        hone_status status = HONE_OK;
        if (chart.plot.count > 0)
            status = hone_plot_svg(&chart.plot, &svg, &length, error);
        if (svg != NULL) {
            put_svg(page, svg, chart.plot.title);
            ++*drawn;
        }
        hone_free(svg);
        hone_chart_deinit(&chart);
        HONE_TRY(status);
    }
    return HONE_OK;
}

/* ---- numbers ------------------------------------------------------------------------------ */

void hone_page_bytes(double bytes, char text[HONE_PAGE_NUMBER])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    while (unit < 4 && fabs(bytes) >= 1024.0) {
        bytes /= 1024.0;
        unit++;
    }
    hone_page_significant(bytes, 3, text);
    size_t used = strlen(text);
    snprintf(text + used, HONE_PAGE_NUMBER - used, " %s", units[unit]);
}

void hone_page_duration(double seconds, char text[HONE_PAGE_NUMBER])
{
    if (!(seconds >= 0.0 && seconds < 1e12)) {
        snprintf(text, HONE_PAGE_NUMBER, "%s", "\xE2\x80\x93");
    } else if (seconds < 59.5) {
        hone_page_significant(seconds, 3, text);
        size_t used = strlen(text);
        snprintf(text + used, HONE_PAGE_NUMBER - used, " s");
    } else if (seconds < 3599.5) {
        long long s = llround(seconds);
        snprintf(text, HONE_PAGE_NUMBER, "%lld min %02lld s", s / 60, s % 60);
    } else {
        long long m = llround(seconds / 60.0);
        snprintf(text, HONE_PAGE_NUMBER, "%lld h %02lld min", m / 60, m % 60);
    }
}

void hone_page_significant(double value, int digits, char text[HONE_PAGE_NUMBER])
{
    if (!isfinite(value)) {
        snprintf(text, HONE_PAGE_NUMBER, "%s", "\xE2\x80\x93");
        return;
    }
    int power = value != 0.0 ? (int)floor(log10(fabs(value))) : 0;
    /* 9.996 with three digits is 10.0. */
    if (value != 0.0 && fabs(value) >= (10.0 - 0.5 * pow(10.0, 1 - digits)) * pow(10.0, power))
        power++;
    if (power < -6 || power > 18) {
        snprintf(text, HONE_PAGE_NUMBER, "%.*e", digits - 1, value);
        char *comma = strchr(text, ',');
        if (comma != NULL)
            *comma = '.';
        return;
    }
    int after = digits - 1 - power;
    hone_axis_number(value, after > 0 ? after : 0, text, HONE_PAGE_NUMBER);
}
