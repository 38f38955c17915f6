"""Writes sampling_golden.h: what Transformers' own logits processors make of a few rows of logits.

usage: python tests/unit/infer/make_sampling_golden.py   (transformers 5.x, torch)
"""

import os

import torch
import transformers
from transformers.generation.logits_process import (
    LogitsProcessorList,
    MinNewTokensLengthLogitsProcessor,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

VOCABULARY = 23
PROMPT = [3, 7, 3, 19]
MADE = [7, 0, 22]
EOS = 5

# repetition_penalty, min_new_tokens, temperature, top_k, top_p, min_p
CASES = [
    (1.0, 0, 1.0, 0, 1.0, 0.0),
    (1.3, 0, 0.0, 0, 1.0, 0.0),
    (0.7, 4, 0.0, 0, 1.0, 0.0),
    (1.0, 3, 0.0, 0, 1.0, 0.0),
    (1.0, 4, 0.7, 0, 1.0, 0.0),
    (1.0, 0, 1.7, 5, 1.0, 0.0),
    (1.0, 0, 1.0, 100, 1.0, 0.0),
    (1.0, 0, 1.0, 1, 1.0, 0.0),
    (1.0, 0, 1.0, 0, 0.9, 0.0),
    (1.0, 0, 1.0, 0, 0.31, 0.0),
    (1.0, 0, 1.0, 0, 0.0, 0.0),
    (1.0, 0, 1.0, 0, 1.0, 0.13),
    (1.0, 0, 2.0, 0, 1.0, 1.0),
    (1.0, 0, 0.5, 7, 0.8, 0.0),
    (1.0, 0, 3.0, 11, 0.85, 0.2),
    (1.2, 9, 0.8, 13, 0.95, 0.05),
]


def process(logits, case):
    penalty, least, temperature, top_k, top_p, min_p = case
    chain = LogitsProcessorList()
    if penalty != 1.0:
        chain.append(RepetitionPenaltyLogitsProcessor(penalty))
    if least > 0:
        chain.append(MinNewTokensLengthLogitsProcessor(len(PROMPT), least, EOS))
    if temperature > 0:
        chain.append(TemperatureLogitsWarper(temperature))
        if top_k > 0:
            chain.append(TopKLogitsWarper(top_k))
        if top_p < 1.0:
            chain.append(TopPLogitsWarper(top_p))
        if min_p > 0:
            chain.append(MinPLogitsWarper(min_p))
    return chain(torch.tensor([PROMPT + MADE]), logits.clone()[None])[0]


def row(values):
    text = ["-INFINITY" if v == float("-inf") else f"{v:.9g}" for v in values.tolist()]
    text = [t + "f" if "." in t or "e" in t else t + (".0f" if t[0] != "-" or t[1].isdigit() else "")
            for t in text]
    return "{" + ", ".join(text) + "}"


def main():
    torch.manual_seed(20)
    rows = [torch.randn(VOCABULARY) * 3, torch.randn(VOCABULARY) * 0.5]
    rows[1][11] = rows[1][4]  # two of the same
    path = os.path.join(os.path.dirname(__file__), "sampling_golden.h")
    with open(path, "w") as out:
        out.write(f"/* Made by make_sampling_golden.py with transformers {transformers.__version__}, "
                  f"torch {torch.__version__}. */\n#include <math.h>\n#include <stdint.h>\n/* clang-format off */\n")
        out.write(f"enum {{ GOLDEN_VOCABULARY = {VOCABULARY}, GOLDEN_EOS = {EOS}, "
                  f"GOLDEN_MADE = {len(MADE)}, GOLDEN_ROWS = {len(rows)} }};\n")
        history = ", ".join(map(str, PROMPT + MADE))
        out.write(f"static const int32_t golden_history[] = {{{history}}};\n")
        out.write("static const float golden_logits[GOLDEN_ROWS][GOLDEN_VOCABULARY] = {\n")
        out.writelines(f"    {row(r)},\n" for r in rows)
        out.write("};\nstatic const struct golden_case {\n    double repetition_penalty;\n"
                  "    int64_t min_new_tokens;\n    double temperature;\n    int64_t top_k;\n"
                  "    double top_p, min_p;\n"
                  "    float expected[GOLDEN_ROWS][GOLDEN_VOCABULARY];\n} golden_cases[] = {\n")
        for case in CASES:
            out.write("    {" + ", ".join(f"{v}" for v in case) + ",\n     {")
            out.write(",\n      ".join(row(process(r, case)) for r in rows) + "}},\n")
        out.write("};\n/* clang-format on */\n")


if __name__ == "__main__":
    main()
