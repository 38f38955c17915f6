"""The tokenizer against HF tokenizers: the same ids on all of the shared text, on a million random
strings, around every code point and with every kind of added token; and how fast both are.

Needs the C driver and the benchmark of the build (tests/unit/text/tokenize_lines, tokenizer_bench).
Takes a sample of the shared text, some 10 MB; HONE_PARITY_ALL=1 takes all of it.
"""

import array
import itertools
import json
import os
import random
import struct
import subprocess
import tempfile
import time

import tokenizers
from checks import SHARED, Checks
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
PROGRAMS = os.path.join(os.environ.get("HONE_BUILD", f"{ROOT}/build"), "tests/unit/text")
GPT2 = f"{SHARED}/data/gpt2-bpe"
TEXT = f"{SHARED}/data/text"
CHUNK = 4 << 20
RANDOM_STRINGS = 1_000_000
SHARE = 1 if os.environ.get("HONE_PARITY_ALL") else 11  # every how many-th of the shared texts

PARTS = ["'s", "'re", "'ll", "'", " ", "  ", "   ", "\n", "\r\n", "\t", "a", "the", " the", "ing", "Zebra", "é", "ß",
         "9", "2024", "½", "Ⅷ", ".", "!?", "\u00a0", "\u3000", "\u2028", "\u0085", "中文", "жук", "😀", "\u0301", "\u200d",
         "_", "<", "<|endoftext|>", "=" * 20, "-", "\x00", "\x1c", "ªº", "\U00010d40", "\U0001e5d0", "ⓐ"]


def random_texts(seed, count, extra=()):
    """Half are made of telling parts, half of any characters."""
    draw = random.Random(seed)
    parts = PARTS + list(extra)
    ranges = [(0, 0x7F), (0, 0x2FF), (0, 0xD7FF), (0xE000, 0x10FFFF), (0x2000, 0x206F), (0x1F300, 0x1FAFF)]
    for i in range(count):
        if i % 2:
            yield "".join(draw.choices(parts, k=draw.randint(1, 10)))
        else:
            low, high = draw.choice(ranges)
            yield "".join(chr(draw.randint(low, high)) for _ in range(draw.randint(1, 12)))


def shared_texts(share=SHARE):
    """Every share-th text of each file."""
    for name in sorted(os.listdir(TEXT)):
        if not name.endswith(".jsonl.zst"):
            continue
        with subprocess.Popen(["zstd", "-dc", f"{TEXT}/{name}"], stdout=subprocess.PIPE) as unpacked:
            for line in itertools.islice(unpacked.stdout, 0, None, share):
                row = json.loads(line)
                for key in ("text", "source", "target"):
                    if key in row:
                        yield row[key]


def code_points():
    for code in range(0x110000):
        if not 0xD800 <= code < 0xE000:
            c = chr(code)
            yield f"a{c}1{c} {c}!{c}{c} {c}"


def chunks(texts):
    batch, size = [], 0
    for text in texts:
        batch.append(text)
        size += len(text)
        if size >= CHUNK or len(batch) >= 100_000:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def frame(texts):
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)


def hone_ids(folder, texts):
    """Ids of each text (bytes). What does not come back from decoding is an error."""
    ended = subprocess.run([f"{PROGRAMS}/tokenize_lines", folder], input=frame(texts), capture_output=True, check=False)
    if ended.returncode != 0:
        raise RuntimeError(ended.stderr.decode(errors="replace")[-500:])
    numbers = array.array("i", ended.stdout)
    at, result = 0, []
    for _ in texts:
        count = numbers[at]
        result.append(numbers[at + 1:at + 1 + count].tolist())
        at += 1 + count
    return result, ended.stderr


def encoder(peer):
    return lambda texts: [e.ids for e in peer.encode_batch_fast(texts, add_special_tokens=False)]


def compare(checks, name, folder, encode, texts, round_trip=True):
    """encode: the peer's, of texts to ids."""
    count, size, wrong, spent = 0, 0, [], 0.0
    for batch in chunks(texts):
        data = [text.encode() for text in batch]
        found, complaints = hone_ids(folder, data)
        begin = time.perf_counter()
        expected = encode(batch)
        spent += time.perf_counter() - begin
        wrong += [(text, ids, other) for text, ids, other in zip(batch, found, expected) if ids != other]
        if round_trip and complaints:
            wrong.append((complaints[:200], None, None))
        count += len(batch)
        size += sum(map(len, data))
    first = f", first {min(wrong, key=lambda w: len(w[0]))!r:.300}" if wrong else ""
    checks.that(name, not wrong and count > 0, f"{count} texts, {size / 1e6:.1f} MB, {len(wrong)} differ{first}")
    print(f"     (its maker: {size / spent / 1e6:.2f} MB/s)")


def check_bytes(checks, folder):
    """Bytes that are no UTF-8 have no ids in HF tokenizers; they come back from decoding."""
    draw = random.Random(3)
    texts = [bytes([a, b]) for a in range(256) for b in range(256)]
    texts += [draw.randbytes(draw.randint(0, 40)) for _ in range(RANDOM_STRINGS)]
    complaints = b""
    for at in range(0, len(texts), 200_000):
        complaints += hone_ids(folder, texts[at:at + 200_000])[1]
    checks.that("bytes come back from decoding", not complaints, f"{len(texts)} strings {complaints[:200]!r}")


def check_added(checks, work):
    """tests/unit/text/golden has a tokenizer with every kind of added token."""
    for name in ("added", "prefix"):
        folder = f"{work}/{name}"
        os.mkdir(folder)
        file = f"{ROOT}/tests/unit/text/golden/{name}.json"
        os.symlink(file, f"{folder}/tokenizer.json")
        tokens = [token["content"] for token in json.load(open(file, encoding="utf-8"))["added_tokens"]]
        extra = [part for token in tokens for part in (token, token, token[:-1], token[1:])]
        compare(checks, f"added tokens: {name}", folder, encoder(Tokenizer.from_file(file)),
                random_texts(5, 200_000, extra * 2), round_trip=False)


