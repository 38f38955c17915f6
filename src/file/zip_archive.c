/* The zip container of a .bin: see zip_archive.h. libzip reads through a source of our own, which
 * serves the bytes of a hone_tensor_file; so it works on files and on memory alike, moves no file
 * position, and lets us see where libzip reads the first byte of a stored member. Such members are
 * then read straight from the file, without libzip. */
#include "file/zip_archive.h"

#include <string.h>
#include <zip.h>

#define SKIP ((size_t)16384) /* bytes passed over at a time */
#define DEFLATE_RATIO 1032   /* what a deflated byte can unpack to (zlib's technical notes) */

struct hone_zip {
    const hone_tensor_file *file;
    zip_t *archive;
    zip_error_t source_error;
    hone_error failure; /* of the last read, or status OK */
    int64_t at;         /* libzip's position in the file */
    int64_t last_offset;
    uint64_t last_size;
};

struct hone_zip_stream {
    hone_zip *zip;
    zip_file_t *member;
    int64_t index, at;
    char skipped[SKIP];
};

static zip_int64_t serve_read(hone_zip *zip, void *data, zip_uint64_t length)
{
    int64_t left = zip->file->size - zip->at;
    size_t size = length < (uint64_t)left ? (size_t)length : (size_t)left;
    if (hone_tensor_file_read(zip->file, data, size, zip->at, &zip->failure) != HONE_OK) {
        zip_error_set(&zip->source_error, ZIP_ER_READ, 0);
        return -1;
    }
    zip->last_offset = zip->at;
    zip->last_size = size;
    zip->at += (int64_t)size;
    return (zip_int64_t)size;
}

static zip_int64_t serve(void *context, void *data, zip_uint64_t length, zip_source_cmd_t command)
{
    hone_zip *zip = context;
    switch (command) {
    case ZIP_SOURCE_OPEN: zip->at = 0; return 0;
    case ZIP_SOURCE_READ: return serve_read(zip, data, length);
    case ZIP_SOURCE_TELL: return zip->at;
    case ZIP_SOURCE_CLOSE:
    case ZIP_SOURCE_FREE: return 0;
    case ZIP_SOURCE_ERROR: return zip_error_to_data(&zip->source_error, data, length);
    case ZIP_SOURCE_SEEK: {
        zip_int64_t place = zip_source_seek_compute_offset(
            (zip_uint64_t)zip->at, (zip_uint64_t)zip->file->size, data, length, &zip->source_error);
        if (place >= 0)
            zip->at = place;
        return place < 0 ? -1 : 0;
    }
    case ZIP_SOURCE_STAT: {
        zip_stat_t *facts = data;
        if (length < sizeof *facts)
            return -1;
        zip_stat_init(facts);
        facts->size = (zip_uint64_t)zip->file->size;
        facts->valid = ZIP_STAT_SIZE;
        return (zip_int64_t)sizeof *facts;
    }
    case ZIP_SOURCE_SUPPORTS:
        return zip_source_make_command_bitmap(
            ZIP_SOURCE_OPEN, ZIP_SOURCE_READ, ZIP_SOURCE_CLOSE, ZIP_SOURCE_STAT, ZIP_SOURCE_ERROR,
            ZIP_SOURCE_FREE, ZIP_SOURCE_SEEK, ZIP_SOURCE_TELL, ZIP_SOURCE_SUPPORTS, -1);
    default: zip_error_set(&zip->source_error, ZIP_ER_OPNOTSUPP, 0); return -1;
    }
}

/* The reason of a failure inside libzip: our own read, memory, or what the archive holds. */
static hone_status fail_zip(const hone_zip *zip, const zip_error_t *reason, const char *what,
                            hone_error *error)
{
    if (zip->failure.status != HONE_OK) {
        if (error != NULL)
            *error = zip->failure;
        return zip->failure.status;
    }
    if (zip_error_code_zip(reason) == ZIP_ER_MEMORY)
        return hone_fail_memory(error, "a zip archive", 0);
    zip_error_t copy;
    zip_error_init_with_code(&copy, zip_error_code_zip(reason));
    hone_fail_at(error, HONE_INPUT, zip->file->path, -1, -1,
                 "%s: %s; the file is damaged or cut short", what, zip_error_strerror(&copy));
    zip_error_fini(&copy);
    return HONE_INPUT;
}

