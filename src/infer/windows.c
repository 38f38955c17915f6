/* Windows over a document: see windows.h. */
#include "infer/windows.h"

hone_window hone_window_first(int64_t length, int64_t window)
{
    int64_t end = window > 0 && window < length ? window : length;
    return (hone_window){.begin = 0, .end = end, .counted = 1, .last = end == length};
}

hone_window hone_window_next(hone_window before, int64_t length, int64_t window, int64_t stride)
{
    int64_t begin = before.begin + stride;
    int64_t end = begin + window < length ? begin + window : length;
    /* A window's first token has nothing before it: it is counted by none if stride = window. */
    int64_t counted = before.end > begin ? before.end : begin + 1;
    return (hone_window){.begin = begin, .end = end, .counted = counted, .last = end == length};
}
