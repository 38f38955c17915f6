/* Folders of tokenizer files for the tests. Include after cmocka.h. */
#ifndef TEXT_SUPPORT_H
#define TEXT_SUPPORT_H

#include <hone/tokenizer.h>

#define GOLDEN "tests/unit/text/golden/"

/* A fresh folder with the files of a list {name, text, name, text, ..., NULL}; static storage. */
const char *make_folder(const char *const *files);
void remove_folder(const char *folder);
/* Opens the tokenizer of such a folder, or fails the test. */
hone_tokenizer *open_files(const char *const *files);
/* Opens a folder that has tokenizer.json alone: a copy of the file. */
hone_tokenizer *open_json(const char *path);
/* GPT-2's own tokenizer from the shared data, or NULL after a notice where there is none. */
hone_tokenizer *open_gpt2(void);
/* ids as "1 2 3" in static storage. */
const char *encode_to_text(const hone_tokenizer *tokenizer, const char *text, size_t length);

/* Opens a folder's tokenizer and uses it; leaves nothing behind. */
typedef hone_status use_folder(const char *folder, hone_error *error);
/* Fails each of its allocations in turn, alone and with all that follow: it must report
 * HONE_MEMORY, or succeed. At least `least` allocations are expected. */
void fail_every_allocation(const char *folder, use_folder *use, size_t least);

#endif
