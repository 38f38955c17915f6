"""Writes tests/unit/text/golden: small tokenizers and the ids that HF tokenizers give with them.

Made with tokenizers 0.23.3.   usage: make_goldens.py GPT2_FOLDER (vocab.json + merges.txt of GPT-2)
"""
import json
import pathlib
import random
import sys

import tokenizers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

HERE = pathlib.Path(__file__).parent
OUT = HERE / "golden"

PLAIN = [
    "", "a", " ", "\n", "Hello world", " Hello  world ", "don't you've I'll we're he'd I'm it's 'tis",
    "DON'T YOU'VE", "'", "''s", " 's", "'llama 'revenge", "x's'x", "naïve café déjà-vu", "Straße",
    "3.14159 and 1,000,000 or ½ ² Ⅷ ٣٤", "tab\tseparated\t\tvalues", "line\r\nbreaks\r\n\r\nhere\n\n",
    "trailing spaces   ", "   leading", " \u00a0 mixed\u3000 white\u2003space\u2028 ", "\u3000x",
    "\u0085next", "zero\u200bwidth", "日本語のテキスト 中文。", "Привет, мир!", "مرحبا بالعالم",
    "👩‍👩‍👧‍👦 🇩🇪 ❤️", "e\u0301 combining", "def f(x):\n    return x ** 2  # square\n", "a_b-c.d/e\\f",
    "=" * 80, "-" * 15 + " " + "-" * 16, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" * 4, "http://x.org/?q=1&r=2#z",
    "\x00\x01\x7f", "\U0001e5d0\U00010d40 new letters", "the " * 20, " " * 17 + "x",
]


def noise(seed, count):
    draw = random.Random(seed)
    parts = ["'s", "'re", "'ll", "'", " ", "  ", "\n", "\t", "a", "the", "ing", "Z", "é", "ß", "9", "12", "½", ".", "!?",
             "\u00a0", "\u3000", "中", "ж", "😀", "\u0301", "_", "<s>", "<X>", "<left>", "right", "word", "<", "ab", "abc"]
    return ["".join(draw.choice(parts) for _ in range(draw.randint(1, 12))) for _ in range(count)]


def small_model():
    text = [p for p in (HERE / "make_goldens.py").read_text().split("\n")] + PLAIN
    model = Tokenizer(models.BPE())
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=330, special_tokens=["<s>", "</s>"], show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    model.train_from_iterator(text, trainer)
    return model


def build(model, prefix=False, regex=True, added=()):
    data = json.loads(model.to_str())
    bpe = models.BPE(vocab=data["model"]["vocab"], merges=[tuple(m) for m in data["model"]["merges"]])
    out = Tokenizer(bpe)
    out.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=regex)
    out.decoder = decoders.ByteLevel()
    out.add_tokens(list(added))
    return out


def cases(tokenizer, texts):
    return [{"text": t, "ids": tokenizer.encode(t, add_special_tokens=False).ids} for t in texts]


def write(name, value):
    OUT.joinpath(name).write_text(json.dumps(value, ensure_ascii=True, separators=(",", ":")) + "\n")


def main():
    OUT.mkdir(exist_ok=True)
    model = small_model()
    added = [
        AddedToken("<s>", special=True, normalized=False),
        AddedToken("</s>", special=True, normalized=False),
        AddedToken("<X>", special=True, normalized=False),
        AddedToken("<left>", lstrip=True, normalized=False),
        AddedToken("right", rstrip=True, normalized=True),
        AddedToken("word", single_word=True, normalized=False),
        AddedToken("abc", normalized=True),
        AddedToken("a b", lstrip=True, rstrip=True, normalized=True),
        AddedToken("<X><", normalized=False),
        AddedToken("é!", normalized=False),
    ]
    flagged = ["a <left> b", "  <left>  b", "x<left>", "<X><left>", "<X> \n<left>", "right right  x", "upright  rights",
               "a word, words word", "word", "sword", "wordé é word", "_word_", "word\u0301 \u0301word", "ⓐword 1word",
               "abc ab abcabc", " a b a b ", "<X><X><", "<X", "x<s>y</s>", "<s><s> <s>", "é!é", "ª word º", "right", "right ",
               "<left>right  <left>", "\u3000<left>\u3000", "right\u3000\u00a0x", "a b", "abca b"]
    files = {
        "plain": build(model),
        "prefix": build(model, prefix=True, added=added),
        "noregex": build(model, regex=False),
        "added": build(model, added=added),
    }
    result = {"generator": "tokenizers " + tokenizers.__version__, "sets": {}}
    for seed, (name, tokenizer) in enumerate(files.items()):
        write(name + ".json", json.loads(tokenizer.to_str()))
        texts = PLAIN + noise(seed, 40) + (flagged if name in ("added", "prefix") else [])
        result["sets"][name] = cases(tokenizer, texts)
    folder = pathlib.Path(sys.argv[1])
    gpt2 = Tokenizer(models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt")))
    gpt2.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    gpt2.add_special_tokens(["<|endoftext|>"])
    result["sets"]["gpt2"] = cases(gpt2, PLAIN + noise(99, 60) + ["a<|endoftext|>b <|endoftext|>", "<|endoftext"])
    write("cases.json", result)


main()
