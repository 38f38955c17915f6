/* Reading protocol buffers, the wire format alone: fields of one message, one after the other. */
#ifndef HONE_TEXT_WIRE_FORMAT_H
#define HONE_TEXT_WIRE_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum hone_wire_type {
    HONE_WIRE_VARINT = 0,
    HONE_WIRE_FIXED64 = 1,
    HONE_WIRE_BYTES = 2, /* strings, bytes, messages */
    HONE_WIRE_FIXED32 = 5
} hone_wire_type;

typedef struct hone_wire_field {
    uint32_t number;
    hone_wire_type type;
    uint64_t value;    /* of a varint or fixed number */
    const char *bytes; /* borrowed from the message; not NUL-terminated */
    size_t length;
    size_t offset; /* of the field in the message that was given to hone_wire_init */
} hone_wire_field;

/* A place in a message. No recursion: a nested message is read by a reader of its own. */
typedef struct hone_wire {
    const char *start, *at, *end;
    size_t base;         /* added to offsets: where the message lies in its file */
    const char *problem; /* why reading ended early, or NULL */
    size_t place;        /* and where, as an offset */
} hone_wire;

void hone_wire_init(hone_wire *wire, const char *message, size_t length, size_t base);
/* The next field, or false at the end and at what is no message: a varint that is cut off or longer
 * than 64 bits, a length beyond the end, a group, an unknown wire type, field number 0. `problem`
 * tells the two apart. */
bool hone_wire_next(hone_wire *wire, hone_wire_field *field);
/* Reader of the message that is a field's value. */
void hone_wire_enter(hone_wire *inner, const hone_wire *outer, const hone_wire_field *field);

const char *hone_wire_type_name(hone_wire_type type);

#endif
