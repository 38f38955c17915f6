/* What a tokenizer is made of, and what its readers fill in while one is loaded. */
#ifndef HONE_TEXT_TOKENIZER_PARTS_H
#define HONE_TEXT_TOKENIZER_PARTS_H

#include "base/json.h"
#include "base/memory.h"
#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/spiece_rules.h"
#include "text/text_steps.h"
#include "text/unigram.h"
#include "text/vocabulary.h"

#include <hone/tokenizer.h>
#include <pthread.h>

typedef enum hone_tokenizer_kind { HONE_TOKENIZER_BPE, HONE_TOKENIZER_UNIGRAM } hone_tokenizer_kind;

/* Where a space is put before text that is to be cut into pieces. */
typedef enum hone_prepend_scheme {
    HONE_PREPEND_NEVER,
    HONE_PREPEND_FIRST, /* at the beginning of all text */
    HONE_PREPEND_ALWAYS /* also behind added tokens */
} hone_prepend_scheme;

/* Normalization and pre-tokenization of tokenizer.json, before a unigram model. */
typedef struct hone_unigram_text {
    hone_text_steps steps;
    bool split_white; /* WhitespaceSplit: white space parts words and is lost */
    bool metaspace;   /* spaces become U+2581 */
    bool split;       /* and each begins a word */
    hone_prepend_scheme scheme;
} hone_unigram_text;

/* What decoding does with the spaces that encoding puts before a text. */
typedef enum hone_leading_spaces {
    HONE_SPACES_KEPT,
    HONE_SPACES_ONE,  /* one is left out */
    HONE_SPACES_EACH, /* one of each token, as long as there is no text */
    HONE_SPACES_FIRST /* all of the first token */
} hone_leading_spaces;

/* Flags of a token. */
enum {
    HONE_TOKEN_SPECIAL = 1, /* left out by decoding that skips special tokens */
    HONE_TOKEN_VERBATIM = 2 /* its bytes are its own: no space in them stands for a word's start */
};

struct hone_tokenizer {
    hone_tokenizer_kind kind;
    hone_bpe bpe;
    hone_unigram unigram;
    bool from_json;          /* of a unigram model: `text` goes before it, else `rules` */
    hone_spiece_rules rules; /* of spiece.model */
    hone_unigram_text text;
    hone_added_set added[2]; /* searched one after the other */
    char *bytes;             /* what each token decodes to, with a NUL after each */
    size_t *offsets;         /* (size + 1) of tokens in bytes */
    unsigned char *flags;    /* (size) of HONE_TOKEN_... */
    hone_leading_spaces leading;
    int32_t size, eos, bos;
    bool add_prefix_space;         /* a space before every stretch of text that has none */
    bool use_regex;                /* split text into pre-tokens */
    hone_arena texts;              /* of added tokens */
    pthread_mutex_t lock;          /* of encoders */
    struct hone_encoder *encoders; /* idle ones */
};

/* Types of piece, numbered as in sentencepiece's files. */
typedef enum hone_piece_type {
    HONE_PIECE_NONE, /* no piece of the model */
    HONE_PIECE_NORMAL,
    HONE_PIECE_UNKNOWN,
    HONE_PIECE_CONTROL,
    HONE_PIECE_USER_DEFINED,
    HONE_PIECE_UNUSED,
    HONE_PIECE_BYTE
} hone_piece_type;

/* Loading: the parts of the files as read so far. JSON documents stay alive to the end, since the
 * vocabulary and the added tokens borrow their strings. */
typedef struct hone_tokenizer_load {
    hone_tokenizer *tokenizer;
    hone_vocabulary vocabulary;
    unsigned char *types; /* (vocabulary.limit) of hone_piece_type, of a unigram model; or NULL */
    bool all_pieces;      /* pieces of every type are found in text, as in tokenizer.json */
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

/* The bytes of a spiece.model: pieces, normalization and special pieces. vocabulary is initialized
 * with room for all. */
hone_status hone_tokenizer_read_spiece(hone_tokenizer_load *load, const char *model, size_t size,
                                       const char *file, hone_error *error);
/* Number of pieces in it at most; 0 for what is no model. */
size_t hone_spiece_count(const char *model, size_t size);
/* Before pieces: makes it a unigram tokenizer, with room for types and scores. */
hone_status hone_tokenizer_start_unigram(hone_tokenizer_load *load, hone_error *error);
/* After pieces, types and scores are there: the trie that text is cut with. */
hone_status hone_tokenizer_build_unigram(hone_tokenizer_load *load, const char *file,
                                         hone_error *error);

/* A zeroed tokenizer that hone_tokenizer_close takes, or NULL. */
hone_tokenizer *hone_tokenizer_new(void);

#endif
