"""Writes tests/unit/text/golden/spiece: small sentencepiece models of every kind and the ids that
sentencepiece gives with them.

Made with sentencepiece 0.2.3.   usage: make_spiece_goldens.py
"""
import io
import json
import pathlib
import random

import sentencepiece
from sentencepiece import sentencepiece_model_pb2

HERE = pathlib.Path(__file__).parent
OUT = HERE / "golden" / "spiece"

# A map that is small and has what the real ones have: folding, expansion, removal, rules that are
# prefixes of others, and marks that join the letter before them.
RULES = {"\t": " ", "\n": " ", "\r": " ", "\u00a0": " ", "\u3000": " ", "\u2003": " ", "\u200b": "", "½": "1⁄2", "Ⅷ": "VIII",
         "²": "2", "ﬁ": "fi", "¨": " \u0308", "e\u0301": "é", "Ａ": "A", "ab": "ba", "abc": "ABC", "abcd": "",
         "\u0001": "", "…": "...", "㎏": "kg", "ﷺ": "صلى الله عليه وسلم", "x\u2581": "y ", "<<": " << "}

PLAIN = [
    "", "a", "Hello world", " Hello  world ", "don't you've I'll we're he'd I'm it's 'tis", "'llama 'revenge",
    "naïve café déjà-vu", "Straße", "3.14159 and 1,000,000 or ½ ² Ⅷ ٣٤", "tab\tseparated\t\tvalues",
    "line\r\nbreaks\r\n\r\nhere\n\n", "trailing spaces   ", "   leading", "zero\u200bwidth", "日本語のテキスト 中文。",
    " \u00a0 mixed\u3000 white\u2003space\u2028 ", "Привет, мир!", "مرحبا بالعالم", "👩‍👩‍👧‍👦 🇩🇪 ❤️", "e\u0301 combining",
    "def f(x):\n    return x ** 2  # square\n", "a_b-c.d/e\\f", "=" * 80, "http://x.org/?q=1&r=2#z", "\x01\x7f",
    "the " * 20, " " * 17 + "x",
]


def noise(seed, count):
    draw = random.Random(seed)
    parts = ["'s", "'re", "'", " ", "  ", "\n", "\t", "a", "the", "ing", "Z", "é", "ß", "9", "12", "½", ".", "!?", "\u00a0",
             "\u3000", "中", "ж", "😀", "\u0301", "_", "</s>", "<", "ab", "abc", "abcd", "word", "Hello", "world"]
    return ["".join(draw.choice(parts) for _ in range(draw.randint(1, 12))) for _ in range(count)]


TEXTS = PLAIN + [
    " ", "  ", "\t \n", "▁", "a▁b", "▁▁a▁", " a  b   c ", "a\u00a0\u00a0b", "\u200b", "\u200b \u200ba", "abcd", " abcd ", "abcab",
    "¨", "a ¨ b", "<s>", "</s> <unk> <pad>", "<user>x<user>", "<user>  <user><use", "ＡＡ ﬁne ½", "😀😀 😀", "😀", "a😀b",
    "x▁y", "<<a<<", "aaaa" * 30, "\x00a\x00", "ab" * 40, "user user2 <user2>", "▁word▁", "one.two...three....",
]


def train(name, **settings):
    """A model of some 300 pieces."""
    rules = HERE / "golden" / f"{name}.tsv"
    rules.write_text("".join(" ".join(f"{ord(c):X}" for c in a) + "\t" + " ".join(f"{ord(c):X}" for c in b) + "\n"
                             for a, b in RULES.items()))
    model = io.BytesIO()
    lines = pathlib.Path(__file__).read_text().split("\n") + PLAIN * 2
    options = {"vocab_size": 300, "model_type": "unigram", "normalization_rule_tsv": str(rules), "pad_id": 0, "eos_id": 1,
               "unk_id": 2, "bos_id": -1, "hard_vocab_limit": False, "minloglevel": 2, "num_threads": 1,
               "character_coverage": 0.99} | settings
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_writer=model, **options)
    rules.unlink()
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(model.getvalue())
    proto.normalizer_spec.ClearField("normalization_rule_tsv")
    proto.trainer_spec.ClearField("input")
    proto.trainer_spec.unk_surface = "<unk>"  # hone decodes it to its own text, as Transformers does
    return proto


def unused(proto):
    """Takes every tenth piece away."""
    for i, piece in enumerate(proto.pieces):
        if piece.type == 1 and i % 10 == 0:
            piece.type = 5
    return proto


def nested(proto):
    """Pieces that are prefixes of each other; many ways of cutting have the same sum."""
    for i in range(2, 101):
        proto.pieces.add(piece="q" * i, score=-8.0 * i)
    return proto


MODELS = {
    "plain": lambda: train("plain"),
    "bytes": lambda: train("bytes", byte_fallback=True, vocab_size=500),
    "user": lambda: train("user", user_defined_symbols="<user>,<user2>,<use,word ,▁wo,  "),
    "spaces": lambda: train("spaces", remove_extra_whitespaces=False),
    "bare": lambda: train("bare", remove_extra_whitespaces=False, add_dummy_prefix=False),
    "whole": lambda: train("whole", split_by_whitespace=False, remove_extra_whitespaces=False, vocab_size=400),
    "unused": lambda: unused(train("unused")),
    "nested": lambda: nested(train("nested")),
}


def main():
    OUT.mkdir(exist_ok=True)
    texts = TEXTS + noise(11, 150) + ["q" * n for n in (5, 100, 101, 250)]
    draw = random.Random(2)
    texts += ["".join(draw.choice(["▁", " ", "<user>", "q", "qq", "😀", "ж", "e\u0301", "abc", "word ", "é"])
                      for _ in range(draw.randint(1, 9))) for _ in range(100)]
    sets = {}
    for name, make in MODELS.items():
        data = make().SerializeToString()
        (OUT / f"{name}.model").write_bytes(data)
        peer = sentencepiece.SentencePieceProcessor(model_proto=data)
        ids = peer.encode(texts)
        sets[name] = {"ids": ids, "back": [peer.decode(i) for i in ids]}
        print(name, peer.vocab_size(), len(data))
    cases = {"generator": f"sentencepiece {sentencepiece.__version__}", "texts": texts, "sets": sets}
    (OUT / "cases.json").write_text(json.dumps(cases, ensure_ascii=True, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
