"""Writes tests/unit/text/golden/spiece and golden/unigram: small sentencepiece models of every kind and
the ids that sentencepiece gives with them; the same pieces as tokenizer.json with every normalizer and
pre-tokenizer that hone knows, and the ids that HF tokenizers gives.

Made with sentencepiece 0.2.3 and tokenizers 0.23.3.   usage: make_unigram_goldens.py
"""
import base64
import io
import json
import pathlib
import random

import sentencepiece
import tokenizers
from sentencepiece import sentencepiece_model_pb2
from tokenizers import Tokenizer

HERE = pathlib.Path(__file__).parent
SPIECE = HERE / "golden" / "spiece"
UNIGRAM = HERE / "golden" / "unigram"

# A map that is small and has what the real ones have: folding, expansion, removal, rules that are
# prefixes of others, and marks that join the letter before them.
RULES = {"\t": " ", "\n": " ", "\r": " ", "\u00a0": " ", "\u3000": " ", "\u2003": " ", "\u200b": "", "½": "1⁄2", "Ⅷ": "VIII",
         "²": "2", "ﬁ": "fi", "¨": " \u0308", "e\u0301": "é", "Ａ": "A", "ab": "ba", "abc": "ABC", "abcd": "",
         "\u0001": "", "…": "...", "㎏": "kg", "ﷺ": "صلى الله عليه وسلم", "x\u2581": "y ", "<<": " << ",
         "\u0958": "क\u093c", "™": "TM", "\u1161": "A"}

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


def steep(proto):
    """Scores so large that sums soon are too, and so alike that the rounding of sums decides: how a word
    is cut depends on how much text is before it."""
    del proto.pieces[3:]
    for text, score in (("▁", -300), ("a", -300), ("b", -300), ("c", -300), ("ab", -300.002), ("▁a", -299.999),
                        ("bc", -299.999), ("▁ab", -600.002), ("abc", -600.006), ("cc", -600.003)):
        proto.pieces.add(piece=text, score=score)
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
    "steep": lambda: steep(train("steep")),
}


def replace(pattern, content, kind="Regex"):
    return {"type": "Replace", "pattern": {kind: pattern}, "content": content}


def metaspace(scheme="always", split=True):
    return {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": split}


def chain(key, *parts):
    return {"type": "Sequence", key: list(parts)}


SPACES = replace(" {2,}", " ")
STRIP = {"type": "Strip", "strip_left": False, "strip_right": True}
BOTH = {"type": "Strip", "strip_left": True, "strip_right": True}
WHITE = {"type": "WhitespaceSplit"}
OLD = {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True, "str_rep": "▁"}
BYTES = chain("decoders", replace("▁", " ", "String"), {"type": "ByteFallback"}, {"type": "Fuse"},
              {"type": "Strip", "content": " ", "start": 1, "stop": 0})
ADDED = [("<X>", {}), ("ＡB", {}), ("xyz", {}), ("<l>", {"lstrip": True, "normalized": False}), ("<r>", {"rstrip": True}),
         ("zord", {"single_word": True}), ("a b", {}), ("▁z", {})]


def tokenizer_json(proto, normalizers, pre_tokenizers, decoder=None, added=(), byte_fallback=False):
    """A tokenizer.json with the pieces of a model; None among the normalizers is its map."""
    charsmap = base64.b64encode(proto.normalizer_spec.precompiled_charsmap).decode()
    steps = [{"type": "Precompiled", "precompiled_charsmap": charsmap} if n is None else n for n in normalizers]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    tokens = [{"id": i, "content": proto.pieces[i].piece} | flags for i in range(3)]
    known = {piece.piece: i for i, piece in enumerate(proto.pieces)}
    for text, more in added:
        number = known.setdefault(text, len(known))
        tokens.append({"id": number, "content": text} | flags | {"normalized": True, "special": False} | more)
    end = {"SpecialToken": {"id": "</s>", "type_id": 0}}
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": tokens,
        "normalizer": chain("normalizers", *steps) if len(steps) != 1 else steps[0],
        "pre_tokenizer": chain("pretokenizers", *pre_tokenizers) if len(pre_tokenizers) > 1 else (pre_tokenizers or [None])[0],
        "post_processor": {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}, end],
                           "pair": [{"Sequence": {"id": "A", "type_id": 0}}, end, {"Sequence": {"id": "B", "type_id": 0}}, end],
                           "special_tokens": {"</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}}},
        "decoder": decoder or metaspace(),
        "model": {"type": "Unigram", "unk_id": 2, "vocab": [[p.piece, p.score] for p in proto.pieces],
                  "byte_fallback": byte_fallback},
    }


