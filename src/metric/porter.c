/* Porter's stemmer: see porter.h. Step numbers are the paper's.
 * What NLTK's mode changes:
 *   - a dozen words have fixed stems; words of one or two letters stay (Porter's own later change);
 *   - 1a: -ies of a word of four letters becomes -ie; 1b: -ied becomes -ie there, else -i;
 *   - 1b, 5a: a stem of just a vowel and a consonant counts as one that ends consonant, vowel,
 *     consonant;
 *   - 1c: y becomes i after a consonant that is not the word's first letter;
 *   - 2: -alli is tried first, and step 2 begins anew after it; -bli for -abli (Porter's own later
 *     change); -fulli becomes -ful, -logi becomes -log where there is a vowel before the l and a
 *     consonant after it. */
#include "metric/porter.h"

#include <stdbool.h>
#include <string.h>

/* A word, of which text[0 .. length) is what is left. */
typedef struct word {
    char *text;
    size_t length;
} word;

/* A suffix that becomes another, no longer one, where the stem before it has a measure above
 * `above`. `keep` letters of the suffix count to that stem. */
typedef struct rule {
    const char *suffix, *replacement;
    int above;
    size_t keep;
} rule;

static bool is_vowel_letter(char letter)
{
    return letter == 'a' || letter == 'e' || letter == 'i' || letter == 'o' || letter == 'u';
}

/* Whether the letter at `at` is a consonant: y is one at the start and after a vowel. Anything that
 * is not a letter counts as one. */
static bool is_consonant(const char *text, size_t at)
{
    size_t run = at;
    if (is_vowel_letter(text[at]))
        return false;
    while (run > 0 && text[run] == 'y')
        run--;
    bool first = !is_vowel_letter(text[run]);
    return (at - run) % 2 == 0 ? first : !first;
}

/* m: how many times a vowel is followed by a consonant in the first `length` letters; at most 2. */
static int measure(const char *text, size_t length)
{
    int count = 0;
    bool before = true; /* the letter before is a consonant */
    for (size_t i = 0; i < length && count < 2; i++) {
        bool consonant = text[i] == 'y' ? i == 0 || !before : !is_vowel_letter(text[i]);
        count += consonant && !before;
        before = consonant;
    }
    return count;
}

static bool has_vowel(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!is_consonant(text, i))
            return true;
    return false;
}

static bool ends_with(word w, const char *suffix)
{
    size_t length = strlen(suffix);
    return w.length >= length && memcmp(w.text + w.length - length, suffix, length) == 0;
}

/* *d: a consonant twice. */
static bool ends_double(word w)
{
    return w.length >= 2 && w.text[w.length - 1] == w.text[w.length - 2] &&
           is_consonant(w.text, w.length - 1);
}

/* *o: consonant, vowel, consonant other than w, x and y. */
static bool ends_short(word w)
{
    size_t n = w.length;
    if (n == 2)
        return !is_consonant(w.text, 0) && is_consonant(w.text, 1);
    return n >= 3 && is_consonant(w.text, n - 3) && !is_consonant(w.text, n - 2) &&
           is_consonant(w.text, n - 1) && strchr("wxy", w.text[n - 1]) == NULL;
}

static void replace(word *w, size_t suffix, const char *replacement)
{
    size_t length = strlen(replacement);
    memcpy(w->text + w->length - suffix, replacement, length);
    w->length += length - suffix;
}

/* The first rule whose suffix the word has decides, also when its condition fails. */
static void apply(word *w, const rule *rules, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!ends_with(*w, rules[i].suffix))
            continue;
        size_t suffix = strlen(rules[i].suffix);
        if (measure(w->text, w->length - suffix + rules[i].keep) > rules[i].above)
            replace(w, suffix, rules[i].replacement);
        return;
    }
}

#define APPLY(w, rules) apply(w, rules, sizeof(rules) / sizeof *(rules))

static void step_1a(word *w)
{
    static const rule rules[] = {
        {"sses", "ss", -1, 0}, {"ies", "i", -1, 0}, {"ss", "ss", -1, 0}, {"s", "", -1, 0}};
    if (w->length == 4 && ends_with(*w, "ies"))
        replace(w, 3, "ie");
    else
        APPLY(w, rules);
}

/* After -ed or -ing was taken off. */
static void mend(word *w)
{
    static const char *const endings[] = {"at", "bl", "iz"};
    for (size_t i = 0; i < 3; i++)
        if (ends_with(*w, endings[i])) {
            w->text[w->length++] = 'e'; /* there is room: it had a longer ending */
            return;
        }
    if (ends_double(*w)) {
        if (strchr("lsz", w->text[w->length - 1]) == NULL)
            w->length--;
    } else if (measure(w->text, w->length) == 1 && ends_short(*w)) {
        w->text[w->length++] = 'e';
    }
}

