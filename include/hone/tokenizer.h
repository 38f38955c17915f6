/* Text to token ids and back. */
#ifndef HONE_TOKENIZER_H
#define HONE_TOKENIZER_H

#include <hone/status.h>
#include <stddef.h>

typedef struct hone_tokenizer hone_tokenizer;

/* Opens the tokenizer of a model folder: tokenizer.json, else vocab.json + merges.txt, else
 * spiece.model.
 * tokenizer_config.json and config.json give the special tokens. HONE_INPUT for a broken or
 * unsupported file, HONE_IO when there is none. */
hone_status hone_tokenizer_open(const char *folder, hone_tokenizer **out, hone_error *error);
void hone_tokenizer_close(hone_tokenizer *tokenizer); /* takes NULL */

int32_t hone_tokenizer_size(const hone_tokenizer *tokenizer); /* highest id + 1 */
/* Id of the end-of-text token, or -1. */
int32_t hone_tokenizer_eos(const hone_tokenizer *tokenizer);
/* Id of the token that starts every text (OPT's </s>), or -1 when there is none. */
int32_t hone_tokenizer_bos(const hone_tokenizer *tokenizer);
/* Id of a token that is found in text before all else (such as <extra_id_0>), or -1. */
int32_t hone_tokenizer_special_id(const hone_tokenizer *tokenizer, const char *text, size_t length);
/* Bytes of one token as decoding makes them inside a text, borrowed; NULL for an id out of range.
 */
const char *hone_tokenizer_token(const hone_tokenizer *tokenizer, int32_t id, size_t *length);

/* Encodes length bytes, which need not be valid UTF-8. Special tokens in the text (such as
 * <|endoftext|>) become their ids, as HF tokenizers do. No bos / eos is added.
 * *ids is (re)allocated as needed: capacity in ids; the caller frees it with hone_tokenizer_free.
 * Thread-safe. Errors: memory. */
hone_status hone_tokenizer_encode(const hone_tokenizer *tokenizer, const char *text, size_t length,
                                  int32_t **ids, size_t *capacity, size_t *count,
                                  hone_error *error);
/* Bytes of a sequence of ids, NUL-terminated after *length bytes; free with hone_tokenizer_free.
 * Special tokens are left out when skip_special. HONE_INPUT for an id out of range. */
hone_status hone_tokenizer_decode(const hone_tokenizer *tokenizer, const int32_t *ids, size_t count,
                                  int skip_special, char **text, size_t *length, hone_error *error);
/* The same for a text that comes in parts: *begun is 0 before the first one. Only the first may
 * lose the space that encoding puts before a text. */
hone_status hone_tokenizer_decode_more(const hone_tokenizer *tokenizer, const int32_t *ids,
                                       size_t count, int skip_special, int *begun, char **text,
                                       size_t *length, hone_error *error);
void hone_tokenizer_free(void *block); /* takes NULL */

#endif
