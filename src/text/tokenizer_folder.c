/* Opening the tokenizer of a model folder: which files there are, vocab.json + merges.txt, and the
 * special tokens, which up to four more files may name. What spiece.model leaves open is settled as
 * Transformers' T5Tokenizer does: its extra ids and its names of special tokens. */
#include "base/files.h"
#include "text/tokenizer_parts.h"

#include <stdio.h>
#include <string.h>

#define FILE_LIMIT ((size_t)256 << 20)

/* Files of a folder; a document is NULL where there is none. */
enum { TOKENIZER, VOCAB, SETTINGS, SPECIALS, ADDED, CONFIG, FILES };

static const char *const file_names[FILES] = {"tokenizer.json",        "vocab.json",
                                              "tokenizer_config.json", "special_tokens_map.json",
                                              "added_tokens.json",     "config.json"};

typedef struct folder {
    const char *path;
    char *paths[FILES];
    hone_json *documents[FILES];
    char *merges_path, *merges;
    size_t merges_size;
    char *spiece_path, *spiece;
    size_t spiece_size;
    int64_t extra_ids;
} folder;

/* Names of special tokens, in the order in which HF adds them. */
static const char *const special_names[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                            "pad_token", "cls_token", "mask_token"};
static const char *const special_lists[] = {"additional_special_tokens", "extra_special_tokens"};

static const char default_special[] = "<|endoftext|>";

#define T5_EXTRA_IDS 100 /* where no file has their number */
#define EXTRA_IDS_LIMIT 100000

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void folder_deinit(folder *files)
{
    for (int i = 0; i < FILES; i++) {
        hone_free(files->paths[i]);
        hone_json_free(files->documents[i]);
    }
    hone_free(files->merges_path);
    hone_free(files->merges);
    hone_free(files->spiece_path);
    hone_free(files->spiece);
}

/* Writes whole numbers of 20 to 100 digits as reals of the same length: HF writes 10^30 for "no
 * limit" (model_max_length), which no 64-bit integer holds. */
static void shorten_numbers(char *text, size_t size)
{
    bool quoted = false;
    for (size_t at = 0; at < size; at++) {
        if (quoted && text[at] == '\\')
            at++;
        else if (text[at] == '"')
            quoted = !quoted;
        if (quoted || text[at] < '1' || text[at] > '9')
            continue;
        size_t digits = strspn(text + at, "0123456789");
        bool whole = at == 0 || (text[at - 1] != '.' && text[at - 1] != '+' &&
                                 text[at - 1] != '-' && (text[at - 1] | 32) != 'e');
        char after = text[at + digits];
        if (whole && digits >= 20 && digits <= 100 && after != '.' && (after | 32) != 'e') {
            char *number = text + at;
            memmove(number + 2, number + 1, digits - 5);
            number[1] = '.';
            number[digits - 3] = 'e';
            number[digits - 2] = (char)('0' + (digits - 1) / 10);
            number[digits - 1] = (char)('0' + (digits - 1) % 10);
        }
        at += digits - 1;
    }
}

static hone_status load_document(folder *files, int file, hone_error *error)
{
    if (!hone_file_exists(files->paths[file]))
        return HONE_OK;
    const char *path = files->paths[file];
    char *text;
    size_t size;
    HONE_TRY(hone_file_load(path, FILE_LIMIT, &text, &size, error));
    if (file == SETTINGS)
        shorten_numbers(text, size);
    hone_status status = hone_json_parse(text, size, path, 1, &files->documents[file], error);
    hone_free(text);
    HONE_TRY(status);
    hone_json_type type = hone_json_type_of(files->documents[file]);
    if (type != HONE_JSON_OBJECT)
        return hone_fail_at(error, HONE_INPUT, path, -1, -1, "expected an object, found %s",
                            hone_json_type_name(type));
    return HONE_OK;
}

