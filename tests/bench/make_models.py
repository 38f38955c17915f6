"""Write a GPT-2 124M folder with random weights, the GPT-2 tokenizer, and token rows to train on.

usage: make_gpt2_124m.py OUT_DIR [--tokenizer DIR] [--rows N] [--length N] [--layers N]

OUT_DIR/config.json, model.safetensors (f32, 498 MB), vocab.json + merges.txt when DIR has them, and
OUT_DIR/rows.jsonl with N rows {"ids": [...]} of random tokens. Nothing is written when all of it is
there already. Speed does not depend on the values, so random ones serve; OUT_DIR belongs outside
the checkout.
"""

import argparse
import json
import os
import shutil


def write_model(folder, layers):
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(1)
    config = GPT2Config(n_layer=layers)
    config.architectures = ["GPT2LMHeadModel"]
    GPT2LMHeadModel(config).save_pretrained(folder)


def write_rows(path, rows, length):
    import numpy

    random = numpy.random.default_rng(2)
    with open(path, "w", encoding="utf-8") as file:
        for _ in range(rows):
            file.write(json.dumps({"ids": random.integers(0, 50257, length).tolist()}) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out")
    parser.add_argument("--tokenizer", help="folder with vocab.json and merges.txt")
    parser.add_argument("--rows", type=int, default=256)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--layers", type=int, default=12)
    options = parser.parse_args()
    os.makedirs(options.out, exist_ok=True)
    if not os.path.exists(f"{options.out}/model.safetensors"):
        write_model(options.out, options.layers)
    for name in ("vocab.json", "merges.txt"):
        if options.tokenizer and not os.path.exists(f"{options.out}/{name}"):
            shutil.copyfile(f"{options.tokenizer}/{name}", f"{options.out}/{name}")
    if not os.path.exists(f"{options.out}/rows.jsonl"):
        write_rows(f"{options.out}/rows.jsonl", options.rows, options.length)


if __name__ == "__main__":
    main()