def gpt2_peer():
    peer = Tokenizer(models.BPE.from_file(f"{GPT2}/vocab.json", f"{GPT2}/merges.txt"))
    peer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    peer.decoder = decoders.ByteLevel()
    peer.add_special_tokens(["<|endoftext|>"])
    return peer


def check_models(checks):
    """The folders of the shared models, read as Transformers reads them."""
    from transformers import AutoTokenizer  # pylint: disable=import-outside-toplevel
    for name in ("tiny-gpt2", "tiny-opt"):
        folder = f"{SHARED}/models/{name}"
        peer = AutoTokenizer.from_pretrained(folder).backend_tokenizer
        compare(checks, name, folder, encoder(peer), random_texts(7, 100_000, ["</s>", "<pad>", "<s>"]))
        if name == "tiny-opt":
            compare(checks, f"{name}, shared text", folder, encoder(peer), shared_texts())


def check_opt(checks, work):
    """OPT folders as the hub has them: special tokens as objects, in one file or two; a leading </s>."""
    from transformers import AutoTokenizer  # pylint: disable=import-outside-toplevel

    def token(text, **more):
        return {"content": text, "lstrip": False, "normalized": True, "rstrip": False, "single_word": False} | more

    names = {"bos_token": "</s>", "eos_token": "</s>", "unk_token": "</s>", "pad_token": "<pad>"}
    objects = {key: token(text) for key, text in names.items()}
    marked = {key: value | {"__type": "AddedToken"} for key, value in objects.items()}
    base = {"tokenizer_class": "GPT2Tokenizer", "add_bos_token": True}
    decoder = {"1": token("<pad>", special=True), "2": token("</s>", special=True)}
    variants = {
        "objects": {"tokenizer_config": base | marked | {"add_prefix_space": False, "special_tokens_map_file": None},
                    "special_tokens_map": objects},
        "prefix": {"tokenizer_config": base | names | {"add_prefix_space": True}},
        "decoder": {"tokenizer_config": base | names | {"added_tokens_decoder": decoder}},
        "other": {"tokenizer_config": names | {"bos_token": "<s>", "unk_token": "<unk>", "tokenizer_class": "GPT2Tokenizer"}},
    }
    for name, files in variants.items():
        folder = f"{work}/opt-{name}"
        os.mkdir(folder)
        for file in ("vocab.json", "merges.txt", "config.json"):
            os.symlink(f"{SHARED}/models/tiny-opt/{file}", f"{folder}/{file}")
        for file, content in files.items():
            with open(f"{folder}/{file}.json", "w", encoding="utf-8") as out:
                json.dump(content, out)
        peer = AutoTokenizer.from_pretrained(folder)
        compare(checks, f"OPT folder: {name}", folder, encoder(peer.backend_tokenizer),
                random_texts(8, 20_000, ["</s>", "<pad>", "<s>", " </s> ", "<unk>"]), round_trip=False)


def measure(checks, work, peer):
    """Speed of both on the shared text, in one run."""
    path = f"{work}/corpus"
    texts = list(shared_texts())
    with open(path, "wb") as file:
        file.write(frame([text.encode() for text in texts]))
    print(subprocess.run([f"{PROGRAMS}/tokenizer_bench", GPT2, path], capture_output=True, check=True,
                         text=True).stdout, end="")
    peer.save(f"{work}/tokenizer.json")
    opened = subprocess.run([f"{PROGRAMS}/tokenizer_bench", work, "/dev/null", "1"], capture_output=True, check=True, text=True)
    print("tokenizer.json of the same size:", opened.stdout.splitlines()[0])
    sample = texts[::20 // min(SHARE, 20)]
    size = sum(len(text.encode()) for text in sample)
    with open(path, "wb") as file:
        file.write(frame([text.encode() for text in sample]))
    own = subprocess.run([f"{PROGRAMS}/tokenizer_bench", GPT2, path], capture_output=True, check=True, text=True).stdout
    speeds = [float(line.split()[3]) for line in own.splitlines() if line.startswith("threads")]
    for threads, parallel in ((1, "false"), (2, "true")):
        os.environ["TOKENIZERS_PARALLELISM"] = parallel
        begin = time.perf_counter()
        peer.encode_batch_fast(sample)
        theirs = size / (time.perf_counter() - begin) / 1e6
        print(f"{size / 1e6:.1f} MB of it, {threads} threads: hone {speeds[threads - 1]:.1f} MB/s, "
              f"HF tokenizers {tokenizers.__version__} {theirs:.2f} MB/s, ratio {speeds[threads - 1] / theirs:.1f}")


def main():
    checks = Checks()
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    with tempfile.TemporaryDirectory(prefix="hone-tokenizer-") as work:
        checks.part("added tokens", check_added, work)
        if os.path.isdir(GPT2):
            peer = gpt2_peer()
            checks.part("random strings", compare, "random strings", GPT2, encoder(peer), random_texts(1, RANDOM_STRINGS))
            checks.part("code points", compare, "every code point", GPT2, encoder(peer), code_points())
            checks.part("bytes", check_bytes, GPT2)
            checks.part("models", check_models)
            checks.part("OPT", check_opt, work)
            checks.part("shared text", compare, "shared text", GPT2, encoder(peer), shared_texts())
            checks.part("speed", measure, work, peer)
        else:
            print(f"skipped: no {GPT2}")
    checks.finish()


if __name__ == "__main__":
    main()