TOKENIZERS = {
    "t5": lambda m: tokenizer_json(m["plain"], [None], [WHITE, metaspace()]),
    "old": lambda m: tokenizer_json(m["plain"], [None], [WHITE, OLD]),
    "converted": lambda m: tokenizer_json(m["plain"], [None, STRIP, replace(" {2,}", "▁")], [metaspace("first")]),
    "whole": lambda m: tokenizer_json(m["whole"], [None, SPACES], [metaspace("always", False)]),
    "bytes": lambda m: tokenizer_json(
        m["bytes"], [None, replace("\\A +| +\\z", ""), SPACES, replace(" ", "▁", "String"), replace("\\A▁", "▁▁")],
        [metaspace("always", False)], BYTES, byte_fallback=True),
    "bare": lambda m: tokenizer_json(m["plain"], [{"type": "NFKC"}, {"type": "Prepend", "prepend": "▁"}, replace(" ", "▁", "String")], []),
    "added": lambda m: tokenizer_json(m["plain"], [None], [WHITE, metaspace("first")], added=ADDED),
    "stripped": lambda m: tokenizer_json(m["plain"], [BOTH, replace("\\s+", " ")], [metaspace("first")], added=ADDED),
}

FLAGGED = ["a <l> b", "  <l>  b", "x<l>", "<X><l>", "<X> \n<l>", "<r> <r>  x", "up<r>  rights", "a zord, zords zord", "zord", "szord",
           "xyz abxyz xyzxyz", " a b a b ", "<X", "x</s>y</s>", "ＡB AB ＡＢ", "▁z z ▁▁z", "<unk><unk> x", "<l>", "<r>", "\u3000<l>\u3000",
           "<pad>a b<pad> a b", "zord\u0301 \u0301zord", "Ａ\u0301\u0302", "ﬁ\u0301x", "क्\u0958\u0301", "\u1100\u1161Ａ", "\u0600e\u0301", "😀\u200d…\u0301",
           "😀\u200d™\u0301", "😀\u0301\u200d™\u0301", "😀\u200d\u200d™\u0301", "a\u200d™\u0301", "™\u200d", "™\u0301", "\u1100\u1161\u0301",
           "\u1161\u0301", "क\u0958\u0301", "क्\u0301\u0958\u0301", "क्\u200c\u0958\u0301", "क्\u200d\u0958\u0301", "\u0301\u0958\u0301", "Ａ\r\n\u0301"]


def save(path, generator, texts, sets):
    cases = {"generator": generator, "texts": texts, "sets": sets}
    path.write_text(json.dumps(cases, ensure_ascii=True, separators=(",", ":")) + "\n")


def random_texts(seed, count, parts):
    draw = random.Random(seed)
    return ["".join(draw.choice(parts) for _ in range(draw.randint(1, 9))) for _ in range(count)]


def write_models():
    SPIECE.mkdir(exist_ok=True)
    texts = TEXTS + noise(11, 150) + ["q" * n for n in (5, 100, 101, 250)]
    texts += random_texts(2, 100, ["▁", " ", "<user>", "q", "qq", "😀", "ж", "e\u0301", "abc", "word ", "é"])
    protos, sets = {}, {}
    for name, make in MODELS.items():
        protos[name] = make()
        data = protos[name].SerializeToString()
        (SPIECE / f"{name}.model").write_bytes(data)
        peer = sentencepiece.SentencePieceProcessor(model_proto=data)
        ids = peer.encode(texts)
        sets[name] = {"ids": ids, "back": [peer.decode(i) for i in ids]}
        if name == "steep":
            long = ["cc " * 400, "abc ab bc cc " * 150, "ab " * 500 + "é abcab " * 200, "a" * 999 + " abcc" * 99]
            sets[name] = {"texts": long, "ids": peer.encode(long), "back": [peer.decode(i) for i in peer.encode(long)]}
        print(name, peer.vocab_size(), len(data))
    save(SPIECE / "cases.json", f"sentencepiece {sentencepiece.__version__}", texts, sets)
    return protos


def write_tokenizers(protos):
    UNIGRAM.mkdir(exist_ok=True)
    # HF tokenizers panics where a map removes text and an added token is matched behind it.
    texts = [t for t in TEXTS + noise(13, 80) if not any(x in t for x in ("\u200b", "abcd", "\x01"))] + FLAGGED
    texts += random_texts(3, 120, ["▁", " ", "<X>", "<l>", "<r>", "zord", "a b", "xyz", "😀", "ж", "Ａ", "\u0301", "ab", "<unk>", "é"])
    sets = {}
    for name, make in TOKENIZERS.items():
        data = json.dumps(make(protos), ensure_ascii=True, separators=(",", ":"))
        (UNIGRAM / f"{name}.json").write_text(data + "\n")
        peer = Tokenizer.from_str(data)
        ids = [peer.encode(text, add_special_tokens=False).ids for text in texts]
        back = [peer.decode(i, skip_special_tokens=False) for i in ids]
        # Where an added token changes in normalization, HF tokenizers decodes it to what it became.
        sets[name] = {"ids": ids, "back": [None if "Ａ" in text else b for text, b in zip(texts, back)]}
        print(name, len(data))
    save(UNIGRAM / "cases.json", f"tokenizers {tokenizers.__version__}", texts, sets)


if __name__ == "__main__":
    write_tokenizers(write_models())