static hone_status no_tokenizer(const folder *files, hone_error *error)
{
    bool vocab = hone_file_exists(files->paths[VOCAB]);
    if (vocab || hone_file_exists(files->merges_path))
        return hone_fail_at(error, HONE_IO, vocab ? files->merges_path : files->paths[VOCAB], -1,
                            -1, "this file is missing: expected beside %s",
                            vocab ? "vocab.json" : "merges.txt");
    return hone_fail_at(error, HONE_IO, files->path, -1, -1,
                        "no tokenizer: expected tokenizer.json, vocab.json and merges.txt, or "
                        "spiece.model");
}

static hone_status load_files(folder *files, hone_error *error)
{
    for (int i = 0; i < FILES; i++) {
        files->paths[i] = hone_path_join(files->path, file_names[i]);
        if (files->paths[i] == NULL)
            return hone_fail_memory(error, "path", strlen(files->path));
    }
    files->merges_path = hone_path_join(files->path, "merges.txt");
    files->spiece_path = hone_path_join(files->path, "spiece.model");
    if (files->merges_path == NULL || files->spiece_path == NULL)
        return hone_fail_memory(error, "path", strlen(files->path));
    HONE_TRY(load_document(files, TOKENIZER, error));
    if (files->documents[TOKENIZER] == NULL) {
        if (hone_file_exists(files->paths[VOCAB]) && hone_file_exists(files->merges_path)) {
            HONE_TRY(load_document(files, VOCAB, error));
            HONE_TRY(hone_file_load(files->merges_path, FILE_LIMIT, &files->merges,
                                    &files->merges_size, error));
        } else if (hone_file_exists(files->spiece_path)) {
            HONE_TRY(hone_file_load(files->spiece_path, FILE_LIMIT, &files->spiece,
                                    &files->spiece_size, error));
        } else {
            return no_tokenizer(files, error);
        }
        HONE_TRY(load_document(files, ADDED, error));
    }
    HONE_TRY(load_document(files, SETTINGS, error));
    HONE_TRY(load_document(files, SPECIALS, error));
    return load_document(files, CONFIG, error);
}

/* End of the line that starts at text[at]: of its text and, in *next, of its newline too. */
static size_t line_end(const char *text, size_t size, size_t at, size_t *next)
{
    const char *newline = memchr(text + at, '\n', size - at);
    size_t end = newline != NULL ? (size_t)(newline - text) : size;
    *next = newline != NULL ? end + 1 : size;
    return end > at && text[end - 1] == '\r' ? end - 1 : end;
}

static bool is_comment(const char *line, size_t length)
{
    return length >= 8 && memcmp(line, "#version", 8) == 0;
}

static hone_status read_merges(hone_tokenizer_load *load, const folder *files, hone_error *error)
{
    const char *text = files->merges, *file = files->merges_path;
    size_t count = 1;
    for (size_t i = 0; i < files->merges_size; i++)
        count += text[i] == '\n';
    HONE_TRY(hone_tokenizer_start_merges(load, count, error));
    int64_t line = 1, number = 0;
    for (size_t at = 0, next; at < files->merges_size; at = next, line++) {
        size_t length = line_end(text, files->merges_size, at, &next) - at, space;
        const char *merge = text + at;
        if (is_comment(merge, length))
            continue;
        if (!hone_tokenizer_split_merge(merge, length, &space))
            return hone_fail_at(error, HONE_INPUT, file, line, -1,
                                "expected two tokens with a space between them, found '%.*s'",
                                length < 80 ? (int)length : 80, merge);
        HONE_TRY(hone_tokenizer_add_merge(load, merge, space, merge + space + 1, length - space - 1,
                                          file, line, number++, error));
    }
    return HONE_OK;
}

/* Classes of tokenizer that read vocab.json and merges.txt as GPT-2's does, and spiece.model as
 * T5's.
 */
static const char *const pair_classes[] = {"GPT2Tokenizer",     "GPT2TokenizerFast",
                                           "OPTTokenizer",      "PreTrainedTokenizerFast",
                                           "TokenizersBackend", NULL};
static const char *const spiece_classes[] = {"T5Tokenizer", "T5TokenizerFast", "MT5Tokenizer",
                                             "MT5TokenizerFast", NULL};

