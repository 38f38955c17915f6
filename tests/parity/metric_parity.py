"""Scores against rouge-score, sacrebleu, NLTK and scikit-learn: every row and every mean, on 10,000
real pairs and on random Unicode; stems and tokens one by one; intervals and p-values against the same
resamples drawn in NumPy.

usage: metric_parity.py [--write]      (--write makes tests/unit/metric/golden anew)
Needs the C driver of the build (tests/support/metric_tool).
"""

import collections
import json
import os
import random
import re
import string
import struct
import subprocess
import sys
import tempfile
import time

import numpy as np
import sacrebleu
from checks import HONE, SHARED, Checks, hone, read_jsonl
from nltk.stem.porter import PorterStemmer
from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from rouge_score import rouge_scorer
from rouge_score import scoring as rouge_scoring
from sacrebleu.metrics import BLEU, CHRF
from sklearn.metrics import f1_score

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
TOOL = os.path.join(os.environ.get("HONE_BUILD", f"{ROOT}/build"), "tests/support/metric_tool")
GOLDEN = f"{ROOT}/tests/unit/metric/golden"
ROUGE = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
TOKENIZERS = ["13a", "intl", "char", "none"]
SMOOTHINGS = ["exp", "floor", "add-k", "none"]
EXACT = 1e-9


# ---- what is scored

def real_rows():
    """The shared pairs, or the bundled ones where those are not here."""
    path = f"{SHARED}/data/text/debian-synopsis.jsonl.zst"
    if not os.path.exists(path):
        return read_jsonl(f"{ROOT}/data/synopsis/train.jsonl")
    unpacked = subprocess.run(["zstd", "-dc", path], stdout=subprocess.PIPE, check=True).stdout
    return [json.loads(line) for line in unpacked.splitlines()]


def real_pairs(rows):
    """10,000 (prediction, reference): the first words of a text, the text, another's synopsis, and
    whole texts of several lines against each other."""
    draw = random.Random(11)
    rows = draw.choices(rows, k=10_000)
    pairs = []
    for i, row in enumerate(rows):
        other = rows[i - 1]
        kind = i % 20
        if kind < 9:
            pairs.append((" ".join(row["source"].split()[:10]), row["target"]))
        elif kind < 14:
            pairs.append((row["source"], row["target"]))
        elif kind < 19:
            pairs.append((other["target"], row["target"]))
        else:
            pairs.append((row["source"], other["source"]))
    return pairs


PARTS = ["the", "The", "an", "a", "cat", "cats", "running", "happily", " ", "  ", "\t", "\n", "\n\n", ".", ",", "...", ",,", "-", "--",
         "1", "2.5", "1,000", "3-4", "$", "€", "%", "&", "&amp;", "&quot;", "&lt;b&gt;", "&amp;lt;", "<skipped>", "-\n", "'", "don't", "\"", "(hi)",
         "[x]", "{y}", "a/b", "_", "^", "~", "«", "»", "…", "。", "、", "中", "文", "é", "É", "ß", "İ", "K", "Σ", "ΟΔΟΣ", "ς", "Ǆ", "½", "²", "Ⅷ", "٣",
         "\u00a0", "\u2028", "\u3000", "\x1c", "\x1f", "\x85", "😀", "e\u0301", "\u200d", "\U0001f3fb", "\x00"]


def random_text(draw, longest):
    if draw.random() < 0.7:
        return "".join(draw.choices(PARTS, k=draw.randint(0, longest)))
    ranges = [(0, 0x7F), (0, 0x2FF), (0x370, 0x3FF), (0x2000, 0x206F), (0, 0xD7FF), (0xE000, 0x10FFFF)]
    low, high = draw.choice(ranges)
    return "".join(chr(draw.randint(low, high)) for _ in range(draw.randint(0, longest)))


def random_pairs(count):
    """Pairs that share parts, so that there is something to count."""
    draw = random.Random(13)
    pairs = []
    for _ in range(count):
        text = random_text(draw, 24)
        other = random_text(draw, 24)
        cut = draw.randint(0, len(text))
        pairs.append((text, text[cut:] + other[:draw.randint(0, len(other))] + text[:cut]))
    return pairs


# ---- running hone

