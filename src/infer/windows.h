/* Long documents measured by a sliding window, so that each token is predicted from at least
 * `window - stride` tokens before it and the whole document counts.
 *
 * Windows of at most `window` tokens begin `stride` tokens apart; of each, the tokens that the one
 * before has not reached are counted. stride = window: blocks that know nothing of each other. */
#ifndef HONE_INFER_WINDOWS_H
#define HONE_INFER_WINDOWS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct hone_window {
    int64_t begin, end; /* tokens [begin, end) of the document are seen */
    int64_t counted;    /* those from here on are counted; never the document's first */
    bool last;
} hone_window;

/* The first window of a document of `length` > 0 tokens. window <= 0: the whole document. */
hone_window hone_window_first(int64_t length, int64_t window);
/* The window after a `window` that is not the last; 0 < stride <= window. */
hone_window hone_window_next(hone_window before, int64_t length, int64_t window, int64_t stride);

#endif
