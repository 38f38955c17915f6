"""T5's tokenizer against its two makers: spiece.model gives sentencepiece's ids, tokenizer.json those of
HF tokenizers, on the shared text, around every code point and on random strings; and how fast all are.

Where the two differ from each other is counted and shown: hone follows the file that it reads.
Takes a sample of the shared text, some 10 MB; HONE_PARITY_ALL=1 takes all of it.
--speed FOLDER measures another T5 folder and checks nothing.
"""

import os
import random
import struct
import subprocess
import sys
import tempfile
import time
import unicodedata

import sentencepiece
import tokenizer_parity
import tokenizers
from checks import SHARED, Checks
from tokenizer_parity import PROGRAMS, ROOT, chunks, code_points, encoder, frame, hone_ids, random_texts, shared_texts
from tokenizers import Tokenizer

T5 = f"{SHARED}/models/tiny-t5"
GOLDEN = f"{ROOT}/tests/unit/text/golden"
RANDOM_STRINGS = 200_000

MARKS = ["\u0301", "\u0327", "\u0323", "\u200d", "\u200c", "\u0903", "\u093c", "\u094d", "\u0958", "क", "\u0600", "\u1100", "\u1161",
         "\u11a8", "가", "Ａ", "™", "ﬁ", "ﷺ", "½", "©", "®", "カ", "\u3099", "㎏", "ﾊﾟ", "ˑ", "\u00a8", "…", "İ", "ẛ̣", "\ufeff", "\ufffd", "\uffff"]
SPACES = [" ", "  ", "\t", "\n", "\r\n", "\u00a0", "\u1680", "\u2003", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000", "\u0085", "\u200b", "\u2060", "▁", "▁▁",
          "\x00", "\x01", "\x1c", "\x7f"]
ADDED = ["</s>", "<pad>", "<unk>", "<extra_id_0>", "<extra_id_99>", "<extra_id_1", "<s>", "<X>", "<l>", "<r>", "zord", "a b", "xyz", "<user>", "<0x0A>"]


