/* Regular expressions by PCRE2: see python_pattern.h. The only file that includes it.
 *
 * Both dialects come from Perl's, and names of modules are short, so nearly every pattern means the
 * same in both. What does not is refused before PCRE2 sees it: escapes that only one knows or that
 * differ (\v \h \R \K \Q \G \u ...), verbs "(*...)", groups that Python lacks ("(?|", "(?R)",
 * "(?1)", "(?C)"), "{,n}" (a count in Python, plain text here), "[:name:]", and global flags that
 * are not at the start (an error in Python too). Text is UTF-8, and \w \d \s know Unicode, as with
 * Python's str. A match that takes more than STEP_LIMIT steps is an error, so a pattern from a
 * file can't hang the program. */
#include "adapter/python_pattern.h"

#include "base/memory.h"

#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum { STEP_LIMIT = 200000, HEAP_LIMIT_KIB = 4096, LONGEST_PATTERN = 32768 };

struct hone_pattern {
    pcre2_general_context *memory;
    pcre2_code *code;
    pcre2_match_data *data;
    pcre2_match_context *limits;
    char *key, *text; /* as the user wrote it, for messages */
};

static void *take(PCRE2_SIZE size, void *context)
{
    (void)context;
    return hone_alloc(size);
}

static void give_back(void *block, void *context)
{
    (void)context;
    hone_free(block);
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* What is wrong with the escape at p ("\\" and what follows), or NULL. */
static const char *check_escape(const char *p)
{
    char c = p[1];
    if (c == '\0')
        return "it ends in a backslash";
    if (c == 'x' && !(is_hex(p[2]) && is_hex(p[3])))
        return "\\x wants two hexadecimal digits";
    if (is_letter(c) && strchr("AbBdDsSwWZafnrtx", c) == NULL)
        return "this letter after a backslash is not one that Python's and hone's expressions "
               "share";
    return NULL;
}

/* What is wrong with the group at p ("(" and what follows), or NULL. */
static const char *check_group(const char *p, bool at_start)
{
    if (p[1] == '*')
        return "a group can't begin with *";
    if (p[1] != '?')
        return NULL;
    switch (p[2]) {
    case ':':
    case '=':
    case '!':
    case '>':
    case '#': return NULL;
    case '<': return p[3] == '=' || p[3] == '!' ? NULL : "named groups are written (?P<name>...)";
    case 'P': return p[3] == '<' || p[3] == '=' ? NULL : "Python has no such group";
    case '(': return NULL; /* a condition */
    default: break;
    }
    const char *end = p + 2;
    while (*end != '\0' && strchr("imsx-", *end) != NULL)
        end++;
    if (end == p + 2 || (*end != ')' && *end != ':'))
        return "Python has no such group, or hone doesn't know its flag";
    if (*end == ')' && !at_start)
        return "flags for the whole expression must stand at its start";
    return NULL;
}

/* Skips a character class; NULL when it holds what the dialects read differently. */
static const char *skip_class(const char *p, const char **problem)
{
    p++;
    if (*p == '^')
        p++;
    for (bool first = true; *p != '\0' && (*p != ']' || first); first = false) {
        if (*p == '\\') {
            if ((*problem = check_escape(p)) != NULL)
                return NULL;
            p++;
        } else if (*p == '[' && p[1] != '\0' && strchr(":.=", p[1]) != NULL) {
            *problem = "named classes such as [:alpha:] are not Python's";
            return NULL;
        }
        p++;
    }
    return p;
}

/* What Python would refuse or read differently: NULL when there is nothing, else why. */
static const char *find_foreign_syntax(const char *text, size_t *place)
{
    const char *problem = NULL, *p = text;
    for (; *p != '\0'; p++) {
        *place = (size_t)(p - text);
        if (*p == '\\') {
            problem = check_escape(p);
            p++;
        } else if (*p == '(') {
            problem = check_group(p, p == text);
        } else if (*p == '{' && p[1] == ',') {
            problem = "write {0,n} for {,n}";
        } else if (*p == '[') {
            p = skip_class(p, &problem);
            if (p != NULL && *p == '\0')
                problem = "a [ is not closed";
        }
        if (problem != NULL)
            return problem;
    }
    return NULL;
}

static hone_status compile(hone_pattern *pattern, const char *whole, size_t user_start,
                           hone_pattern_use use, hone_error *error)
{
    uint32_t options = PCRE2_ANCHORED | PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C;
    if (use == HONE_PATTERN_FULLMATCH)
        options |= PCRE2_ENDANCHORED;
    int number;
    PCRE2_SIZE offset;
    pcre2_compile_context *context = pcre2_compile_context_create(pattern->memory);
    if (context == NULL)
        return hone_fail_memory(error, "regular expression", 0);
    pattern->code =
        pcre2_compile((PCRE2_SPTR)whole, PCRE2_ZERO_TERMINATED, options, &number, &offset, context);
    pcre2_compile_context_free(context);
    if (pattern->code == NULL && number == PCRE2_ERROR_HEAP_FAILED)
        return hone_fail_memory(error, "regular expression", strlen(whole));
    if (pattern->code == NULL) {
        PCRE2_UCHAR why[160];
        size_t length = strlen(pattern->text),
               place = offset > user_start ? offset - user_start : 0;
        place = place < length ? place + 1 : length;
        pcre2_get_error_message(number, why, sizeof why);
        return hone_fail(error, HONE_INPUT,
                         "%s: '%s' is not a regular expression: %s (character %zu)", pattern->key,
                         pattern->text, (const char *)why, place);
    }
    pcre2_jit_compile(pattern->code, PCRE2_JIT_COMPLETE); /* without it, the interpreter runs */
    pattern->data = pcre2_match_data_create_from_pattern(pattern->code, pattern->memory);
    pattern->limits = pcre2_match_context_create(pattern->memory);
    if (pattern->data == NULL || pattern->limits == NULL)
        return hone_fail_memory(error, "regular expression", 0);
    pcre2_set_match_limit(pattern->limits, STEP_LIMIT);
    pcre2_set_heap_limit(pattern->limits, HEAP_LIMIT_KIB);
    return HONE_OK;
}

hone_status hone_pattern_create(const char *key, const char *before, const char *text,
                                const char *after, hone_pattern_use use, hone_pattern **out,
                                hone_error *error)
{
    *out = NULL;
    size_t place, length = strlen(text);
    if (length > LONGEST_PATTERN)
        return hone_fail(error, HONE_INPUT,
                         "%s: a regular expression of %zu characters; at most %d are read", key,
                         length, LONGEST_PATTERN);
    const char *problem = find_foreign_syntax(text, &place);
    if (problem != NULL)
        return hone_fail(error, HONE_INPUT, "%s: '%s', character %zu: %s", key, text, place + 1,
                         problem);

    hone_status status;
    char *whole = NULL;
    size_t before_length = strlen(before), after_length = strlen(after);
    hone_pattern *pattern = hone_alloc_array(1, sizeof *pattern);
    if (pattern == NULL)
        return hone_fail_memory(error, "regular expression", sizeof *pattern);
    pattern->key = hone_strdup(key);
    pattern->text = hone_strdup(text);
    pattern->memory = pcre2_general_context_create(take, give_back, NULL);
    whole = hone_alloc(before_length + length + after_length + 1);
    if (pattern->key == NULL || pattern->text == NULL || pattern->memory == NULL || whole == NULL) {
        status = hone_fail_memory(error, "regular expression", length);
        goto fail_pattern;
    }
    memcpy(whole, before, before_length);
    memcpy(whole + before_length, text, length);
    memcpy(whole + before_length + length, after, after_length + 1);
    HONE_TRY_GOTO(compile(pattern, whole, before_length, use, error), fail_pattern);
    hone_free(whole);
    *out = pattern;
    return HONE_OK;

fail_pattern:
    hone_free(whole);
    hone_pattern_free(pattern);
    return status;
}

void hone_pattern_free(hone_pattern *pattern)
{
    if (pattern == NULL)
        return;
    pcre2_match_context_free(pattern->limits);
    pcre2_match_data_free(pattern->data);
    pcre2_code_free(pattern->code);
    pcre2_general_context_free(pattern->memory);
    hone_free(pattern->key);
    hone_free(pattern->text);
    hone_free(pattern);
}

hone_status hone_pattern_test(hone_pattern *pattern, const char *subject, bool *matches,
                              hone_error *error)
{
    int result = pcre2_match(pattern->code, (PCRE2_SPTR)subject, strlen(subject), 0, 0,
                             pattern->data, pattern->limits);
    *matches = result >= 0;
    if (result >= 0 || result == PCRE2_ERROR_NOMATCH)
        return HONE_OK;
    if (result == PCRE2_ERROR_NOMEMORY)
        return hone_fail_memory(error, "regular expression", 0);
    PCRE2_UCHAR why[160];
    pcre2_get_error_message(result, why, sizeof why);
    return hone_fail(error, HONE_INPUT,
                     "%s: '%s' can't be decided on '%s' (%s): write it with fewer repetitions "
                     "inside repetitions",
                     pattern->key, pattern->text, subject, (const char *)why);
}

bool hone_pattern_group(const hone_pattern *pattern, const char *subject, const char *name,
                        const char **start, size_t *length)
{
    int number = pcre2_substring_number_from_name(pattern->code, (PCRE2_SPTR)name);
    if (number < 0 || (uint32_t)number >= pcre2_get_ovector_count(pattern->data))
        return false;
    const PCRE2_SIZE *bounds = pcre2_get_ovector_pointer(pattern->data) + 2 * (ptrdiff_t)number;
    if (bounds[0] == PCRE2_UNSET || bounds[1] < bounds[0])
        return false;
    *start = subject + bounds[0];
    *length = bounds[1] - bounds[0];
    return true;
}