static hone_status check_class(const folder *files, const char *const *known, const char *with,
                               hone_error *error)
{
    const char *name =
        hone_json_string(hone_json_get(files->documents[SETTINGS], "tokenizer_class"), NULL);
    if (name == NULL)
        return HONE_OK;
    for (size_t i = 0; known[i] != NULL; i++)
        if (strcmp(name, known[i]) == 0)
            return HONE_OK;
    return hone_fail_at(error, HONE_INPUT, files->paths[SETTINGS], -1, -1,
                        "tokenizer_class '%s' is not supported with %s: expected %s, or a "
                        "tokenizer.json",
                        name, with, known[0]);
}

static hone_status read_pair_of_files(hone_tokenizer_load *load, const folder *files,
                                      hone_error *error)
{
    HONE_TRY(check_class(files, pair_classes, "vocab.json and merges.txt", error));
    load->tokenizer->use_regex = true;
    HONE_TRY(
        hone_tokenizer_read_vocabulary(load, files->documents[VOCAB], files->paths[VOCAB], error));
    return read_merges(load, files, error);
}

/* extra_ids of tokenizer_config.json: how many sentinels lie behind the pieces. */
static hone_status read_extra_ids(folder *files, hone_error *error)
{
    files->extra_ids = 0;
    if (files->spiece == NULL)
        return HONE_OK;
    const hone_json *value = hone_json_get(files->documents[SETTINGS], "extra_ids");
    files->extra_ids = T5_EXTRA_IDS;
    if (value == NULL || hone_json_type_of(value) == HONE_JSON_NULL)
        return HONE_OK;
    if (!hone_json_integer(value, &files->extra_ids) || files->extra_ids < 0 ||
        files->extra_ids > EXTRA_IDS_LIMIT)
        return hone_fail_at(error, HONE_INPUT, files->paths[SETTINGS], -1, -1,
                            "extra_ids: expected a whole number from 0 to %d", EXTRA_IDS_LIMIT);
    return HONE_OK;
}

/* The sentinels, <extra_id_0> last, but for those that are pieces already. */
static hone_status add_extra_ids(hone_tokenizer_load *load, const folder *files, hone_error *error)
{
    for (int64_t i = files->extra_ids - 1; i >= 0; i--) {
        char text[40];
        snprintf(text, sizeof text, "<extra_id_%lld>", (long long)i);
        hone_added_token token = {.id = -1, .special = true, .length = strlen(text)};
        token.text = hone_arena_strdup(&load->tokenizer->texts, text);
        if (token.text == NULL)
            return hone_fail_memory(error, "added tokens", token.length);
        HONE_TRY(hone_tokenizer_add_token(load, token, files->spiece_path, error));
    }
    return HONE_OK;
}

static hone_status read_spiece(hone_tokenizer_load *load, const folder *files, hone_error *error)
{
    HONE_TRY(check_class(files, spiece_classes, "spiece.model", error));
    HONE_TRY(hone_tokenizer_read_spiece(load, files->spiece, files->spiece_size, files->spiece_path,
                                        error));
    return add_extra_ids(load, files, error);
}

/* added_tokens.json: text -> id. */
static hone_status read_added_file(hone_tokenizer_load *load, const folder *files,
                                   hone_error *error)
{
    void *cursor = NULL;
    const char *text;
    hone_json *value;
    while (files->documents[ADDED] != NULL &&
           hone_json_next(files->documents[ADDED], &cursor, &text, &value)) {
        int64_t id;
        if (!hone_json_integer(value, &id) || id < 0 || id >= INT32_MAX)
            return hone_fail_at(error, HONE_INPUT, files->paths[ADDED], -1, -1,
                                "token '%.80s': expected an id from 0", text);
        hone_added_token token = {
            .text = text, .length = strlen(text), .id = (int32_t)id, .normalized = true};
        HONE_TRY(hone_tokenizer_add_token(load, token, files->paths[ADDED], error));
    }
    return HONE_OK;
}