def unicode_texts(seed, count, extra=()):
    """As random_texts, and strings that are all marks and white space, and any planes mixed."""
    draw = random.Random(seed)
    parts = MARKS + SPACES + list(extra) + ["a", "the", " the", "Hello", "жук", "中文", "😀", "q"]
    yield from random_texts(seed, count // 2, MARKS + SPACES + list(extra))
    for i in range(count - count // 2):
        if i % 3:
            yield "".join(draw.choices(parts, k=draw.randint(1, 12)))
        else:
            points = (draw.choice([0x300, 0x3000, 0xFFFF, 0x1FFFF, 0x2FFFF, 0x10FFFF]) for _ in range(draw.randint(1, 10)))
            yield "".join(c for c in (chr(draw.randint(0, most)) for most in points) if unicodedata.category(c) != "Cs")


def compare(checks, name, folder, encode, texts):
    """Of ids alone: what normalization took does not come back."""
    tokenizer_parity.compare(checks, name, folder, encode, texts, round_trip=False)


def hone_decoded(folder, rows):
    """Bytes of each row of ids."""
    data = b"".join(struct.pack(f"<I{len(row)}i", len(row), *row) for row in rows)
    ended = subprocess.run([f"{PROGRAMS}/tokenize_lines", folder, "--decode"], input=data, capture_output=True, check=True)
    at, result = 0, []
    for _ in rows:
        size, = struct.unpack_from("<I", ended.stdout, at)
        result.append(ended.stdout[at + 4:at + 4 + size])
        at += 4 + size
    return result


def compare_decoding(checks, name, folder, decode, size, skip=()):
    """Rows of any ids below size but those to skip."""
    draw = random.Random(8)
    ids = [i for i in range(size) if i not in skip]
    rows = [draw.choices(ids, k=draw.randint(0, 12)) for _ in range(20_000)]
    wrong = [row for row, found in zip(rows, hone_decoded(folder, rows)) if found != decode(row).encode()]
    checks.that(name, not wrong, f"{len(rows)} rows, {len(wrong)} differ {wrong[:1]}")


def folder_of(work, name, file, target, settings="{}"):
    folder = f"{work}/{name}"
    os.mkdir(folder)
    os.symlink(file, f"{folder}/{target}")
    with open(f"{folder}/tokenizer_config.json", "w", encoding="utf-8") as out:
        out.write(settings)
    return folder


def spiece_folder(work, name, file):
    """A folder whose special tokens no text of ours has, so that sentencepiece alone decides."""
    nothing = '"\\uE000"'
    return folder_of(work, name, file, "spiece.model",
                     f'{{"extra_ids": 0, "eos_token": {nothing}, "unk_token": {nothing}, "pad_token": {nothing}}}')


def without(texts, what="\ue000"):
    return (text for text in texts if what not in text)


def check_spiece(checks, work):
    peer = sentencepiece.SentencePieceProcessor(model_file=f"{T5}/spiece.model")
    folder = spiece_folder(work, "t5", f"{T5}/spiece.model")
    compare(checks, "spiece.model: random strings", folder, peer.encode, without(unicode_texts(1, RANDOM_STRINGS, ADDED)))
    compare(checks, "spiece.model: every code point", folder, peer.encode, without(code_points()))
    compare(checks, "spiece.model: shared text", folder, peer.encode, shared_texts())
    whole = "".join(shared_texts(50))
    compare(checks, "spiece.model: one long text", folder, peer.encode, [whole, whole.replace(" ", ""), whole[:1 << 20].replace(" ", "\n")])
    compare_decoding(checks, "spiece.model: decoding", folder, peer.decode, peer.vocab_size(), skip=(0, 1, 2))
    draw = random.Random(3)
    data = [draw.randbytes(draw.randint(0, 40)) for _ in range(RANDOM_STRINGS)]
    found, _ = hone_ids(folder, data)
    wrong = [text for text, ids in zip(data, found) if ids != peer.encode(text)]
    checks.that("spiece.model: bytes that are no UTF-8", not wrong, f"{len(data)} strings, {len(wrong)} differ {wrong[:1]}")


def check_kinds(checks, work):
    """The small models of the unit tests, on more texts."""
    for name in ("plain", "bytes", "user", "spaces", "bare", "whole", "unused", "nested", "steep"):
        file = f"{GOLDEN}/spiece/{name}.model"
        peer = sentencepiece.SentencePieceProcessor(model_file=file)
        folder = spiece_folder(work, f"spiece-{name}", file)
        compare(checks, f"sentencepiece: {name}", folder, peer.encode, without(unicode_texts(2, 40_000, ADDED + ["q", "qq", "abc", "abcd", "word "])))
    for name in ("t5", "old", "converted", "whole", "bytes", "bare", "added", "stripped"):
        file = f"{GOLDEN}/unigram/{name}.json"
        folder = folder_of(work, f"json-{name}", file, "tokenizer.json")
        texts = unicode_texts(2, 40_000, ADDED + ["abc", "ab"])
        if name in ("added", "stripped"):
            # HF tokenizers panics where normalization takes characters away before an added token.
            texts = (t for t in texts if not any(x in t for x in ("\u200b", "abcd", "\x01")))
        compare(checks, f"tokenizer.json: {name}", folder, encoder(Tokenizer.from_file(file)), texts)


def check_json(checks, work):
    """What Transformers makes of the folder, read back; and both sources on the same text."""
    from transformers import AutoTokenizer  # pylint: disable=import-outside-toplevel
    fast = AutoTokenizer.from_pretrained(T5)
    folder = f"{work}/saved"
    fast.save_pretrained(folder)
    peer = encoder(fast.backend_tokenizer)
    compare(checks, "tokenizer.json: random strings", folder, peer, unicode_texts(4, RANDOM_STRINGS, ADDED))
    compare(checks, "tokenizer.json: every code point", folder, peer, code_points())
    compare(checks, "tokenizer.json: shared text", folder, peer, shared_texts())
    compare_decoding(checks, "tokenizer.json: decoding", folder, lambda ids: fast.backend_tokenizer.decode(ids, skip_special_tokens=False), len(fast))
    words = ["</s>", "<pad>", "<unk>", "<extra_id_0>", "<extra_id_99>", " ", "  ", "the", "Hello", ",", " world", "\n", "x<", "s>"]
    draw = random.Random(5)
    compare(checks, "special tokens in a folder with spiece.model", T5, peer, ("".join(draw.choices(words, k=8)) for _ in range(50_000)))
    count, apart = 0, []
    for batch in chunks(shared_texts()):
        data = [text.encode() for text in batch]
        both = zip(batch, hone_ids(folder, data)[0], hone_ids(T5, data)[0])
        apart += [text for text, one, other in both if one != other]
        count += len(batch)
    checks.that("both sources give the same ids", len(apart) <= count // 1000, f"{len(apart)} of {count} texts differ")
    for text in apart[:3]:
        print(f"     {text!r:.160}")


def peer_seconds(texts, spiece, fast, threads):
    """Of sentencepiece and of HF tokenizers."""
    os.environ["TOKENIZERS_PARALLELISM"] = "true" if threads > 1 else "false"
    begin = time.perf_counter()
    spiece.encode(texts, num_threads=threads)
    between = time.perf_counter()
    fast.encode_batch_fast(texts, add_special_tokens=False)
    return between - begin, time.perf_counter() - between


def measure(folder, work):
    """Speed of hone on both files of a folder, and of their makers, on every shared text (hone, from an empty cache) and
    on a sample (all of them, best of three)."""
    from transformers import AutoTokenizer  # pylint: disable=import-outside-toplevel
    fast = AutoTokenizer.from_pretrained(folder)
    fast.save_pretrained(f"{work}/fast")
    spiece = sentencepiece.SentencePieceProcessor(model_file=f"{folder}/spiece.model")
    texts = list(shared_texts(1))
    sample = texts[::11]
    for name, part in (("all", texts), ("sample", sample)):
        with open(f"{work}/{name}", "wb") as file:
            file.write(frame([text.encode() for text in part]))
    for name, source in (("spiece.model", folder), ("tokenizer.json", f"{work}/fast")):
        for part, rounds in (("all", 1), ("sample", 3)):
            done = subprocess.run([f"{PROGRAMS}/tokenizer_bench", source, f"{work}/{part}", str(rounds)], capture_output=True, check=True, text=True).stdout
            print(f"{name} ({len(fast)} ids), {part}:", done.strip().replace("\n", "; "))
    size = sum(len(text.encode()) for text in sample)
    for threads in (1, 2):
        rounds = [peer_seconds(sample, spiece, fast.backend_tokenizer, threads) for _ in range(3)]
        rates = [size / min(column) / 1e6 for column in zip(*rounds)]
        print(f"{threads} threads: sentencepiece {sentencepiece.__version__} {rates[0]:.2f} MB/s, HF tokenizers {tokenizers.__version__} {rates[1]:.2f} MB/s")


def main():
    checks = Checks()
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    with tempfile.TemporaryDirectory(prefix="hone-unigram-") as work:
        if "--speed" in sys.argv:
            measure(sys.argv[-1], work)
            return
        checks.part("kinds", check_kinds, work)
        if not os.path.isdir(T5):
            print(f"skipped: no {T5}")
        else:
            checks.part("spiece", check_spiece, work)
            checks.part("json", check_json, work)
            if "--fast" not in sys.argv:
                measure(T5, work)
    checks.finish()


if __name__ == "__main__":
    main()
