/* A line of a data file to a record. The first byte chooses the settings. What the general JSON
 * reader takes as an object, the line scanner must take as well, with the same keys and strings. */
#include "base/json.h"
#include "data/document_reader.h"
#include "data/json_line.h"
#include "tensor/batch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define VOCABULARY 50257

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* The strings of an array, up to the first element that is none, are those of the parsed one. */
static void compare_array(const hone_json_line_value *array, const hone_json *parsed, char *room)
{
    hone_json_line_value element;
    size_t cursor = 0, count = 0, found_length;
    int found;
    while ((found = hone_json_line_string(array, &cursor, &element)) > 0) {
        size_t length = hone_json_line_decode(&element, room);
        require(length <= element.length);
        if (parsed == NULL)
            continue;
        const char *text = hone_json_string(hone_json_at(parsed, count++), &found_length);
        require(text != NULL && found_length == length && memcmp(text, room, length) == 0);
    }
    if (parsed != NULL)
        require(found < 0 ? hone_json_type_of(hone_json_at(parsed, count)) != HONE_JSON_STRING
                          : count == hone_json_size(parsed));
}

/* Every member that the scanner sees is in the parsed object. Repeated keys are refused there. */
static void compare(const char *text, size_t length)
{
    hone_json *object = NULL;
    hone_json_line scan;
    hone_json_line_value key, value;
    size_t members = 0;
    hone_error error;
    /* Jansson passes over a NUL behind a number. */
    bool parsed = memchr(text, '\0', length) == NULL &&
                  hone_json_parse(text, length, "line", 1, &object, &error) == HONE_OK &&
                  hone_json_type_of(object) == HONE_JSON_OBJECT;
    char *room = malloc(2 * length + 1);
    require(room != NULL);
    hone_json_line_init(&scan, text, length);
    while (hone_json_line_next(&scan, &key, &value)) {
        size_t key_length = hone_json_line_decode(&key, room), found_length;
        members++;
        require(key_length <= key.length);
        room[key_length] = '\0';
        if (value.type == HONE_JSON_LINE_ARRAY)
            compare_array(&value,
                          parsed && strlen(room) == key_length ? hone_json_get(object, room) : NULL,
                          room + key_length + 1);
        if (value.type == HONE_JSON_LINE_STRING) {
            char *string = room + key_length + 1;
            size_t string_length = hone_json_line_decode(&value, string);
            require(string_length <= value.length);
            if (parsed && strlen(room) == key_length) {
                const char *found = hone_json_string(hone_json_get(object, room), &found_length);
                require(found != NULL && found_length == string_length &&
                        memcmp(found, string, string_length) == 0);
            }
        }
    }
    require(!parsed || (scan.problem == NULL && members == hone_json_size(object)));
    free(room);
    hone_json_free(object);
}

static void read_record(const hone_document_reader *reader, const char *text, size_t length)
{
    hone_record record = {0};
    hone_error error = {0};
    /* Twice: the second reading uses the storage of the first. */
    for (int round = 0; round < 2; round++) {
        hone_status status =
            hone_record_read(reader, text, length, "line", 1, VOCABULARY, &record, &error);
        require(status == HONE_OK || (status == HONE_INPUT && error.message[0] != '\0'));
        if (status != HONE_OK)
            continue;
        if (record.form == HONE_RECORD_IDS || record.form == HONE_RECORD_PAIR_IDS) {
            for (size_t i = 0; i < record.count; i++) {
                require(record.ids[i] >= 0 && record.ids[i] < VOCABULARY);
                if (record.has_labels)
                    require(record.labels[i] >= HONE_NO_LABEL && record.labels[i] < VOCABULARY);
            }
            for (size_t i = 0; record.form == HONE_RECORD_PAIR_IDS && i < record.source_count; i++)
                require(record.source_ids[i] >= 0 && record.source_ids[i] < VOCABULARY);
            continue;
        }
        size_t sum = 0; /* reads every byte, for the sanitizer */
        for (size_t i = 0; i < record.text_length; i++)
            sum += (unsigned char)record.text[i];
        for (size_t i = 0; record.form == HONE_RECORD_PAIR && i < record.source_length; i++)
            sum += (unsigned char)record.source[i];
        require(sum != SIZE_MAX);
    }
    hone_record_deinit(&record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[] = "text", prompt[] = "prompt", completion[] = "completion", none[] = "";
    char template[] = "Q: {prompt} {source}{text}\\nA: ";
    char source[] = "source", target[] = "target";
    if (size == 0)
        return 0;
    hone_data_settings settings = {.text_field = data[0] & 1 ? none : text,
                                   .prompt_field = data[0] & 2 ? text : prompt,
                                   .completion_field = completion,
                                   .source_field = data[0] & 16 ? completion : source,
                                   .target_field = data[0] & 32 ? none : target,
                                   .prompt_template = data[0] & 4 ? template : NULL};
    hone_document_reader reader;
    hone_error error;
    require(hone_document_reader_init(&reader, &settings, data[0] & 8, &error) == HONE_OK);
    /* A copy of its own, so that the sanitizer sees reads past its end. */
    char *line = malloc(size);
    require(line != NULL);
    memcpy(line, data + 1, size - 1);
    char *exact = realloc(line, size > 1 ? size - 1 : 1);
    line = exact != NULL ? exact : line;
    read_record(&reader, line, size - 1);
    compare(line, size - 1);
    free(line);
    hone_document_reader_deinit(&reader);
    return 0;
}
