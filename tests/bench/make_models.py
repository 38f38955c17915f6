"""Write model folders with random weights, and token rows to train on: see models.py.

usage: make_models.py WORK_DIR [MODEL...] [--tokenizer DIR] [--synopses FILE] [--spiece FILE]
                      [--ctranslate2 MODEL]

WORK_DIR/MODEL gets config.json, model.safetensors (f32), the tokenizer's files where DIR has them,
random.jsonl, and synopsis.jsonl for encoder-decoder models when FILE and its sentencepiece model
are given. --ctranslate2 converts that folder to WORK_DIR/MODEL-ctranslate2. What is there already
stays. Speed does not depend on the values, so random ones serve; WORK_DIR belongs outside the
checkout.
"""

import argparse
import json
import os
import shutil
import subprocess
import tempfile

from models import MODELS

LENGTH = 512  # of random rows; the most tokens of a source
TARGET_LENGTH = 128
RANDOM_ROWS, SYNOPSES = 256, 1024
SPECIAL = {"pad_token": "0", "eos_token": "1", "unk_token": "2"}


def write_model(model, folder):
    import torch
    import transformers

    torch.manual_seed(1)
    prefix = model.transformers
    for ending in ("LMHeadModel", "ForCausalLM", "ForConditionalGeneration"):
        prefix = prefix.removesuffix(ending)
    config = getattr(transformers, f"{prefix}Config")(**model.config)
    config.architectures = [model.transformers]
    getattr(transformers, model.transformers)(config).save_pretrained(folder)


def write_rows(path, rows):
    with open(f"{path}.part", "w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row) + "\n")
    os.replace(f"{path}.part", path)


def random_rows(model):
    import numpy

    random = numpy.random.default_rng(2)
    keys = ("source_ids", "target_ids") if model.encoder_decoder else ("ids",)
    for _ in range(RANDOM_ROWS):
        yield {key: random.integers(3, model.vocabulary, LENGTH).tolist() for key in keys}


def read_lines(path):
    """Of a .jsonl file, or of a .jsonl.zst by Debian's zstd."""
    if path.endswith(".zst"):
        return subprocess.run(["zstd", "-dcq", path], check=True,
                              stdout=subprocess.PIPE).stdout.decode().splitlines()
    with open(path, encoding="utf-8") as file:
        return file.read().splitlines()


def synopsis_rows(path, spiece):
    """A random sample, shuffled as a training run shuffles it, with </s> and cut as users do."""
    import numpy
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_file=spiece)
    lines = read_lines(path)
    for i in numpy.random.default_rng(3).permutation(len(lines))[:SYNOPSES]:
        pair = json.loads(lines[i])
        yield {f"{key}_ids": processor.encode(pair[key])[:limit - 1] + [processor.eos_id()]
               for key, limit in (("source", LENGTH), ("target", TARGET_LENGTH))}


def convert(folder, vocabulary, out):
    """The converter asks for a tokenizer: one whose tokens are the ids' digits."""
    from ctranslate2.converters import TransformersConverter
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = models.WordLevel({str(i): i for i in range(vocabulary)}, unk_token="2")
    tokenizer = Tokenizer(words)
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    with tempfile.TemporaryDirectory() as whole:
        PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="0",
                                **SPECIAL).save_pretrained(whole)
        for name in ("config.json", "generation_config.json", "model.safetensors"):
            os.symlink(os.path.abspath(f"{folder}/{name}"), f"{whole}/{name}")
        TransformersConverter(whole).convert(f"{out}.part", quantization="float32", force=True)
    os.replace(f"{out}.part", out)


def make(work, name, options):
    model, folder = MODELS[name], f"{work}/{name}"
    os.makedirs(folder, exist_ok=True)
    if not os.path.exists(f"{folder}/model.safetensors"):
        write_model(model, folder)
    for file in model.tokenizer:
        if options.tokenizer and not os.path.exists(f"{folder}/{file}"):
            shutil.copyfile(f"{options.tokenizer}/{file}", f"{folder}/{file}")
    if not os.path.exists(f"{folder}/random.jsonl"):
        write_rows(f"{folder}/random.jsonl", random_rows(model))
    if model.encoder_decoder and options.synopses and options.spiece and \
            not os.path.exists(f"{folder}/synopsis.jsonl"):
        write_rows(f"{folder}/synopsis.jsonl", synopsis_rows(options.synopses, options.spiece))
    if name in options.ctranslate2 and not os.path.exists(f"{folder}-ctranslate2"):
        convert(folder, model.vocabulary, f"{folder}-ctranslate2")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("work")
    parser.add_argument("models", nargs="*", choices=[[], *MODELS], metavar="MODEL")
    parser.add_argument("--tokenizer", help="folder with vocab.json and merges.txt")
    parser.add_argument("--synopses", help="pairs {source, target} as .jsonl or .jsonl.zst")
    parser.add_argument("--spiece", help="sentencepiece model for them")
    parser.add_argument("--ctranslate2", action="append", default=[], choices=[*MODELS])
    options = parser.parse_args()
    for name in options.models or MODELS:
        make(options.work, name, options)


if __name__ == "__main__":
    main()
