/* Any bytes are scored: values stay in their range, a text is its own best prediction, rows and
 * corpora of one row agree, and ROUGE-L is what the textbook's table says. The first byte chooses
 * the settings; the rest is the prediction and its references, with 0xFE between them. */
#include "base/parallel.h"
#include "metric/lcs.h"
#include "metric/porter.h"

#include <hone/score.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXTS = 5, SHORT = 64 };

static void require(bool condition)
{
    if (!condition)
        abort();
}

static hone_scorer *make(uint8_t choice)
{
    static const char *const tokenizers[] = {"13a", "intl", "char", "none"};
    static const char *const smoothings[] = {"exp", "floor", "add-k", "none"};
    hone_score_settings settings;
    hone_option_set set = hone_score_option_set(&settings);
    hone_scorer *scorer = NULL;
    require(hone_options_init(&set, NULL) == HONE_OK);
    settings.stemmer = choice & 1;
    settings.lowercase = choice >> 1 & 1;
    settings.bootstrap_samples = 3;
    require(hone_options_set_text(&set, 1, "bleu_tokenize", tokenizers[choice >> 2 & 3], "",
                                  NULL) == HONE_OK &&
            hone_options_set_text(&set, 1, "bleu_smooth", smoothings[choice >> 4 & 3], "", NULL) ==
                HONE_OK &&
            hone_options_set_text(&set, 1, "metrics",
                                  "rouge,bleu,sentence_bleu,nltk_bleu,chrf,chrf++,exact_match,"
                                  "token_f1,accuracy,macro_f1",
                                  "", NULL) == HONE_OK &&
            hone_scorer_create(&settings, &scorer, NULL) == HONE_OK);
    hone_options_deinit(&set);
    return scorer;
}

static void check_range(hone_scorer *scorer)
{
    for (size_t i = 0; i < hone_scorer_count(scorer); i++) {
        hone_score score;
        double alone;
        require(hone_scorer_result(scorer, i, &score, NULL) == HONE_OK);
        double most = score.scale * (1 + 1e-9);
        require(score.value >= 0 && score.value <= most && score.low >= 0 && score.high <= most);
        for (int64_t row = 0; row < hone_scorer_rows(scorer); row++)
            require(hone_scorer_row_value(scorer, i, row, &alone, NULL) == HONE_OK && alone >= 0 &&
                    alone <= most);
        if (hone_scorer_rows(scorer) == 1)
            require(fabs(alone - score.value) <= 1e-9 && score.low == score.high);
    }
}

/* Bytes as words: short sequences, often equal. */
static void check_lcs(const hone_text *a, const hone_text *b)
{
    uint32_t x[SHORT], y[SHORT];
    size_t n = a->length < SHORT ? a->length : SHORT, m = b->length < SHORT ? b->length : SHORT;
    size_t table[SHORT + 1][SHORT + 1] = {0}, length, marked = 0;
    bool marks[SHORT] = {0};
    for (size_t i = 0; i < n; i++)
        x[i] = (uint8_t)a->text[i];
    for (size_t j = 0; j < m; j++)
        y[j] = (uint8_t)b->text[j];
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < m; j++)
            table[i + 1][j + 1] = x[i] == y[j]                        ? table[i][j] + 1
                                  : table[i][j + 1] > table[i + 1][j] ? table[i][j + 1]
                                                                      : table[i + 1][j];
    hone_lcs lcs = {.row_limit = 1};
    require(hone_lcs_length(&lcs, (hone_span){x, n}, (hone_span){y, m}, 256, &length, NULL) ==
            HONE_OK);
    require(length == table[n][m]);
    require(hone_lcs_mark(&lcs, (hone_span){x, n}, (hone_span){y, m}, 256, marks, NULL) == HONE_OK);
    for (size_t i = 0; i < n; i++)
        marked += marks[i];
    require(marked == length);
    hone_lcs_deinit(&lcs);
}

static void check_stem(const hone_text *text)
{
    char word[SHORT];
    size_t length = text->length < SHORT ? text->length : SHORT;
    memcpy(word, text->text, length);
    require(hone_porter_stem(word, length) <= length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    static hone_scorer *scorers[64];
    hone_parallel_set_threads(1);
    hone_text texts[TEXTS];
    size_t count = 0;
    const char *at = (const char *)data + 1, *end = (const char *)data + size;
    while (count < TEXTS) {
        const char *cut = memchr(at, 0xFE, (size_t)(end - at));
        bool last = cut == NULL || count + 1 == TEXTS;
        texts[count++] = (hone_text){at, (size_t)((last ? end : cut) - at)};
        if (last)
            break;
        at = cut + 1;
    }
    if (scorers[data[0] % 64] == NULL)
        scorers[data[0] % 64] = make(data[0]);
    hone_scorer *scorer = scorers[data[0] % 64];
    hone_scorer_reset(scorer);
    require(hone_scorer_add(scorer, texts[0], &texts[count > 1], count > 1 ? count - 1 : 1, NULL) ==
            HONE_OK);
    check_range(scorer);
    for (size_t i = 0; i < count; i++) {
        require(hone_scorer_add(scorer, texts[i], &texts[i], 1, NULL) == HONE_OK);
        double same;
        int64_t accuracy = hone_scorer_find(scorer, "accuracy");
        require(hone_scorer_row_value(scorer, (size_t)accuracy, (int64_t)i + 1, &same, NULL) ==
                    HONE_OK &&
                same == 1);
        check_lcs(&texts[0], &texts[i]);
        check_stem(&texts[i]);
    }
    check_range(scorer);
    return 0;
}
