/* Reads blocks, decompresses them and cuts them at newlines: see line_reader.h.
 * Invariant: buffer[begin .. used) are bytes not handed out yet, of which buffer[begin .. searched)
 * hold no newline. The buffer grows to HONE_LINE_LIMIT and a block, never further. */
#include "data/line_reader.h"

#include "base/files.h"
#include "base/memory.h"

#include <string.h>

#define ZSTD_STATIC_LINKING_ONLY /* ZSTD_createDStream_advanced: our allocator */
#include <zstd.h>
#include <zstd_errors.h>

#define BLOCK ((size_t)256 << 10)
#define WINDOW_LOG_MAX 27 /* what the zstd program takes too, without --long */

struct hone_line_reader {
    char *path;
    int descriptor;
    int64_t size, offset; /* of the file; of the next byte to read */
    char *buffer;
    size_t capacity, begin, searched, used;
    bool ended, passing_over; /* no more bytes will come; inside a line that was too long */
    int64_t number;
    ZSTD_DStream *stream; /* NULL for a plain file */
    char *block;          /* compressed bytes */
    ZSTD_inBuffer input;
    bool frame_done;
};

static void *zstd_allocate(void *context, size_t size)
{
    (void)context;
    return hone_alloc(size);
}

static void zstd_release(void *context, void *block)
{
    (void)context;
    hone_free(block);
}