/* added_tokens_decoder of tokenizer_config.json: id -> {content, flags}. */
static hone_status read_added_decoder(hone_tokenizer_load *load, const folder *files,
                                      hone_error *error)
{
    const char *file = files->paths[SETTINGS], *key;
    const hone_json *object = hone_json_get(files->documents[SETTINGS], "added_tokens_decoder");
    void *cursor = NULL;
    hone_json *value;
    while (hone_json_size(object) > 0 && hone_json_next(object, &cursor, &key, &value)) {
        hone_added_token token = {0};
        int64_t id = 0;
        size_t digits = strspn(key, "0123456789");
        for (size_t i = 0; i < digits && id < INT32_MAX; i++)
            id = 10 * id + (key[i] - '0');
        token.text = hone_json_string(hone_json_get(value, "content"), &token.length);
        if (digits == 0 || key[digits] != '\0' || id >= INT32_MAX || token.text == NULL)
            return hone_fail_at(error, HONE_INPUT, file, -1, -1,
                                "added_tokens_decoder: '%.80s': expected an id and an object with "
                                "a 'content'",
                                key);
        token.id = (int32_t)id;
        HONE_TRY(hone_tokenizer_read_flags(value, &token, file, error));
        HONE_TRY(hone_tokenizer_add_token(load, token, file, error));
    }
    return HONE_OK;
}

/* A special token's text from its value: a string or an object with content. NULL when the value is
 * null or absent. */
static hone_status special_text(const hone_json *value, const char *name, const char *file,
                                const char **text, size_t *length, hone_error *error)
{
    *text = NULL;
    if (value == NULL || hone_json_type_of(value) == HONE_JSON_NULL)
        return HONE_OK;
    const hone_json *content = hone_json_get(value, "content");
    *text = hone_json_string(content != NULL ? content : value, length);
    if (*text == NULL)
        return hone_fail_at(error, HONE_INPUT, file, -1, -1,
                            "%s: expected a string, or an object with a 'content', found %s", name,
                            hone_json_type_name(hone_json_type_of(value)));
    return HONE_OK;
}

/* Makes a token special: one that is known keeps its other flags. */
static hone_status add_special(hone_tokenizer_load *load, const hone_json *value, const char *name,
                               const char *file, int32_t *id, hone_error *error)
{
    hone_added_token token = {.id = -1};
    *id = -1;
    HONE_TRY(special_text(value, name, file, &token.text, &token.length, error));
    if (token.text == NULL)
        return HONE_OK;
    size_t known = hone_tokenizer_find_added(load, token.text, token.length);
    if (known != SIZE_MAX)
        token = load->added[known];
    else
        HONE_TRY(hone_tokenizer_read_flags(value, &token, file, error));
    token.special = true;
    HONE_TRY(hone_tokenizer_add_token(load, token, file, error));
    *id = hone_vocabulary_find(&load->vocabulary, token.text, token.length);
    return HONE_OK;
}

/* The value of a special token: tokenizer_config.json's, else special_tokens_map.json's. */
static const hone_json *special_value(const folder *files, const char *name, const char **file)
{
    *file = files->paths[SETTINGS];
    const hone_json *value = hone_json_get(files->documents[SETTINGS], name);
    if (value != NULL)
        return value;
    *file = files->paths[SPECIALS];
    return hone_json_get(files->documents[SPECIALS], name);
}

static hone_status read_specials(hone_tokenizer_load *load, const folder *files, int32_t *bos,
                                 int32_t *eos, hone_error *error)
{
    const char *file;
    for (size_t i = 0; i < COUNT(special_names); i++) {
        int32_t id;
        const hone_json *value = special_value(files, special_names[i], &file);
        HONE_TRY(add_special(load, value, special_names[i], file, &id, error));
        if (i == 0)
            *bos = id;
        if (i == 1)
            *eos = id;
    }
    for (size_t i = 0; i < COUNT(special_lists); i++) {
        const hone_json *list = special_value(files, special_lists[i], &file);
        bool array = list != NULL && hone_json_type_of(list) == HONE_JSON_ARRAY;
        for (size_t j = 0; array && j < hone_json_size(list); j++) {
            int32_t id;
            HONE_TRY(add_special(load, hone_json_at(list, j), special_lists[i], file, &id, error));
        }
    }
    return HONE_OK;
}

