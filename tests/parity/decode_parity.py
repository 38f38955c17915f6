"""Holds `hone generate` against Transformers' generate: the same ids from 200 prompts of each
family, greedily and by beam search, in float32.

Scores that differ by less than rounding decide differently here and there. Such a prompt passes
only where that is seen to be so: Transformers itself finds hone's ids, or one of its decisions was
closer than NEAR, when it computes in float64. At most NEAR_TIES prompts of a run may need that.

usage: python tests/parity/decode_parity.py [family [part of the settings]]
"""

import contextlib
import json
import os
import sys
import tempfile

import torch
from checks import SHARED, Checks, hone
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer
from transformers import logging as transformers_logging

transformers_logging.set_verbosity_error()
transformers_logging.disable_progress_bar()
torch.set_num_threads(1)

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
PROMPTS = 200
LENGTHS = (1, 3, 8, 16, 17, 30, 47, 64)  # of prompts: short and long for products of few rows
NEW_TOKENS = 24
NEAR = 2e-5
NEAR_TIES = 4
SCORE_TOLERANCE = 1e-5  # of scores over 1 relative to them

# What Transformers is told, and hone with dashes for underscores.
RUNS = (
    {},
    {"no_repeat_ngram_size": 3},
    {"no_repeat_ngram_size": 1, "min_new_tokens": 5},
    {"repetition_penalty": 1.3},
    {"num_beams": 2},
    {"num_beams": 4},
    {"num_beams": 4, "num_return_sequences": 3},
    {"num_beams": 5, "length_penalty": 0.6, "early_stopping": True},
    {"num_beams": 4, "length_penalty": 2.0, "early_stopping": "never", "num_return_sequences": 4},
    {"num_beams": 4, "length_penalty": 0.0, "early_stopping": "never"},
    {"num_beams": 2, "length_penalty": 2.0, "min_new_tokens": 6},
    {"num_beams": 5, "no_repeat_ngram_size": 2, "early_stopping": True, "num_return_sequences": 2},
    {"num_beams": 4, "no_repeat_ngram_size": 3, "length_penalty": -1.0},
    {"num_beams": 4, "repetition_penalty": 1.2, "length_penalty": 2.0},
    {"num_beams": 17, "num_return_sequences": 17, "early_stopping": True, "max_new_tokens": 8},
)

FAMILIES = (
    ("gpt2", f"{ROOT}/models/tiny-gpt2", AutoModelForCausalLM),
    ("opt", f"{SHARED}/models/tiny-opt", AutoModelForCausalLM),
    ("t5", f"{SHARED}/models/tiny-t5", AutoModelForSeq2SeqLM),
)