static void step_1b(word *w)
{
    static const rule agreed[] = {{"eed", "ee", 0, 0}};
    if (ends_with(*w, "ied")) {
        replace(w, 3, w->length == 4 ? "ie" : "i");
    } else if (ends_with(*w, "eed")) {
        APPLY(w, agreed);
    } else {
        size_t suffix = ends_with(*w, "ed") ? 2 : ends_with(*w, "ing") ? 3 : 0;
        if (suffix == 0 || !has_vowel(w->text, w->length - suffix))
            return;
        w->length -= suffix;
        mend(w);
    }
}

static void step_1c(word *w)
{
    if (w->length > 2 && w->text[w->length - 1] == 'y' && is_consonant(w->text, w->length - 2))
        w->text[w->length - 1] = 'i';
}

static void step_2(word *w)
{
    static const rule rules[] = {
        {"ational", "ate", 0, 0}, {"tional", "tion", 0, 0}, {"enci", "ence", 0, 0},
        {"anci", "ance", 0, 0},   {"izer", "ize", 0, 0},    {"bli", "ble", 0, 0},
        {"alli", "al", 0, 0},     {"entli", "ent", 0, 0},   {"eli", "e", 0, 0},
        {"ousli", "ous", 0, 0},   {"ization", "ize", 0, 0}, {"ation", "ate", 0, 0},
        {"ator", "ate", 0, 0},    {"alism", "al", 0, 0},    {"iveness", "ive", 0, 0},
        {"fulness", "ful", 0, 0}, {"ousness", "ous", 0, 0}, {"aliti", "al", 0, 0},
        {"iviti", "ive", 0, 0},   {"biliti", "ble", 0, 0},  {"fulli", "ful", 0, 0},
        {"logi", "log", 0, 1},
    };
    if (ends_with(*w, "alli") && measure(w->text, w->length - 4) > 0)
        w->length -= 2; /* -al, which no longer ends in -alli */
    APPLY(w, rules);
}

static void step_3(word *w)
{
    static const rule rules[] = {
        {"icate", "ic", 0, 0}, {"ative", "", 0, 0}, {"alize", "al", 0, 0}, {"iciti", "ic", 0, 0},
        {"ical", "ic", 0, 0},  {"ful", "", 0, 0},   {"ness", "", 0, 0},
    };
    APPLY(w, rules);
}

static void step_4(word *w)
{
    static const rule rules[] = {
        {"al", "", 1, 0},    {"ance", "", 1, 0}, {"ence", "", 1, 0}, {"er", "", 1, 0},
        {"ic", "", 1, 0},    {"able", "", 1, 0}, {"ible", "", 1, 0}, {"ant", "", 1, 0},
        {"ement", "", 1, 0}, {"ment", "", 1, 0}, {"ent", "", 1, 0},  {"ou", "", 1, 0},
        {"ism", "", 1, 0},   {"ate", "", 1, 0},  {"iti", "", 1, 0},  {"ous", "", 1, 0},
        {"ive", "", 1, 0},   {"ize", "", 1, 0},
    };
    if (!ends_with(*w, "ion"))
        APPLY(w, rules);
    else if ((ends_with(*w, "sion") || ends_with(*w, "tion")) &&
             measure(w->text, w->length - 3) > 1)
        w->length -= 3;
}

static void step_5(word *w)
{
    if (w->length > 0 && w->text[w->length - 1] == 'e') {
        word stem = {w->text, w->length - 1};
        int m = measure(stem.text, stem.length);
        if (m > 1 || (m == 1 && !ends_short(stem)))
            *w = stem;
    }
    if (ends_with(*w, "ll") && measure(w->text, w->length - 1) > 1)
        w->length--;
}

/* A word with a fixed stem; NULL for others. */
static const char *fixed_stem(word w)
{
    static const char *const stems[][2] = {
        {"sky", "sky"},        {"skies", "sky"},        {"dying", "die"},
        {"lying", "lie"},      {"tying", "tie"},        {"news", "news"},
        {"innings", "inning"}, {"inning", "inning"},    {"outings", "outing"},
        {"outing", "outing"},  {"cannings", "canning"}, {"canning", "canning"},
        {"howe", "howe"},      {"proceed", "proceed"},  {"exceed", "exceed"},
        {"succeed", "succeed"}};
    for (size_t i = 0; i < sizeof stems / sizeof *stems; i++)
        if (strlen(stems[i][0]) == w.length && memcmp(stems[i][0], w.text, w.length) == 0)
            return stems[i][1];
    return NULL;
}

size_t hone_porter_stem(char *text, size_t length)
{
    word w = {text, length};
    const char *fixed = fixed_stem(w);
    if (fixed != NULL) {
        w.length = strlen(fixed);
        memcpy(text, fixed, w.length);
        return w.length;
    }
    if (length <= 2)
        return length;
    step_1a(&w);
    step_1b(&w);
    step_1c(&w);
    step_2(&w);
    step_3(&w);
    step_4(&w);
    step_5(&w);
    return w.length;
}