static int32_t find_default_special(const hone_tokenizer_load *load)
{
    return hone_vocabulary_find(&load->vocabulary, default_special, sizeof default_special - 1);
}

/* GPT-2's own special token stands in for those that no file names. */
static hone_status add_default_special(hone_tokenizer_load *load, int32_t *bos, int32_t *eos,
                                       const char *file, hone_error *error)
{
    hone_added_token token = {
        .text = default_special, .length = sizeof default_special - 1, .special = true};
    token.id = find_default_special(load);
    if (token.id < 0)
        return HONE_OK;
    *eos = *eos < 0 ? token.id : *eos;
    *bos = *bos < 0 ? token.id : *bos;
    if (hone_tokenizer_find_added(load, token.text, token.length) != SIZE_MAX)
        return HONE_OK;
    return hone_tokenizer_add_token(load, token, file, error);
}

/* T5's own special tokens stand in for those that no file names. */
static hone_status add_t5_specials(hone_tokenizer_load *load, const folder *files, int32_t *eos,
                                   hone_error *error)
{
    static const char *const names[][2] = {
        {"eos_token", "</s>"}, {"unk_token", "<unk>"}, {"pad_token", "<pad>"}};
    for (size_t i = 0; i < COUNT(names); i++) {
        const char *file, *text = names[i][1];
        const hone_json *value = special_value(files, names[i][0], &file);
        hone_added_token token = {.text = text, .length = strlen(text), .special = true};
        token.id = hone_vocabulary_find(&load->vocabulary, text, token.length);
        if (token.id < 0 || (value != NULL && hone_json_type_of(value) != HONE_JSON_NULL))
            continue;
        *eos = i == 0 ? token.id : *eos;
        if (hone_tokenizer_find_added(load, text, token.length) == SIZE_MAX)
            HONE_TRY(hone_tokenizer_add_token(load, token, files->spiece_path, error));
    }
    return HONE_OK;
}

/* A flag of tokenizer_config.json; *found tells whether it is there. */
static hone_status read_setting(const folder *files, const char *key, bool *value, bool *found,
                                hone_error *error)
{
    const hone_json *member = hone_json_get(files->documents[SETTINGS], key);
    *found = member != NULL && hone_json_type_of(member) != HONE_JSON_NULL;
    if (*found && !hone_json_bool(member, value))
        return hone_fail_at(error, HONE_INPUT, files->paths[SETTINGS], -1, -1,
                            "%s: expected true or false, found %s", key,
                            hone_json_type_name(hone_json_type_of(member)));
    return HONE_OK;
}

/* The id that config.json has for a token (the first, where it has a list), or -1. Models have more
 * rows than tokens sometimes, so an id without a token is no error. */
static int32_t config_id(const folder *files, const char *key, int32_t size)
{
    const hone_json *value = hone_json_get(files->documents[CONFIG], key);
    if (value != NULL && hone_json_type_of(value) == HONE_JSON_ARRAY)
        value = hone_json_at(value, 0);
    int64_t id;
    return hone_json_integer(value, &id) && id >= 0 && id < size ? (int32_t)id : -1;
}

static hone_status settle_ends(hone_tokenizer_load *load, const folder *files, int32_t bos,
                               int32_t eos, hone_error *error)
{
    hone_tokenizer *tokenizer = load->tokenizer;
    if (load->first >= tokenizer->size || load->last >= tokenizer->size)
        return hone_fail_at(error, HONE_INPUT, files->paths[TOKENIZER], -1, -1,
                            "post_processor: id %d: expected 0 to %d",
                            load->first >= tokenizer->size ? load->first : load->last,
                            tokenizer->size - 1);
    eos = eos >= 0 ? eos : load->last;
    eos = eos >= 0 ? eos : config_id(files, "eos_token_id", tokenizer->size);
    tokenizer->eos = eos >= 0 ? eos : find_default_special(load);
    bool starts = load->first >= 0, found;
    HONE_TRY(read_setting(files, "add_bos_token", &starts, &found, error));
    if (!found || bos < 0)
        bos = load->first;
    if (bos < 0)
        bos = config_id(files, "bos_token_id", tokenizer->size);
    if (starts && bos < 0)
        return hone_fail_at(error, HONE_INPUT, files->paths[SETTINGS], -1, -1,
                            "add_bos_token is true, but there is no bos_token");
    tokenizer->bos = starts ? bos : -1;
    return HONE_OK;
}

