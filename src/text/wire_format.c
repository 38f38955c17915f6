/* Protocol buffers' wire format: see wire_format.h.
 * Source: the "Encoding" page of the Protocol Buffers documentation. Groups, which proto2 still
 * knows and no tokenizer uses, are refused, so depth is what the caller's own code has. */
#include "text/wire_format.h"

#include <string.h>

void hone_wire_init(hone_wire *wire, const char *message, size_t length, size_t base)
{
    const char *end = length > 0 ? message + length : message;
    *wire = (hone_wire){.start = message, .at = message, .end = end, .base = base};
}

static bool fail(hone_wire *wire, const char *at, const char *problem)
{
    wire->problem = problem;
    wire->place = wire->base + (size_t)(at - wire->start);
    return false;
}

static bool read_varint(hone_wire *wire, uint64_t *value)
{
    const char *begin = wire->at;
    uint64_t result = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (wire->at == wire->end)
            return fail(wire, begin, "a number is cut off");
        unsigned char byte = (unsigned char)*wire->at++;
        if (shift == 63 && byte > 1)
            break;
        result |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            *value = result;
            return true;
        }
    }
    return fail(wire, begin, "a number has more than 64 bits");
}

static bool read_fixed(hone_wire *wire, size_t size, uint64_t *value)
{
    if ((size_t)(wire->end - wire->at) < size)
        return fail(wire, wire->at, "a number is cut off");
    *value = 0;
    for (size_t i = 0; i < size; i++)
        *value |= (uint64_t)(unsigned char)wire->at[i] << 8 * i;
    wire->at += size;
    return true;
}

static bool read_bytes(hone_wire *wire, hone_wire_field *field)
{
    const char *begin = wire->at;
    uint64_t length;
    if (!read_varint(wire, &length))
        return false;
    if (length > (uint64_t)(wire->end - wire->at))
        return fail(wire, begin, "a length is beyond the end");
    field->bytes = wire->at;
    field->length = (size_t)length;
    wire->at += length;
    return true;
}

bool hone_wire_next(hone_wire *wire, hone_wire_field *field)
{
    if (wire->problem != NULL || wire->at == wire->end)
        return false;
    const char *begin = wire->at;
    uint64_t tag;
    if (!read_varint(wire, &tag))
        return false;
    *field = (hone_wire_field){.number = (uint32_t)(tag >> 3),
                               .offset = wire->base + (size_t)(begin - wire->start)};
    if (tag >> 3 == 0 || tag > UINT32_MAX)
        return fail(wire, begin, "a field's number is out of range");
    switch (tag & 7) {
    case HONE_WIRE_VARINT: field->type = HONE_WIRE_VARINT; return read_varint(wire, &field->value);
    case HONE_WIRE_FIXED64:
        field->type = HONE_WIRE_FIXED64;
        return read_fixed(wire, 8, &field->value);
    case HONE_WIRE_BYTES: field->type = HONE_WIRE_BYTES; return read_bytes(wire, field);
    case HONE_WIRE_FIXED32:
        field->type = HONE_WIRE_FIXED32;
        return read_fixed(wire, 4, &field->value);
    case 3:
    case 4: return fail(wire, begin, "a group, which is not supported");
    default: return fail(wire, begin, "a field has an unknown wire type");
    }
}

void hone_wire_enter(hone_wire *inner, const hone_wire *outer, const hone_wire_field *field)
{
    hone_wire_init(inner, field->bytes, field->length,
                   outer->base + (size_t)(field->bytes - outer->start));
}

const char *hone_wire_type_name(hone_wire_type type)
{
    switch (type) {
    case HONE_WIRE_VARINT: return "varint";
    case HONE_WIRE_FIXED64: return "fixed64";
    case HONE_WIRE_BYTES: return "bytes";
    default: return "fixed32";
    }
}
