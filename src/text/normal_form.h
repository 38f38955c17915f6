/* Unicode's normalization forms. */
#ifndef HONE_TEXT_NORMAL_FORM_H
#define HONE_TEXT_NORMAL_FORM_H

#include "base/failure.h"
#include "text/text_buffer.h"

typedef enum hone_normal_form { HONE_NFD, HONE_NFC, HONE_NFKD, HONE_NFKC } hone_normal_form;

/* Appends the normalized text (well-formed UTF-8) to `out`. Linear in time however many marks
 * follow each other. Errors: memory. */
hone_status hone_normal_form_apply(hone_normal_form form, const char *text, size_t length,
                                   hone_text_buffer *out, hone_error *error);

#endif