/* Tokens that all files together can name. */
static size_t count_tokens(const folder *files)
{
    size_t count =
        hone_tokenizer_json_tokens(files->documents[TOKENIZER]) +
        hone_json_size(files->documents[VOCAB]) + hone_json_size(files->documents[ADDED]) +
        COUNT(special_names) + hone_spiece_count(files->spiece, files->spiece_size) +
        (size_t)files->extra_ids +
        hone_json_size(hone_json_get(files->documents[SETTINGS], "added_tokens_decoder"));
    for (size_t i = 0; i < COUNT(special_lists); i++)
        count += hone_json_size(hone_json_get(files->documents[SETTINGS], special_lists[i])) +
                 hone_json_size(hone_json_get(files->documents[SPECIALS], special_lists[i]));
    return count;
}

static hone_status build(hone_tokenizer_load *load, const folder *files, hone_error *error)
{
    const hone_json *root = files->documents[TOKENIZER];
    const char *file =
        files->spiece != NULL ? files->spiece_path : files->paths[root != NULL ? TOKENIZER : VOCAB];
    int32_t bos = -1, eos = -1;
    if (root != NULL)
        HONE_TRY(hone_tokenizer_read_json(load, root, file, error));
    else if (files->spiece != NULL)
        HONE_TRY(read_spiece(load, files, error));
    else
        HONE_TRY(read_pair_of_files(load, files, error));
    HONE_TRY(read_added_decoder(load, files, error));
    HONE_TRY(read_added_file(load, files, error));
    HONE_TRY(read_specials(load, files, &bos, &eos, error));
    if (files->spiece != NULL)
        HONE_TRY(add_t5_specials(load, files, &eos, error));
    else if (root == NULL)
        HONE_TRY(add_default_special(load, &bos, &eos, file, error));
    bool split = false, found;
    HONE_TRY(
        read_setting(files, "add_prefix_space", &load->tokenizer->add_prefix_space, &found, error));
    HONE_TRY(read_setting(files, "split_special_tokens", &split, &found, error));
    if (split)
        return hone_fail_at(error, HONE_INPUT, files->paths[SETTINGS], -1, -1,
                            "split_special_tokens: true is not supported: expected false");
    HONE_TRY(hone_tokenizer_load_finish(load, file, error));
    return settle_ends(load, files, bos, eos, error);
}

hone_status hone_tokenizer_open(const char *path, hone_tokenizer **out, hone_error *error)
{
    *out = NULL;
    folder files = {.path = path};
    hone_tokenizer_load load = {0};
    hone_tokenizer *tokenizer = hone_tokenizer_new();
    hone_status status = HONE_OK;
    if (tokenizer == NULL) {
        status = hone_fail_memory(error, "tokenizer", sizeof *tokenizer);
        goto fail_tokenizer;
    }
    HONE_TRY_GOTO(load_files(&files, error), fail_files);
    HONE_TRY_GOTO(read_extra_ids(&files, error), fail_files);
    HONE_TRY_GOTO(hone_tokenizer_load_init(&load, tokenizer, count_tokens(&files), error),
                  fail_load);
    HONE_TRY_GOTO(build(&load, &files, error), fail_load);
    *out = tokenizer;
    tokenizer = NULL;
fail_load:
    hone_tokenizer_load_deinit(&load);
fail_files:
    folder_deinit(&files);
    hone_tokenizer_close(tokenizer);
fail_tokenizer:
    return status;
}
