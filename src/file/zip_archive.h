/* The zip container of a .bin: its members, and where their bytes lie. The only user of libzip. */
#ifndef HONE_FILE_ZIP_ARCHIVE_H
#define HONE_FILE_ZIP_ARCHIVE_H

#include "file/tensor_file.h"

typedef struct hone_zip hone_zip;

typedef struct hone_zip_member {
    const char *name; /* borrowed until close; as stored, not checked */
    int64_t size;     /* of the unpacked bytes */
    bool packed;      /* deflated; else stored as it is */
} hone_zip_member;

/* Opens the archive in `file`, which must outlive it. HONE_INPUT when it is not a whole zip. */
hone_status hone_zip_open(const hone_tensor_file *file, hone_zip **out, hone_error *error);
void hone_zip_close(hone_zip *zip); /* takes NULL */

int64_t hone_zip_count(const hone_zip *zip);
/* HONE_INPUT for encryption, other compressions than deflate, and sizes that cannot be. */
hone_status hone_zip_member_at(hone_zip *zip, int64_t index, hone_zip_member *member,
                               hone_error *error);
int64_t hone_zip_find(hone_zip *zip, const char *name); /* index, or -1 */
/* The whole of a member, checked against its checksum; size is what hone_zip_member_at said. */
hone_status hone_zip_load(hone_zip *zip, int64_t index, void *buffer, size_t size,
                          hone_error *error);
/* Where the bytes of a stored member begin in the file; its whole size lies inside the file. -1
 * where that cannot be told: then it is read as a stream, like a packed one. */
hone_status hone_zip_locate(hone_zip *zip, int64_t index, int64_t *offset, hone_error *error);

/* Unpacked bytes of one member, from its own opening of the archive: streams are independent. */
typedef struct hone_zip_stream hone_zip_stream;

hone_status hone_zip_stream_open(const hone_tensor_file *file, int64_t index, hone_zip_stream **out,
                                 hone_error *error);
void hone_zip_stream_close(hone_zip_stream *stream); /* takes NULL */
/* Reads exactly size bytes at offset. Reading on is cheap, going back starts anew. */
hone_status hone_zip_stream_read(hone_zip_stream *stream, void *buffer, size_t size, int64_t offset,
                                 hone_error *error);

#endif