def flags(options):
    return [f"--{key}={'true' if value is True else 'false' if value is False else value}" for key, value in options.items()]


def write_rows(path, rows):
    with open(path, "w", encoding="utf-8") as file:
        for prediction, reference in rows:
            file.write(json.dumps({"prediction": prediction, "reference": reference}) + "\n")


def run(work, rows, **options):
    """The summary of hone score (without intervals unless asked for) and the rows' own scores."""
    path = f"{work}/rows.jsonl"
    write_rows(path, rows)
    options.setdefault("bootstrap-samples", 0)
    summary = json.loads(hone("score", "--pred", path, *flags(options), "--json")[0])
    lines = hone("score", "--pred", path, *flags(options), "--rows")[0]
    return summary["scores"], [json.loads(line) for line in lines.splitlines()]


def frames(mode, texts):
    data = b"".join(struct.pack("<I", len(text)) + text for text in texts)
    out = subprocess.run([TOOL, mode], input=data, capture_output=True, check=True).stdout
    found, at = [], 0
    while at < len(out):
        (size,) = struct.unpack_from("<I", out, at)
        found.append(out[at + 4:at + 4 + size].decode())
        at += 4 + size
    return found


# ---- stems, lower case, tokens

def all_words(rows):
    words = {word for row in rows for word in re.findall(r"[a-z0-9]+", (row["source"] + " " + row["target"]).lower())}
    draw = random.Random(17)
    endings = ("s", "sses", "ies", "ied", "eed", "ed", "ing", "y", "ational", "tional", "enci", "anci", "izer", "bli", "alli",
               "entli", "eli", "ousli", "ization", "ation", "ator", "alism", "iveness", "fulness", "ousness", "aliti", "iviti",
               "biliti", "fulli", "logi", "icate", "ative", "alize", "iciti", "ical", "ful", "ness", "al", "ance", "ence", "er",
               "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "sion", "tion", "ou", "ism", "ate", "iti", "ous", "ive",
               "ize", "e", "l", "ll", "at", "bl", "iz", "yy", "")
    for _ in range(200_000):
        stem = "".join(draw.choices("aeiouybcdlstwxz", k=draw.randint(0, 5)))
        words.add(stem + draw.choice(endings) + draw.choice(endings + ("",) * 40))
    words.update("sky skies dying lying tying news innings inning outings outing cannings canning howe proceed exceed succeed".split())
    return sorted(word for word in words if word)


def check_stems(checks, rows):
    words = all_words(rows)
    stemmer = PorterStemmer()
    expected = [stemmer.stem(word) for word in words]
    found = frames("stem", [word.encode() for word in words])
    wrong = [(word, a, b) for word, a, b in zip(words, found, expected) if a != b]
    checks.that("stems", not wrong and len(found) == len(words), f"{len(words)} words, {len(wrong)} differ {wrong[:3]}")


def code_points():
    """Every character beside a letter, a digit, a period, a sigma and itself."""
    for code in range(0x110000):
        if not 0xD800 <= code < 0xE000:
            c = chr(code)
            yield f"a{c}1{c}.{c}A{c}\u03a3{c} {c}{c}-{c}b\u03a3{c}z"


def check_characters(checks):
    """str.lower here is of an older Unicode than the tokenizers' tables, so it is asked only for what it has assigned."""
    import unicodedata  # pylint: disable=import-outside-toplevel
    texts = list(code_points())
    known = [text for text in texts if unicodedata.category(text[1]) not in ("Cn", "Co")]
    found = frames("lower", [text.encode() for text in known])
    wrong = [text for text, lower in zip(known, found) if lower != text.lower()]
    checks.that("lower case of every character", not wrong and len(found) == len(known), f"{len(known)} texts, {len(wrong)} differ {wrong[:3]!r}")
    for name in TOKENIZERS:
        # Only intl has tables of characters; the others tell white space from the rest.
        some = texts if name == "intl" else texts[:0x3100] + texts[0x3100::97]
        tokenize = BLEU(tokenize=name).tokenizer
        expected = [" ".join(tokenize(text.rstrip()).split()) for text in some]
        found = frames(name, [text.encode() for text in some])
        wrong = [text for text, a, b in zip(some, found, expected) if a != b]
        checks.that(f"{name}: characters", not wrong and len(found) == len(some), f"{len(some)} texts, {len(wrong)} differ {wrong[:3]!r}")


