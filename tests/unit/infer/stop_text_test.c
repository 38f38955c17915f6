/* Stop strings across tokens, and what may be shown of a text while it is made. */
#include "infer/stop_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { PIECES = 12 };

static hone_list list_of(const char *const stops[4], char storage[4][16], char *items[4])
{
    hone_list list = {.items = items};
    for (; list.count < 4 && stops[list.count] != NULL; list.count++) {
        snprintf(storage[list.count], 16, "%s", stops[list.count]);
        items[list.count] = storage[list.count];
    }
    return list;
}

/* Adds the pieces; `shown` gets each take between bars. True when a stop string was met. */
static bool play(const hone_list *stops, const char *const pieces[PIECES], char *text, char *shown)
{
    hone_stop_text t;
    hone_error error = {0};
    bool stopped = false;
    hone_stop_text_init(&t, stops);
    *shown = '\0';
    for (int i = 0; i < PIECES && pieces[i] != NULL && !stopped; i++) {
        assert_int_equal(
            hone_stop_text_add(&t, pieces[i], strlen(pieces[i]), true, &stopped, &error), HONE_OK);
        bool last = stopped || i + 1 == PIECES || pieces[i + 1] == NULL;
        size_t length;
        const char *piece = hone_stop_text_take(&t, last, &length);
        strncat(shown, piece, length);
        strcat(shown, "|");
    }
    snprintf(text, 64, "%s", t.text != NULL ? t.text : "");
    hone_stop_text_deinit(&t);
    return stopped;
}

static void text_ends_at_stop_strings_and_streams_what_is_safe(void **state)
{
    (void)state;
    static const struct {
        const char *name, *stops[4], *pieces[PIECES], *text, *shown;
        bool stopped;
    } cases[] = {
        {"none", {NULL}, {"ab", "c"}, "abc", "ab|c|", false},
        {"inside one token", {"b"}, {"abc", "d"}, "a", "a|", true},
        {"over three tokens", {"bcd"}, {"ab", "c", "dx", "y"}, "a", "a|||", true},
        {"begun and not met", {"bcd"}, {"ab", "c", "x"}, "abcx", "a||bcx|", false},
        {"begun at the end", {"bcd"}, {"ab", "c"}, "abc", "a|bc|", false},
        {"the whole text", {"abc"}, {"ab", "c"}, "", "||", true},
        {"overlaps itself", {"aab"}, {"a", "a", "a", "b"}, "a", "||a||", true},
        {"the first to end wins", {"abcd", "bc"}, {"xabcd"}, "xa", "xa|", true},
        {"so cut otherwise", {"abcd", "bc"}, {"xa", "bcd"}, "xa", "x|a|", true},
        {"the longest of one end", {"c", "abc"}, {"xabcd"}, "x", "x|", true},
        {"characters wait to be whole",
         {NULL},
         {"a\xC3", "\xA9", "b"},
         "a\xC3\xA9"
         "b",
         "a|\xC3\xA9|b|",
         false},
        {"four bytes, one by one",
         {NULL},
         {"\xF0", "\x9F", "\x98", "\x80", "!"},
         "\xF0\x9F\x98\x80!",
         "|||\xF0\x9F\x98\x80|!|",
         false},
        {"three bytes and two",
         {NULL},
         {"\xE2\x82", "\xAC\xE2", "\x82\xAC"},
         "\xE2\x82\xAC\xE2\x82\xAC",
         "|\xE2\x82\xAC|\xE2\x82\xAC|",
         false},
        {"never whole",
         {NULL},
         {"a\xE2\x82", "b", "\xC3"},
         "a\xE2\x82"
         "b\xC3",
         "a|\xE2\x82"
         "b|\xC3|",
         false},
        {"stray bytes pass",
         {NULL},
         {"\x80", "\xFF", "\xC0", "x"},
         "\x80\xFF\xC0x",
         "\x80|\xFF|\xC0|x|",
         false},
        {"a stop string of several bytes",
         {"\xE2\x82\xAC"},
         {"x\xE2", "\x82", "\xAC"},
         "x",
         "x|||",
         true},
        {"before a begun stop an unfinished character",
         {"b"},
         {"\xC3", "b"},
         "\xC3",
         "|\xC3|",
         true},
        {"empty tokens", {"ab"}, {"", "a", "", "c"}, "ac", "|||ac|", false},
        {"nothing at all", {"ab"}, {""}, "", "|", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char storage[4][16], *items[4], text[64], shown[128];
        hone_list stops = list_of(cases[i].stops, storage, items);
        bool stopped = play(&stops, cases[i].pieces, text, shown);
        if (stopped != cases[i].stopped || strcmp(text, cases[i].text) != 0 ||
            strcmp(shown, cases[i].shown) != 0)
            fail_msg("%s: text \"%s\", shown \"%s\", %s", cases[i].name, text, shown,
                     stopped ? "stopped" : "not stopped");
    }
}

/* Any cut of a text into tokens ends it at the same place, and shows all of it in the end. */
static void the_cut_into_tokens_changes_nothing(void **state)
{
    (void)state;
    static const char whole[] = "xabaabababcay";
    static const char *const stops[4] = {"ababc", "babab", "aaa", NULL};
    char storage[4][16], *items[4];
    hone_list list = list_of(stops, storage, items);
    for (unsigned cut = 0; cut < 1u << 11; cut++) {
        char bytes[PIECES][16] = {{0}}, text[64], shown[128], joined[128] = "";
        const char *pieces[PIECES] = {NULL};
        int count = 0, used = 0;
        for (int i = 0; whole[i] != '\0'; i++) {
            bytes[count][used++] = whole[i];
            pieces[count] = bytes[count];
            if (cut >> i & 1u && count + 1 < PIECES) {
                count++;
                used = 0;
            }
        }
        assert_true(play(&list, pieces, text, shown));
        assert_string_equal(text, "xabaa");
        size_t length = 0;
        for (const char *at = shown; *at != '\0'; at++)
            if (*at != '|')
                joined[length++] = *at;
        assert_string_equal(joined, text);
    }
}

static void a_stop_string_before_its_time_is_text(void **state)
{
    (void)state;
    static const char *const stops[4] = {"ab", NULL};
    char storage[4][16], *items[4];
    hone_list list = list_of(stops, storage, items);
    hone_stop_text t;
    bool stopped;
    hone_stop_text_init(&t, &list);
    assert_int_equal(hone_stop_text_add(&t, "xab", 3, false, &stopped, NULL), HONE_OK);
    assert_false(stopped);
    assert_int_equal(hone_stop_text_add(&t, "cab", 3, true, &stopped, NULL), HONE_OK);
    assert_true(stopped);
    assert_string_equal(t.text, "xabc");
    hone_stop_text_deinit(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_ends_at_stop_strings_and_streams_what_is_safe),
        cmocka_unit_test(the_cut_into_tokens_changes_nothing),
        cmocka_unit_test(a_stop_string_before_its_time_is_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
