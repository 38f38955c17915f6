"""Writes beam_golden.h: what Transformers' beam search finds where the logits after two tokens come
from a table, so that nothing but the search is compared.

usage: python tests/unit/infer/make_beam_golden.py   (transformers 5.x, torch)
"""

import os

import torch
import transformers
from transformers import GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

VOCABULARY = 11
PROMPT = [4, 9]
MOST = 9  # new tokens

# ends, num_beams, length_penalty, early_stopping, no_repeat_ngram_size, min_new_tokens,
# repetition_penalty, num_return_sequences
CASES = [
    ([0], 2, 1.0, False, 0, 0, 1.0, 1),
    ([0], 2, 1.0, True, 0, 0, 1.0, 2),
    ([0], 3, 1.0, "never", 0, 0, 1.0, 3),
    ([0], 3, 0.0, False, 0, 0, 1.0, 3),
    ([0], 3, 0.6, False, 0, 0, 1.0, 3),
    ([0], 3, 2.0, False, 0, 0, 1.0, 3),
    ([0], 3, 2.0, True, 0, 0, 1.0, 3),
    ([0], 3, 2.0, "never", 0, 0, 1.0, 3),
    ([0], 3, -1.0, "never", 0, 0, 1.0, 3),
    ([0], 3, -1.5, False, 0, 0, 1.0, 3),
    ([0, 3, 7], 4, 1.0, False, 0, 0, 1.0, 4),
    ([0, 3, 7], 4, 1.5, True, 0, 0, 1.0, 4),
    ([0, 3, 7], 4, 1.5, False, 0, 0, 1.0, 4),
    ([0, 3, 7], 4, 1.5, "never", 0, 0, 1.0, 4),
    ([0, 3, 7], 3, 0.5, False, 0, 0, 1.0, 3),
    ([0, 3, 7], 3, 0.5, True, 0, 0, 1.0, 3),
    ([0, 3, 7], 3, 0.5, "never", 0, 0, 1.0, 3),
    ([0, 3, 7], 2, 1.0, "never", 0, 4, 1.0, 2),
    ([3, 5], 5, 1.0, False, 2, 0, 1.0, 5),
    ([3, 5], 4, 0.6, True, 3, 0, 1.0, 3),
    ([3, 5], 4, 1.0, False, 1, 0, 1.0, 3),
    ([0, 5], 4, 1.0, False, 0, 0, 1.4, 3),
    ([0, 5], 4, 2.0, True, 2, 3, 0.8, 3),
    ([], 3, 1.0, False, 0, 0, 1.0, 3),
]


class TableConfig(PretrainedConfig):
    model_type = "table"

    def __init__(self, **named):
        super().__init__(vocab_size=VOCABULARY, num_hidden_layers=1, hidden_size=1,
                         num_attention_heads=1, is_encoder_decoder=False, use_cache=False, **named)


class Table(PreTrainedModel, GenerationMixin):
    config_class = TableConfig

    def __init__(self, table):
        super().__init__(TableConfig())
        self.table = torch.nn.Parameter(table)

    def forward(self, input_ids, **_):
        before = torch.cat([input_ids[:, :1], input_ids[:, :-1]], dim=1)
        return CausalLMOutput(logits=self.table[before * VOCABULARY + input_ids])


def search(model, case):
    ends, beams, length_penalty, early_stopping, ngram, least, penalty, count = case
    made = model.generate(
        torch.tensor([PROMPT]), attention_mask=torch.ones(1, len(PROMPT), dtype=torch.long),
        max_new_tokens=MOST, num_beams=beams, length_penalty=length_penalty,
        early_stopping=early_stopping, no_repeat_ngram_size=ngram, min_new_tokens=least or None,
        repetition_penalty=penalty, num_return_sequences=count, eos_token_id=ends or None,
        pad_token_id=VOCABULARY - 1, do_sample=False, use_cache=False, output_scores=True,
        return_dict_in_generate=True)
    texts = []
    for ids in made.sequences[:, len(PROMPT):].tolist():
        end = next((i for i, token in enumerate(ids) if token in ends), len(ids))
        texts.append((ids[:end], end < len(ids)))
    return texts, made.sequences_scores.tolist()


def c_float(value):
    text = f"{value:.9g}"
    return (text if "." in text or "e" in text else text + ".0") + "f"


def c_case(model, case):
    ends, beams, length_penalty, early_stopping, ngram, least, penalty, count = case
    texts, scores = search(model, case)
    made = ",\n      ".join(
        "{" + f"{c_float(score)}, {str(ended).lower()}, {len(ids)}, {{{', '.join(map(str, ids)) or 0}}}" + "}"
        for (ids, ended), score in zip(texts, scores))
    return (f"    {{{len(ends)}, {{{', '.join(map(str, ends)) or 0}}}, {beams}, {length_penalty}, "
            f"\"{str(early_stopping).lower()}\", {ngram}, {least}, {penalty}, {count},\n     {{{made}}}}},\n")


def main():
    transformers.logging.set_verbosity_error()
    torch.manual_seed(5)
    table = torch.randn(VOCABULARY * VOCABULARY, VOCABULARY) * 1.5
    model = Table(table).eval()
    path = os.path.join(os.path.dirname(__file__), "beam_golden.h")
    with open(path, "w", encoding="utf-8") as out:
        out.write(f"/* Made by make_beam_golden.py with transformers {transformers.__version__}, "
                  f"torch {torch.__version__}. */\n#include <stdbool.h>\n#include <stdint.h>\n/* clang-format off */\n")
        out.write(f"enum {{ GOLDEN_VOCABULARY = {VOCABULARY}, GOLDEN_MOST = {MOST}, GOLDEN_TEXTS = 5 }};\n")
        out.write(f"static const int32_t golden_prompt[] = {{{', '.join(map(str, PROMPT))}}};\n")
        out.write("/* Logits after tokens a, b: row a * GOLDEN_VOCABULARY + b. */\n"
                  "static const float golden_table[GOLDEN_VOCABULARY * GOLDEN_VOCABULARY][GOLDEN_VOCABULARY] = {\n")
        for row in table.tolist():
            out.write("    {" + ", ".join(map(c_float, row)) + "},\n")
        out.write("};\nstruct golden_text {\n    float score;\n    bool ended; /* by a token, which is left out */\n"
                  "    int64_t count;\n    int32_t ids[GOLDEN_MOST];\n};\n"
                  "static const struct golden_case {\n    size_t end_count;\n    int32_t ends[3];\n"
                  "    int64_t num_beams;\n    double length_penalty;\n    const char *early_stopping;\n"
                  "    int64_t no_repeat_ngram_size, min_new_tokens;\n    double repetition_penalty;\n"
                  "    int64_t num_return_sequences;\n    struct golden_text texts[GOLDEN_TEXTS];\n"
                  "} golden_cases[] = {\n")
        out.writelines(c_case(model, case) for case in CASES)
        out.write("};\n/* clang-format on */\n")


if __name__ == "__main__":
    main()
