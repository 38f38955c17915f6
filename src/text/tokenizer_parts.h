/* What a tokenizer is made of, and what its readers fill in while one is loaded. */
#ifndef HONE_TEXT_TOKENIZER_PARTS_H
#define HONE_TEXT_TOKENIZER_PARTS_H

#include "base/json.h"
#include "base/memory.h"
#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/vocabulary.h"

#include <hone/tokenizer.h>
#include <pthread.h>

struct hone_tokenizer {
    hone_bpe bpe;
    hone_added_set added[2]; /* searched one after the other */
    char *bytes;             /* what each token decodes to, with a NUL after each */
    size_t *offsets;         /* (size + 1) of tokens in bytes */
    unsigned char *special;  /* (size) left out by decoding that skips special tokens */
    int32_t size, eos, bos;
    bool add_prefix_space;         /* a space before every stretch of text that has none */
    bool use_regex;                /* split text into pre-tokens */
    hone_arena texts;              /* of added tokens */
    pthread_mutex_t lock;          /* of encoders */
    struct hone_encoder *encoders; /* idle ones */
};

/* Loading: the parts of the files as read so far. JSON documents stay alive to the end, since the
 * vocabulary and the added tokens borrow their strings. */
typedef struct hone_tokenizer_load {
    hone_tokenizer *tokenizer;
    hone_vocabulary vocabulary;
    hone_added_token *added;
    size_t added_count, added_capacity;
    uint32_t *added_of;  /* (vocabulary.limit) index in added + 1 of each id, 0: none */
    int32_t first, last; /* ids that the post-processor puts around a text, or -1 */
    char *scratch;       /* (2 * longest token) for joining the parts of a merge */
} hone_tokenizer_load;

/* tokenizer.json: everything but special tokens. vocabulary is initialized with room for all. */
hone_status hone_tokenizer_read_json(hone_tokenizer_load *load, const hone_json *root,
                                     const char *file, hone_error *error);
/* Number of tokens in tokenizer.json at most. */
size_t hone_tokenizer_json_tokens(const hone_json *root);
hone_status hone_tokenizer_load_init(hone_tokenizer_load *load, hone_tokenizer *tokenizer,
                                     size_t limit, hone_error *error);
void hone_tokenizer_load_deinit(hone_tokenizer_load *load);
/* After all else: checks the ids and fills the tokenizer's tables. */
hone_status hone_tokenizer_load_finish(hone_tokenizer_load *load, const char *file,
                                       hone_error *error);
/* The object text -> id of a vocabulary. */
hone_status hone_tokenizer_read_vocabulary(hone_tokenizer_load *load, const hone_json *object,
                                           const char *file, hone_error *error);
/* After the vocabulary: room for `count` merges. */
hone_status hone_tokenizer_start_merges(hone_tokenizer_load *load, size_t count, hone_error *error);
/* One merge; number is its place in the list and line its line in the file, -1 for none. */
hone_status hone_tokenizer_add_merge(hone_tokenizer_load *load, const char *left,
                                     size_t left_length, const char *right, size_t right_length,
                                     const char *file, int64_t line, int64_t number,
                                     hone_error *error);
/* Splits "left right" at its one space; false when it has none or more. */
bool hone_tokenizer_split_merge(const char *merge, size_t length, size_t *space);
/* Adds or replaces an added token. Its id: the vocabulary's when the text is there (token.id is
 * then -1 or the same), else token.id, else the next free one. */
hone_status hone_tokenizer_add_token(hone_tokenizer_load *load, hone_added_token token,
                                     const char *file, hone_error *error);
/* Place of a text in added, or SIZE_MAX. */
size_t hone_tokenizer_find_added(const hone_tokenizer_load *load, const char *text, size_t length);
/* Reads the flags of an added token from its object; members that are absent keep *token's. */
hone_status hone_tokenizer_read_flags(const hone_json *object, hone_added_token *token,
                                      const char *file, hone_error *error);

/* A zeroed tokenizer that hone_tokenizer_close takes, or NULL. */
hone_tokenizer *hone_tokenizer_new(void);

#endif