def check_tokens(checks, rows):
    draw = random.Random(19)
    texts = [random_text(draw, 30) for _ in range(30_000)]
    texts += [row[key] for row in rows[:4000] for key in ("source", "target")]
    for name in TOKENIZERS:
        tokenize = BLEU(tokenize=name).tokenizer
        expected = [" ".join(tokenize(text.rstrip()).split()) for text in texts]
        found = frames(name, [text.encode() for text in texts])
        wrong = [(text, a, b) for text, a, b in zip(texts, found, expected) if a != b]
        checks.that(f"{name}: tokens", not wrong and len(found) == len(texts), f"{len(texts)} texts, {len(wrong)} differ {wrong[:1]!r:.300}")


# ---- the libraries' scores

def rouge_rows(pairs, stem):
    scorer = rouge_scorer.RougeScorer(ROUGE, use_stemmer=stem)
    return [scorer.score_multi(reference, prediction) if isinstance(reference, list) else scorer.score(reference, prediction)
            for prediction, reference in pairs]


def check_rouge(checks, work, name, pairs):
    for stem in (False, True):
        summary, rows = run(work, pairs, metrics="rouge", stemmer=stem)
        begin = time.perf_counter()
        expected = rouge_rows(pairs, stem)
        spent = time.perf_counter() - begin
        title = f"ROUGE, {name}, {'stemmed' if stem else 'plain'}"
        for metric in ROUGE:
            means = [np.mean([row[metric][k] for row in expected]) for k in range(3)]
            found = [summary[metric][key] for key in ("precision", "recall", "value")]
            checks.close(f"{title}: {metric}, means of P, R, F", found, means, EXACT)
            checks.close(f"{title}: {metric}, rows", [row[metric] for row in rows], [row[metric].fmeasure for row in expected], EXACT)
        print(f"     ({len(pairs)} pairs, rouge-score: {spent:.1f} s)")


def as_lists(pairs):
    """References as sacrebleu wants them: a list for the first, the second ..., None where a row has no more."""
    rows = [reference if isinstance(reference, list) else [reference] for _, reference in pairs]
    return [[row[k] if k < len(row) else None for row in rows] for k in range(max(map(len, rows)))]


def check_signature(checks, title, found, expected):
    """hone names its own version and adds the number of examples."""
    found = re.sub(r"examples:\d+\|version:hone-[0-9.]+$", "", found)
    expected = re.sub(r"version:[0-9.]+$", "", str(expected))
    checks.that(f"{title}: signature", found == expected, f"{found} / {expected}")


