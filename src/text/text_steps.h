/* Normalizers of tokenizer.json, one after the other. */
#ifndef HONE_TEXT_TEXT_STEPS_H
#define HONE_TEXT_TEXT_STEPS_H

#include "text/charsmap.h"
#include "text/normal_form.h"
#include "text/text_buffer.h"

typedef enum hone_text_step_kind {
    HONE_STEP_CHARSMAP,    /* Precompiled */
    HONE_STEP_NORMAL_FORM, /* NFC, NFD, NFKC, NFKD */
    HONE_STEP_STRIP,       /* white space at the ends */
    HONE_STEP_PREPEND,     /* content before what is not empty */
    HONE_STEP_REPLACE,     /* each occurrence of a string */
    HONE_STEP_RUNS,        /* each run of spaces or white space */
    HONE_STEP_ENDS,        /* spaces at both ends */
    HONE_STEP_FIRST        /* a string that the text begins with */
} hone_text_step_kind;

typedef struct hone_text_step {
    hone_text_step_kind kind;
    hone_charsmap map; /* CHARSMAP */
    bool plain[128];   /* CHARSMAP: ASCII that stands for itself before ASCII and at the end */
    hone_normal_form form;
    bool left, right;              /* STRIP */
    bool white;                    /* RUNS: of white space, not of spaces alone */
    size_t least;                  /* RUNS: characters in a run */
    const char *pattern, *content; /* in texts */
    size_t pattern_length, content_length;
} hone_text_step;

/* Read-only once built; zeroed: no steps. */
typedef struct hone_text_steps {
    hone_text_step *steps;
    size_t count, capacity;
    hone_arena texts;
} hone_text_steps;

/* Appends a zeroed step; NULL when memory has run out. Steps move when more are added. */
hone_text_step *hone_text_steps_add(hone_text_steps *steps, hone_text_step_kind kind);
/* After the map of a CHARSMAP step is there. */
void hone_text_step_finish_map(hone_text_step *step);
void hone_text_steps_deinit(hone_text_steps *steps);

/* Puts the normalized text into out[*which]. Ill-formed bytes become U+FFFD. *head: bytes at its
 * beginning that stand for the text's first character, 0 when that was stripped. Errors: memory. */
hone_status hone_text_steps_apply(const hone_text_steps *steps, const char *text, size_t length,
                                  hone_text_buffer out[2], int *which, size_t *head,
                                  hone_error *error);

#endif
