/* The pieces of a page: one HTML file with its style and its pictures inside, that loads nothing
 * and runs nothing. Whatever is put in as text is shown as text. */
#ifndef HONE_REPORT_PAGE_H
#define HONE_REPORT_PAGE_H

#include "base/string_builder.h"
#include "report/charts.h"

typedef struct hone_page {
    hone_string text;
    size_t figures; /* so far: the names within each picture must differ from the others' */
} hone_page;

/* Up to the title and a line below it; subtitle NULL: none. */
void hone_page_begin(hone_page *page, const char *title, const char *subtitle);
void hone_page_end(hone_page *page);

/* Markup as it is. */
void hone_page_html(hone_page *page, const char *html);
/* Text, escaped; control characters and what is not UTF-8 become U+FFFD. */
void hone_page_text(hone_page *page, const char *text);
void hone_page_text_n(hone_page *page, const char *text, size_t length);
void hone_page_heading(hone_page *page, const char *text);

/* A cell of a table: a number (right-aligned) or a text. text NULL: an empty one. */
void hone_page_cell(hone_page *page, bool number, const char *text);
/* A number with so many digits after its point, or a dash when it is not finite. */
void hone_page_number(hone_page *page, double value, int digits);

/* "key: value" among others, as a tile; begin and end of their list. */
void hone_page_begin_facts(hone_page *page);
void hone_page_fact(hone_page *page, const char *key, const char *value, const char *remark);
void hone_page_end_facts(hone_page *page);

/* Pictures of all kinds that the runs have something for. *drawn: how many. */
hone_status hone_page_charts(hone_page *page, const hone_chart_request *request, size_t *drawn,
                             hone_error *error);

/* Numbers as people read them: "4,340,736", "1.4 GiB", "3 min 20 s", "0.0421". */
enum { HONE_PAGE_NUMBER = 48 };
void hone_page_bytes(double bytes, char text[HONE_PAGE_NUMBER]);
void hone_page_duration(double seconds, char text[HONE_PAGE_NUMBER]);
void hone_page_significant(double value, int digits, char text[HONE_PAGE_NUMBER]);

#endif