static hone_status open_stream(hone_line_reader *reader, hone_error *error)
{
    ZSTD_customMem memory = {zstd_allocate, zstd_release, NULL};
    reader->stream = ZSTD_createDStream_advanced(memory);
    reader->block = hone_alloc(BLOCK);
    if (reader->stream == NULL || reader->block == NULL)
        return hone_fail_memory(error, "zstd reader", BLOCK);
    reader->input.src = reader->block;
    reader->frame_done = true;
    size_t code = ZSTD_DCtx_setParameter(reader->stream, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
    if (ZSTD_isError(code))
        return hone_fail_at(error, HONE_INPUT, reader->path, -1, -1, "zstd: %s",
                            ZSTD_getErrorName(code));
    return HONE_OK;
}

hone_status hone_line_reader_open(const char *path, bool zstd, hone_line_reader **out,
                                  hone_error *error)
{
    hone_status status;
    *out = NULL;
    hone_line_reader *reader = hone_alloc_array(1, sizeof *reader);
    if (reader == NULL)
        return hone_fail_memory(error, "line reader", sizeof *reader);
    reader->descriptor = -1;
    reader->path = hone_strdup(path);
    if (reader->path == NULL) {
        status = hone_fail_memory(error, "line reader", strlen(path));
        goto fail;
    }
    HONE_TRY_GOTO(hone_file_open(path, &reader->descriptor, &reader->size, error), fail);
    if (zstd)
        HONE_TRY_GOTO(open_stream(reader, error), fail);
    *out = reader;
    return HONE_OK;
fail:
    hone_line_reader_close(reader);
    return status;
}

void hone_line_reader_close(hone_line_reader *reader)
{
    if (reader == NULL)
        return;
    if (reader->descriptor >= 0)
        hone_file_close(reader->descriptor);
    ZSTD_freeDStream(reader->stream);
    hone_free(reader->block);
    hone_free(reader->buffer);
    hone_free(reader->path);
    hone_free(reader);
}

/* Reads the next bytes of the file, at most `room`; *size = 0 at its end. */
static hone_status read_block(hone_line_reader *reader, char *out, size_t room, size_t *size,
                              hone_error *error)
{
    int64_t left = reader->size - reader->offset;
    *size = left < (int64_t)room ? (size_t)left : room;
    if (*size == 0)
        return HONE_OK;
    HONE_TRY(
        hone_file_read_at(reader->descriptor, reader->path, out, *size, reader->offset, error));
    reader->offset += (int64_t)*size;
    return HONE_OK;
}

static hone_status fail_stream(const hone_line_reader *reader, size_t code, hone_error *error)
{
    int64_t offset = reader->offset - (int64_t)(reader->input.size - reader->input.pos);
    switch (ZSTD_getErrorCode(code)) {
    case ZSTD_error_memory_allocation: return hone_fail_memory(error, "zstd window", BLOCK);
    case ZSTD_error_frameParameter_windowTooLarge:
        return hone_fail_at(error, HONE_INPUT, reader->path, -1, offset,
                            "the zstd frame needs a window over 128 MiB; compress it again "
                            "without --ultra and --long");
    case ZSTD_error_dictionary_wrong:
        return hone_fail_at(error, HONE_INPUT, reader->path, -1, offset,
                            "the zstd frame needs a dictionary; compress it again without one");
    case ZSTD_error_prefix_unknown:
        return hone_fail_at(error, HONE_INPUT, reader->path, -1, offset,
                            "expected a zstd frame; the name ends in .zst, so compress the file "
                            "with zstd or rename it");
    default:
        return hone_fail_at(error, HONE_INPUT, reader->path, -1, offset,
                            "damaged zstd data: %s; make the file again", ZSTD_getErrorName(code));
    }
}

/* Decompresses at least one byte into `output`, or sets ended. */
static hone_status decompress(hone_line_reader *reader, ZSTD_outBuffer *output, hone_error *error)
{
    while (output->pos == 0) {
        ZSTD_inBuffer *input = &reader->input;
        bool file_read = reader->offset == reader->size;
        if (input->pos == input->size && !file_read) {
            input->pos = input->size = 0;
            HONE_TRY(read_block(reader, reader->block, BLOCK, &input->size, error));
        } else if (input->pos == input->size && reader->frame_done) {
            reader->ended = true;
            return HONE_OK;
        }
        bool starved = input->pos == input->size;
        size_t code = ZSTD_decompressStream(reader->stream, output, input);
        if (ZSTD_isError(code))
            return fail_stream(reader, code, error);
        reader->frame_done = code == 0;
        if (starved && output->pos == 0)
            return hone_fail_at(error, HONE_INPUT, reader->path, -1, reader->size,
                                "the file ends inside a zstd frame; it was cut short, fetch or "
                                "make it again");
    }
    return HONE_OK;
}

/* Adds bytes to the buffer, or sets ended. */
static hone_status fill(hone_line_reader *reader, hone_error *error)
{
    if (reader->begin > 0) {
        memmove(reader->buffer, reader->buffer + reader->begin, reader->used - reader->begin);
        reader->searched -= reader->begin;
        reader->used -= reader->begin;
        reader->begin = 0;
    }
    void *buffer = reader->buffer;
    if (!hone_array_reserve(&buffer, &reader->capacity, reader->used + BLOCK, 1))
        return hone_fail_memory(error, "line", reader->used + BLOCK);
    reader->buffer = buffer;
    char *free_space = reader->buffer + reader->used;
    size_t size;
    if (reader->stream != NULL) {
        ZSTD_outBuffer output = {free_space, BLOCK, 0};
        HONE_TRY(decompress(reader, &output, error));
        size = output.pos;
    } else {
        HONE_TRY(read_block(reader, free_space, BLOCK, &size, error));
        reader->ended = size == 0;
    }
    reader->used += size;
    return HONE_OK;
}

/* Finds the end of the line at hand, reading on as needed: *length without the newline. */
static hone_status find_end(hone_line_reader *reader, size_t *length, bool *newline,
                            hone_error *error)
{
    for (;;) {
        size_t unsearched = reader->used - reader->searched;
        const char *end = NULL;
        if (unsearched > 0)
            end = memchr(reader->buffer + reader->searched, '\n', unsearched);
        *newline = end != NULL;
        reader->searched = end != NULL ? (size_t)(end - reader->buffer) : reader->used;
        *length = reader->searched - reader->begin;
        if (*newline || *length > HONE_LINE_LIMIT || reader->ended)
            return HONE_OK;
        HONE_TRY(fill(reader, error));
    }
}

/* Moves behind the newline that ends a line which was too long. */
static hone_status pass_over(hone_line_reader *reader, hone_error *error)
{
    bool newline = false;
    while (reader->passing_over) {
        size_t length;
        HONE_TRY(find_end(reader, &length, &newline, error));
        reader->begin = reader->searched += newline;
        reader->passing_over = !newline && !reader->ended;
    }
    return HONE_OK;
}

hone_status hone_line_reader_next(hone_line_reader *reader, hone_line *line, hone_error *error)
{
    static const char byte_order_mark[] = "\xEF\xBB\xBF";
    size_t length;
    bool newline;
    *line = (hone_line){.number = reader->number + 1};
    HONE_TRY(pass_over(reader, error));
    HONE_TRY(find_end(reader, &length, &newline, error));
    if (length == 0 && !newline)
        return HONE_OK;
    line->number = ++reader->number;
    line->text = reader->buffer + reader->begin;
    line->too_long = length > HONE_LINE_LIMIT;
    line->ending = newline;
    reader->begin = reader->searched += newline;
    if (line->too_long) {
        length = HONE_LINE_LIMIT;
        line->ending = 0;
        reader->passing_over = !newline;
    } else if (length > 0 && line->text[length - 1] == '\r') {
        length--;
        line->ending++;
    }
    if (line->number == 1 && length >= 3 && memcmp(line->text, byte_order_mark, 3) == 0) {
        line->text += 3;
        length -= 3;
    }
    line->length = length;
    return HONE_OK;
}

bool hone_line_is_blank(const hone_line *line)
{
    for (size_t i = 0; i < line->length; i++)
        if (line->text[i] != ' ' && line->text[i] != '\t' && line->text[i] != '\r')
            return false;
    return true;
}