hone_status hone_zip_open(const hone_tensor_file *file, hone_zip **out, hone_error *error)
{
    hone_zip *zip = hone_alloc_array(1, sizeof *zip);
    *out = NULL;
    if (zip == NULL)
        return hone_fail_memory(error, "a zip archive", sizeof *zip);
    zip->file = file;
    zip_error_init(&zip->source_error);
    zip_error_t reason;
    zip_error_init(&reason);
    zip_source_t *source = zip_source_function_create(serve, zip, &reason);
    if (source != NULL) {
        zip->archive = zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &reason);
        if (zip->archive == NULL)
            zip_source_free(source);
    }
    hone_status status = HONE_OK;
    if (zip->archive == NULL) {
        status = fail_zip(zip, &reason, "not a whole zip archive", error);
        hone_zip_close(zip);
        zip = NULL;
    }
    zip_error_fini(&reason);
    *out = zip;
    return status;
}

void hone_zip_close(hone_zip *zip)
{
    if (zip == NULL)
        return;
    if (zip->archive != NULL)
        zip_discard(zip->archive);
    zip_error_fini(&zip->source_error);
    hone_free(zip);
}

int64_t hone_zip_count(const hone_zip *zip)
{
    return zip_get_num_entries(zip->archive, 0);
}

hone_status hone_zip_member_at(hone_zip *zip, int64_t index, hone_zip_member *member,
                               hone_error *error)
{
    const zip_uint64_t wanted =
        ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
    zip_stat_t facts;
    if (zip_stat_index(zip->archive, (zip_uint64_t)index, ZIP_FL_ENC_RAW, &facts) != 0)
        return fail_zip(zip, zip_get_error(zip->archive), "cannot look up a member", error);
    const char *path = zip->file->path, *name = facts.name;
    if ((facts.valid & wanted) != wanted || facts.encryption_method != ZIP_EM_NONE)
        return hone_fail_at(error, HONE_INPUT, path, -1, -1,
                            "member '%.200s' is encrypted; expected plain weights", name);
    if (facts.comp_method != ZIP_CM_STORE && facts.comp_method != ZIP_CM_DEFLATE)
        return hone_fail_at(error, HONE_INPUT, path, -1, -1,
                            "member '%.200s' has compression method %d; expected stored or "
                            "deflated",
                            name, facts.comp_method);
    bool packed = facts.comp_method == ZIP_CM_DEFLATE;
    bool possible =
        facts.comp_size <= (uint64_t)zip->file->size &&
        (packed ? facts.size / DEFLATE_RATIO <= facts.comp_size : facts.size == facts.comp_size);
    if (!possible)
        return hone_fail_at(error, HONE_INPUT, path, -1, -1,
                            "member '%.200s' announces %llu bytes from %llu; that cannot be", name,
                            (unsigned long long)facts.size, (unsigned long long)facts.comp_size);
    *member = (hone_zip_member){name, (int64_t)facts.size, packed};
    return HONE_OK;
}

int64_t hone_zip_find(hone_zip *zip, const char *name)
{
    return zip_name_locate(zip->archive, name, ZIP_FL_ENC_RAW);
}

hone_status hone_zip_locate(hone_zip *zip, int64_t index, int64_t *offset, hone_error *error)
{
    hone_zip_member member = {0};
    HONE_TRY(hone_zip_member_at(zip, index, &member, error));
    *offset = 0;
    if (member.size == 0)
        return HONE_OK;
    zip_file_t *opened = zip_fopen_index(zip->archive, (zip_uint64_t)index, 0);
    if (opened == NULL)
        return fail_zip(zip, zip_get_error(zip->archive), "cannot open a member", error);
    char first;
    zip->last_size = 0;
    hone_status status = HONE_OK;
    if (zip_fread(opened, &first, 1) != 1)
        status = fail_zip(zip, zip_file_get_error(opened), "cannot read a member", error);
    else if (zip->last_size == 1 && member.size > zip->file->size - zip->last_offset)
        status = hone_fail_at(error, HONE_INPUT, zip->file->path, -1, -1,
                              "member '%.200s' does not lie inside the file", member.name);
    zip_fclose(opened);
    /* A libzip that reads ahead would hide the place. */
    *offset = zip->last_size == 1 ? zip->last_offset : -1;
    return status;
}

