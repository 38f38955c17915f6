/* What the data tests share: files made on the spot, zstd frames, settings, and a tokenizer whose
 * tokens are bytes, so that expected ids can be read off the text. */
#ifndef HONE_TESTS_DATA_SUPPORT_H
#define HONE_TESTS_DATA_SUPPORT_H

#include "data/dataset.h"

/* Bytes are ids 0 .. 255; eos and bos are as set. */
typedef struct byte_tokenizer {
    int32_t bos, eos;
} byte_tokenizer;

#define BYTE_EOS 256
#define BYTE_BOS 257

const hone_tokenizer *as_tokenizer(const byte_tokenizer *tokenizer);

/* A folder for the test's files, removed by remove_folder. */
void make_folder(void);
void remove_folder(void);
/* Writes a file into the folder; its path stays valid until the next call. */
const char *write_file(const char *name, const void *content, size_t size);
/* The default data settings. */
hone_data_settings default_settings(void);

typedef struct zstd_options {
    int level, window_log; /* 0: the default */
    int checksum;
} zstd_options;

/* One zstd frame; free() it. */
char *compress_frame(const void *content, size_t size, zstd_options options, size_t *out_size);

#endif