def read_prompts(tokenizer, ending):
    """Prompts of the lengths in turn, cut from the demo's texts at many places."""
    ids = []
    with open(f"{ROOT}/data/demo/valid.jsonl", encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            ids += tokenizer.encode(" ".join(value for value in row.values()
                                             if isinstance(value, str)), add_special_tokens=False)
            if len(ids) > 20000:
                break
    prompts = []
    for number in range(PROMPTS):
        length = LENGTHS[number % len(LENGTHS)]
        first = number * 61 % (len(ids) - length)
        prompts.append((ids[first:first + length] + ending)[-length:])
    return prompts


def frequent_tokens(texts, count):
    """Tokens that the model often makes: used as ends, so that many texts end at many places."""
    seen = {}
    for ids in texts:
        for token in ids:
            seen[token] = seen.get(token, 0) + 1
    return sorted(seen, key=lambda token: (-seen[token], token))[:count]


def copy_model(folder, copy, ends):
    """The model under other end tokens, which generation_config.json tells."""
    os.makedirs(copy)
    for name in os.listdir(folder):
        if name != "generation_config.json":
            os.symlink(os.path.join(os.path.abspath(folder), name), os.path.join(copy, name))
    with open(f"{copy}/generation_config.json", "w", encoding="utf-8") as file:
        json.dump({"eos_token_id": ends}, file)


def flags(settings):
    return [word for key, value in settings.items()
            for word in ("--" + key.replace("_", "-"),
                         str(value).lower() if isinstance(value, bool) else str(value))]


def run_hone(folder, prompts, settings):
    """Ids and scores of each prompt's texts."""
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
        for ids in prompts:
            file.write(json.dumps({"ids": ids}) + "\n")
        file.flush()
        out, _ = hone("generate", "--model", folder, "--data", file.name, "--json",
                      "--decode-batch-size", 16, *flags(settings))
    found = [([], []) for _ in prompts]
    for line in out.splitlines():
        row = json.loads(line)
        found[row["prompt_index"]][0].append(row["ids"])
        found[row["prompt_index"]][1].append(row.get("score"))
    return found


@contextlib.contextmanager
def watch_decisions(model, gaps):
    """Collects the smallest distance of two neighbours among each step's candidates."""
    original = model._get_top_k_continuations

    def watched(*arguments, **named):
        result = original(*arguments, **named)
        scores = result[0]
        near = (scores[:, :-1] - scores[:, 1:]).amin(dim=1)
        gaps.append(near)
        return result

    model._get_top_k_continuations = watched
    try:
        yield
    finally:
        del model._get_top_k_continuations


def generate(model, batch, ends, settings):
    """Ids and scores of the texts of prompts of one length."""
    count = settings.get("num_return_sequences", 1)
    made = model.generate(
        torch.tensor(batch), attention_mask=torch.ones(len(batch), len(batch[0]), dtype=torch.long),
        eos_token_id=ends, pad_token_id=ends[0], do_sample=False, return_dict_in_generate=True,
        output_scores=True, **settings)
    texts = []
    begin = 1 if model.config.is_encoder_decoder else len(batch[0])
    for ids in made.sequences[:, begin:].tolist():
        end = next((i for i, token in enumerate(ids) if token in ends), len(ids))
        texts.append(ids[:end])
    scores = made.sequences_scores.tolist() if settings.get("num_beams", 1) > 1 else [None] * len(texts)
    return [(texts[i * count:(i + 1) * count], scores[i * count:(i + 1) * count])
            for i in range(len(batch))]


def run_transformers(model, prompts, ends, settings):
    expected = [None] * len(prompts)
    for length in sorted({len(ids) for ids in prompts}):
        numbers = [i for i, ids in enumerate(prompts) if len(ids) == length]
        made = generate(model, [prompts[i] for i in numbers], ends, settings)
        for number, result in zip(numbers, made):
            expected[number] = result
    return expected


def greedy_gap(model, prompt, found, expected):
    """How far apart the two tokens are where two greedy texts part."""
    at = next(i for i in range(len(found) + 1) if found[:i + 1] != expected[:i + 1])
    with torch.no_grad():
        if model.config.is_encoder_decoder:
            start = [model.config.decoder_start_token_id]
            row = model(input_ids=torch.tensor([prompt]),
                        decoder_input_ids=torch.tensor([start + expected[:at]])).logits[0, -1]
        else:
            row = model(torch.tensor([prompt + expected[:at]])).logits[0, -1]
    top = row.topk(2).values
    return (top[0] - top[1]).item()


def explain(exact, prompt, found, expected, ends, settings):
    """Why a prompt's ids may differ, or None."""
    gaps = []
    with watch_decisions(exact, gaps):
        again = generate(exact, [prompt], ends, settings)[0]
    if again[0] == found[0]:
        return "float64 agrees with hone"
    gap = min(gap.item() for gap in gaps) if gaps else \
        greedy_gap(exact, prompt, found[0][0], expected[0][0])
    return f"a decision by {gap:.1e}" if gap < NEAR else None


def check_run(checks, family, folder, model, exact, prompts, ends, settings):
    settings = {"max_new_tokens": NEW_TOKENS, **settings}
    label = f"{family} {' '.join(flags(settings))}"
    found = run_hone(folder, prompts, settings)
    expected = run_transformers(model, prompts, ends, settings)
    different = [i for i in range(len(prompts)) if found[i][0] != expected[i][0]]
    reasons = {i: explain(exact, prompts[i], found[i], expected[i], ends, settings)
               for i in different}
    for number, reason in reasons.items():
        print(f"     {label}: prompt {number} differs: {reason}")
    ended = sum(len(ids) < settings["max_new_tokens"] for texts, _ in expected for ids in texts)
    checks.that(label, all(reasons.values()) and len(reasons) <= NEAR_TIES,
                f"{len(prompts) - len(different)} of {len(prompts)} prompts give the same ids "
                f"({ended} texts ended by a token)")
    if settings.get("num_beams", 1) > 1:
        same = [i for i in range(len(prompts)) if i not in reasons]
        pairs = [(f, e, max(1.0, abs(e))) for i in same
                 for f, e in zip(found[i][1], expected[i][1], strict=True)]
        checks.close(f"{label}: scores", [f / scale for f, _, scale in pairs],
                     [e / scale for _, e, scale in pairs], SCORE_TOLERANCE)


def check_family(checks, family, folder, kind, wanted):
    model = kind.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    exact = kind.from_pretrained(folder, dtype=torch.float64, attn_implementation="eager").eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ending = [tokenizer.eos_token_id] if model.config.is_encoder_decoder else []
    prompts = read_prompts(tokenizer, ending)
    with tempfile.TemporaryDirectory() as work:
        texts = [ids for made, _ in run_hone(folder, prompts, {"max_new_tokens": 8}) for ids in made]
        # hone ends a text with the tokenizer's own token too.
        ends = [tokenizer.eos_token_id, *frequent_tokens(texts, 15)[12:]]
        copy_model(folder, f"{work}/model", ends)
        for settings in RUNS:
            if wanted and wanted not in " ".join(flags(settings)):
                continue
            check_run(checks, family, f"{work}/model", model, exact, prompts, ends, settings)


def main():
    checks = Checks()
    families = [family for family in FAMILIES if family[0] == sys.argv[1]] if sys.argv[1:] else FAMILIES
    wanted = sys.argv[2] if len(sys.argv) > 2 else ""
    for family, folder, kind in families:
        if not os.path.isdir(folder):
            print(f"skip {family}: {folder} is not here")
            continue
        checks.part(family, check_family, family, folder, kind, wanted)
    checks.finish()


if __name__ == "__main__":
    main()