hone_status hone_zip_load(hone_zip *zip, int64_t index, void *buffer, size_t size,
                          hone_error *error)
{
    zip_file_t *opened = zip_fopen_index(zip->archive, (zip_uint64_t)index, 0);
    if (opened == NULL)
        return fail_zip(zip, zip_get_error(zip->archive), "cannot open a member", error);
    hone_status status = HONE_OK;
    char *to = buffer, beyond;
    size_t done = 0;
    for (zip_int64_t got = 1; status == HONE_OK && got > 0;) {
        /* The read past the end makes libzip compare the checksum. */
        got =
            done < size ? zip_fread(opened, to + done, size - done) : zip_fread(opened, &beyond, 1);
        if (got < 0)
            status = fail_zip(zip, zip_file_get_error(opened), "cannot read a member", error);
        else if (got == 0 ? done < size : done == size)
            status = hone_fail_at(error, HONE_INPUT, zip->file->path, -1, -1,
                                  "a member of the zip has not the %zu bytes announced", size);
        else
            done += (size_t)got;
    }
    zip_fclose(opened);
    return status;
}

hone_status hone_zip_stream_open(const hone_tensor_file *file, int64_t index, hone_zip_stream **out,
                                 hone_error *error)
{
    hone_zip_stream *stream = hone_alloc_array(1, sizeof *stream);
    *out = NULL;
    if (stream == NULL)
        return hone_fail_memory(error, "a stream", sizeof *stream);
    stream->index = index;
    hone_status status = hone_zip_open(file, &stream->zip, error);
    if (status == HONE_OK)
        *out = stream;
    else
        hone_zip_stream_close(stream);
    return status;
}

void hone_zip_stream_close(hone_zip_stream *stream)
{
    if (stream == NULL)
        return;
    if (stream->member != NULL)
        zip_fclose(stream->member);
    hone_zip_close(stream->zip);
    hone_free(stream);
}

static hone_status rewind_stream(hone_zip_stream *stream, hone_error *error)
{
    hone_zip *zip = stream->zip;
    if (stream->member != NULL)
        zip_fclose(stream->member);
    stream->at = 0;
    stream->member = zip_fopen_index(zip->archive, (zip_uint64_t)stream->index, 0);
    if (stream->member == NULL)
        return fail_zip(zip, zip_get_error(zip->archive), "cannot open a member", error);
    return HONE_OK;
}

static hone_status read_on(hone_zip_stream *stream, void *buffer, size_t size, hone_error *error)
{
    char *to = buffer;
    while (size > 0) {
        zip_int64_t got = zip_fread(stream->member, to, size);
        if (got < 0)
            return fail_zip(stream->zip, zip_file_get_error(stream->member),
                            "cannot unpack a member", error);
        if (got == 0)
            return hone_fail_at(error, HONE_INPUT, stream->zip->file->path, -1, -1,
                                "a compressed member ends %zu bytes early", size);
        to += got;
        size -= (size_t)got;
        stream->at += got;
    }
    return HONE_OK;
}

hone_status hone_zip_stream_read(hone_zip_stream *stream, void *buffer, size_t size, int64_t offset,
                                 hone_error *error)
{
    if (stream->member == NULL || offset < stream->at)
        HONE_TRY(rewind_stream(stream, error));
    while (stream->at < offset) {
        int64_t left = offset - stream->at;
        HONE_TRY(
            read_on(stream, stream->skipped, left < (int64_t)SKIP ? (size_t)left : SKIP, error));
    }
    return read_on(stream, buffer, size, error);
}