def check_corpus(checks, work, title, pairs, metric_name, metric, options, tolerance=EXACT):
    summary, rows = run(work, pairs, metrics=metric_name, **options)
    predictions = [prediction for prediction, _ in pairs]
    expected = metric.corpus_score(predictions, as_lists(pairs)).score
    checks.close(title, [summary[metric_name]["value"]], [expected], tolerance)
    check_signature(checks, title, summary[metric_name]["signature"], metric.get_signature())
    some = list(range(0, len(pairs), max(1, len(pairs) // 300)))
    alone = [metric.corpus_score([predictions[i]], as_lists([pairs[i]])).score for i in some]
    checks.close(f"{title}: rows", [rows[i][metric_name] for i in some], alone, tolerance)


def check_bleu(checks, work, name, pairs):
    for tokenizer in TOKENIZERS:
        for k, smoothing in enumerate(SMOOTHINGS):
            lowercase = (k + TOKENIZERS.index(tokenizer)) % 2 == 1
            options = {"bleu-tokenize": tokenizer, "bleu-smooth": smoothing, "lowercase": lowercase}
            metric = BLEU(tokenize=tokenizer, smooth_method=smoothing, lowercase=lowercase)
            check_corpus(checks, work, f"BLEU, {name}, {tokenizer}, {smoothing}", pairs, "bleu", metric, options)


def check_sentence_bleu(checks, work, name, pairs):
    for smoothing, value in (("exp", -1), ("floor", -1), ("floor", 0.5), ("add-k", -1), ("add-k", 2.5), ("none", -1)):
        options = {"bleu-smooth": smoothing, "bleu-smooth-value": value}
        metric = BLEU(effective_order=True, smooth_method=smoothing, smooth_value=value if value >= 0 else None)
        summary, rows = run(work, pairs, metrics="sentence_bleu", **options)
        expected = [metric.sentence_score(prediction, reference if isinstance(reference, list) else [reference]).score
                    for prediction, reference in pairs]
        title = f"sentence BLEU, {name}, {smoothing} {value}"
        checks.close(title, [row["sentence_bleu"] for row in rows], expected, EXACT)
        checks.close(f"{title}: mean", [summary["sentence_bleu"]["value"]], [np.mean(expected)], EXACT)
        signature = str(metric.get_signature())
        if not isinstance(pairs[0][1], list):
            check_signature(checks, title, summary["sentence_bleu"]["signature"], signature)


def check_nltk_bleu(checks, work, name, pairs):
    summary, rows = run(work, pairs, metrics="nltk_bleu")
    method = SmoothingFunction().method1
    expected = [sentence_bleu([text.split() for text in (reference if isinstance(reference, list) else [reference])],
                              prediction.split(), smoothing_function=method) for prediction, reference in pairs]
    checks.close(f"NLTK BLEU, {name}", [row["nltk_bleu"] for row in rows], expected, EXACT)
    checks.close(f"NLTK BLEU, {name}: mean", [summary["nltk_bleu"]["value"]], [np.mean(expected)], EXACT)


def check_chrf(checks, work, name, pairs):
    for metric_name, words in (("chrf", 0), ("chrf++", 2)):
        for lowercase in (False, True):
            metric = CHRF(word_order=words, lowercase=lowercase)
            check_corpus(checks, work, f"{metric_name}, {name}, {'lower' if lowercase else 'mixed'} case", pairs, metric_name,
                         metric, {"lowercase": lowercase})


def squad_words(text):
    """SQuAD's normalization, as its definition says: lower case, no punctuation, no articles, split at white space."""
    kept = "".join(c for c in text.lower() if c not in set(string.punctuation))
    return re.sub(r"\b(a|an|the)\b", " ", kept).split()


def squad_f1(prediction, reference):
    a, b = squad_words(prediction), squad_words(reference)
    shared = sum((collections.Counter(a) & collections.Counter(b)).values())
    if not a or not b:
        return float(a == b)
    return 2 * shared / (len(a) + len(b))


def check_answers(checks, work, name, pairs):
    _, rows = run(work, pairs, metrics="exact_match,token_f1")
    multi = [(p, r if isinstance(r, list) else [r]) for p, r in pairs]
    checks.close(f"exact match, {name}", [row["exact_match"] for row in rows],
                 [max(squad_words(p) == squad_words(one) for one in r) for p, r in multi], 0)
    checks.close(f"token F1, {name}", [row["token_f1"] for row in rows],
                 [max(squad_f1(p, one) for one in r) for p, r in multi], EXACT)


def check_labels(checks, work):
    draw = random.Random(23)
    labels = ["positive", "negative", "Neutral", "é", "none of them"]
    pairs = [(draw.choice(labels + ["odd", " positive ", "POSITIVE"]), draw.choices(labels, weights=[5, 3, 2, 1, 1])[0]) for _ in range(997)]
    for lowercase in (False, True):
        summary, _ = run(work, pairs, metrics="accuracy,macro_f1", lowercase=lowercase)
        clean = [[text.strip().lower() if lowercase else text.strip() for text in pair] for pair in pairs]
        predicted, right = zip(*clean)
        checks.close(f"accuracy, lowercase {lowercase}", [summary["accuracy"]["value"]], [np.mean([a == b for a, b in clean])], EXACT)
        checks.close(f"macro F1, lowercase {lowercase}", [summary["macro_f1"]["value"]],
                     [f1_score(right, predicted, average="macro", zero_division=0)], EXACT)


# ---- resamples

def philox(seed, site, step, index):
    """Philox4x32-10 of Salmon et al. 2011 for an array of indices."""
    mask = np.uint64(0xFFFFFFFF)
    c = [index & mask, index >> np.uint64(32), np.full_like(index, site), np.full_like(index, step)]
    k0, k1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(p1 >> np.uint64(32)) ^ c[1] ^ np.uint64(k0), p1 & mask, (p0 >> np.uint64(32)) ^ c[3] ^ np.uint64(k1), p0 & mask]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return c


def draws(seed, samples, rows):
    """The rows of every resample, (samples, rows): floor(draw * rows / 2^64)."""
    index = np.arange((rows + 1) // 2, dtype=np.uint64)
    out = np.empty((samples, rows), dtype=np.int64)
    for sample in range(samples):
        bits = philox(seed, 0x424F4F54, sample, index)
        words = np.empty(2 * len(index), dtype=object)
        words[0::2] = [(int(high) << 32) | int(low) for low, high in zip(bits[0], bits[1])]
        words[1::2] = [(int(high) << 32) | int(low) for low, high in zip(bits[2], bits[3])]
        out[sample] = [(word * rows) >> 64 for word in words[:rows]]
    return out


def check_intervals(checks, work, pairs):
    pairs, samples, seed = pairs[:301], 200, 5_000_000_007
    path, second = f"{work}/rows.jsonl", f"{work}/second.jsonl"
    other = [(" ".join(p.split()[:7]), r) for p, r in pairs]
    write_rows(path, pairs)
    write_rows(second, other)
    options = {"metrics": "rouge1,bleu,chrf,macro_f1", "bootstrap-samples": samples, "bootstrap-seed": seed, "confidence": 0.9}
    found = json.loads(hone("score", "--pred", path, "--pred2", second, "--ref", path, *flags(options), "--json")[0])
    chosen = draws(seed, samples, len(pairs))
    values = {name: [] for name in ("rouge1", "bleu", "chrf", "macro_f1")}
    for system in (pairs, other):
        f1 = np.array([row["rouge1"].fmeasure for row in rouge_rows(system, False)])
        values["rouge1"].append(f1[chosen].mean(axis=1))
        predictions, references = [list(part) for part in zip(*system)]
        for name, metric in (("bleu", BLEU()), ("chrf", CHRF())):
            stats = np.array(metric._extract_corpus_statistics(predictions, [references]), dtype=np.float64)  # pylint: disable=protected-access
            values[name].append(np.array([metric._compute_score_from_stats(list(stats[rows].sum(0))).score for rows in chosen]))  # pylint: disable=protected-access
        stripped = [np.array([text.strip() for text in part]) for part in (predictions, references)]
        values["macro_f1"].append(np.array([f1_score(stripped[1][rows], stripped[0][rows], average="macro", zero_division=0) for rows in chosen]))
    for name, (first, after) in values.items():
        for key, sampled in (("scores", first), ("second", after)):
            checks.close(f"interval of {name}, {key}", [found[key][name]["low"], found[key][name]["high"]],
                         np.percentile(sampled, [5, 95]), EXACT)
        change = after - first
        better, worse = (change > 0).sum(), (change < 0).sum()
        p = min(1, 2 * min(samples - better + 1, samples - worse + 1) / (samples + 1))
        compared = found["comparison"][name]
        checks.close(f"comparison of {name}", [compared["low"], compared["high"], compared["wins"], compared["p_value"]],
                     [*np.percentile(change, [5, 95]), (better + (samples - better - worse) / 2) / samples, p], EXACT)


def check_against_other_draws(checks, work, pairs):
    """The libraries draw otherwise: intervals must agree but for chance."""
    pairs = pairs[:2000]
    path = f"{work}/rows.jsonl"
    write_rows(path, pairs)
    found = json.loads(hone("score", "--pred", path, "--metrics", "rouge1,bleu", "--json")[0])["scores"]
    predictions, references = [list(part) for part in zip(*pairs)]
    score = BLEU().corpus_score(predictions, [references], n_bootstrap=1000)
    half = (found["bleu"]["high"] - found["bleu"]["low"]) / 2
    checks.that("width of BLEU's interval beside sacrebleu's", abs(half / score._ci - 1) < 0.12, f"{half:.3f}, {score._ci:.3f}")  # pylint: disable=protected-access
    aggregator = rouge_scoring.BootstrapAggregator()
    np.random.seed(1)
    for row in rouge_rows(pairs, False):
        aggregator.add_scores({"rouge1": row["rouge1"]})
    theirs = aggregator.aggregate()["rouge1"]
    width = theirs.high.fmeasure - theirs.low.fmeasure
    off = max(abs(found["rouge1"]["low"] - theirs.low.fmeasure), abs(found["rouge1"]["high"] - theirs.high.fmeasure))
    checks.that("ROUGE's interval beside rouge-score's", off < 0.12 * width, f"off by {off:.5f} of a width of {width:.5f}")


def measure(work, pairs):
    path = f"{work}/rows.jsonl"
    write_rows(path, pairs)
    for metrics in ("rouge,bleu", "rouge,bleu,sentence_bleu,nltk_bleu,chrf,chrf++,exact_match,token_f1,accuracy,macro_f1"):
        for samples in (0, 1000):
            begin = time.perf_counter()
            hone("score", "--pred", path, "--metrics", metrics, "--stemmer", "--bootstrap-samples", samples, "--json")
            print(f"     {len(pairs)} pairs, {metrics}, {samples} resamples: {time.perf_counter() - begin:.2f} s")


# ---- golden copies

GOLDEN_TEXTS = [
    ("", ["x"]), ("x", [""]), ("", [""]), ("the", ["a"]), ("the cat sat on the mat", ["the cat is on the mat"]),
    ("The Cat.", ["the cat"]), ("one", ["one one one"]), ("x y z", ["z y x"]), ("a a a b", ["a b b b", "a a c"]),
    ("He paid $1,000.50 (in cash), twice-over -- 3-4 times.", ["He paid 1,000.50 dollars, in cash, 3-4 times..."]),
    ("&quot;Tom &amp; Jerry&quot; &lt;b&gt; don't", ["\"Tom & Jerry\" <b> don't"]), ("state-of-the-\nart", ["state-of-the-art", "state of the art"]),
    ("first line here\nsecond line there\nthird", ["second line here\nfirst third line", "third\nfirst line"]),
    ("a b a b c\nc a", ["b a\na b c a\n\nc"]), ("Kelvin İstanbul café", ["kelvin i stanbul caf", "kelvin istanbul CAFÉ"]),
    ("ΟΔΟΣ ΣΑΣ ΑΣ'Α", ["οδος σας ας'α"]), ("価格は1,000円です。", ["価格は1,000円。", "値段は千円です。"]), ("naïve «quotes» – dashes…", ["naive \"quotes\" - dashes..."]),
    ("running runners ran happily through the organizations", ["the organization's runner runs happily"]),
    ("generalization relational conditional valenci digitizer conformably radically differently vilely analogously", ["generalize relate condition valence digitize conform radical different vile analogous"]),
    ("dying skies flies flied agreed feed hopping falling hissing fizzed failing filing", ["die sky fly fly agree feed hop fall hiss fizz fail file"]),
    ("1 2 3 4 5 6 7 8 9", ["1 2 3 4 5 6 7 8 9"]), ("same words in every place of it", ["same words in every place of it", "other"]),
    ("one two three four five", ["one two three four six seven", "one two three four"]), ("a b", ["a b\na b"]), ("b\na b\nc", ["a b\nc b\nb"]),
    ("theatre", ["atre"]), ("éa", ["é"]), ("aé", ["é"]), ("b the é a-b", ["b é ab"]), ("a b", ["a b c d", "a"]), ("an answer, the Answer!", ["answer answer"]), ("(hi) 'quoted' word, x", ["hi quoted word x"]), ("tab\tand\u00a0nbsp\u2003space", ["tab and nbsp space"]),
]
GOLDEN_STEMS = """sky skies dying lying tying news innings outing cannings howe proceed exceed succeed caresses ponies ties caress cats dies flies
died spied feed agreed plastered bled motoring sing conflated troubled sized hopping tanned falling hissing fizzed failing filing happy sky enjoy
spy by syzygy yyyy relational conditional rational valenci hesitanci digitizer conformabli radicalli differentli vileli analogousli vietnamization
predication operator feudalism decisiveness hopefulness callousness formaliti sensitiviti sensibiliti hopefulli geologi archaeologi triplicate formative
formalize electriciti electrical hopeful goodness revival allowance inference airliner gyroscopic adjustable defensible irritant replacement adjustment
dependent adoption homologou communism activate angulariti homologous effective bowdlerize probate rate cease controll roll oed ing eed ied es 2nd x86s
rationalli organizationalli conditionalli owing use using used sion tion nation""".split()


def golden_rows():
    for prediction, references in GOLDEN_TEXTS:
        row = {"prediction": prediction, "references": references}
        for stem in (False, True):
            found = rouge_rows([(prediction, references)], stem)[0]
            row["rouge_stemmed" if stem else "rouge"] = {name: list(map(float, found[name])) for name in ROUGE}
        for tokenizer, smoothing, lowercase in (("13a", "exp", False), ("intl", "floor", True), ("char", "add-k", False), ("none", "none", True)):
            name = f"{tokenizer},{smoothing},{'true' if lowercase else 'false'}"
            options = {"tokenize": tokenizer, "smooth_method": smoothing, "lowercase": lowercase}
            row[f"bleu,{name}"] = BLEU(**options).corpus_score([prediction], [[r] for r in references]).score
            row[f"sentence_bleu,{name}"] = BLEU(effective_order=True, **options).sentence_score(prediction, references).score
        row["nltk_bleu"] = float(sentence_bleu([r.split() for r in references], prediction.split(), smoothing_function=SmoothingFunction().method1))
        row["chrf"] = CHRF().corpus_score([prediction], [[r] for r in references]).score
        row["chrf++"] = CHRF(word_order=2).corpus_score([prediction], [[r] for r in references]).score
        row["exact_match"] = float(max(squad_words(prediction) == squad_words(r) for r in references))
        row["token_f1"] = max(squad_f1(prediction, r) for r in references)
        row["tokens"] = {name: " ".join(BLEU(tokenize=name).tokenizer(prediction.rstrip()).split()) for name in TOKENIZERS}
        yield row


def golden_files():
    stemmer = PorterStemmer()
    return {"scores.jsonl": "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in golden_rows()),
            "stems.txt": "".join(f"{word} {stemmer.stem(word)}\n" for word in GOLDEN_STEMS)}


def check_golden(checks):
    for name, content in golden_files().items():
        with open(f"{GOLDEN}/{name}", encoding="utf-8") as file:
            checks.that(f"golden {name}", file.read() == content, "" if content else "empty")


def write_golden():
    os.makedirs(GOLDEN, exist_ok=True)
    for name, content in golden_files().items():
        with open(f"{GOLDEN}/{name}", "w", encoding="utf-8") as file:
            file.write(content)


def main():
    if sys.argv[1:] == ["--write"]:
        write_golden()
        return
    checks = Checks()
    rows = real_rows()
    pairs, strange = real_pairs(rows), random_pairs(3000)
    multi = [(p, [r, pairs[i - 1][1], pairs[i - 2][0]][:1 + i % 3]) for i, (p, r) in enumerate(pairs[:900])]
    multi += [(p, [r, strange[i - 1][0]]) for i, (p, r) in enumerate(strange[:300])]
    print(f"{HONE}, sacrebleu {sacrebleu.__version__}")
    with tempfile.TemporaryDirectory(prefix="hone-metric-") as work:
        checks.part("golden", check_golden)
        checks.part("stems", check_stems, rows)
        checks.part("characters", check_characters)
        checks.part("tokens", check_tokens, rows)
        for name, some in (("10,000 real pairs", pairs), ("random pairs", strange), ("several references", multi)):
            checks.part(f"rouge, {name}", check_rouge, work, name, some)
        for name, some in (("real pairs", pairs[:1000]), ("random pairs", strange[:1000]), ("several references", multi[::3])):
            checks.part(f"bleu, {name}", check_bleu, work, name, some)
            checks.part(f"sentence bleu, {name}", check_sentence_bleu, work, name, some)
            checks.part(f"nltk bleu, {name}", check_nltk_bleu, work, name, some)
            checks.part(f"chrf, {name}", check_chrf, work, name, some)
            checks.part(f"answers, {name}", check_answers, work, name, some)
        checks.part("labels", check_labels, work)
        checks.part("intervals", check_intervals, work, pairs)
        checks.part("other draws", check_against_other_draws, work, pairs)
        measure(work, pairs)
    checks.finish()


if __name__ == "__main__":
    main()
