#!/usr/bin/env python3
"""Draws the bundled summarization pairs (data/synopsis/) from all description -> synopsis pairs.

usage: make_pairs.py debian-synopsis.jsonl.zst OUT_DIR [train] [valid]

Packages of one source share paragraphs, so a random split would put near-copies of a validation
text into the training part. Texts are therefore joined into groups: two texts belong together when
they share a paragraph, a line of 60 characters or more, or their first five words. A group is
drawn whole; groups of more than 8 texts (boilerplate of large families) are never validation.
One text of each validation group is kept, so that no family counts twice. The draw depends on
the texts alone. Also writes OUT_DIR/held-out.txt: the lines of the validation texts, for whoever
pretrains on the same corpus and must leave them out."""
import hashlib
import json
import subprocess
import sys
from collections import defaultdict


def read(path):
    text = subprocess.run(["zstdcat", path], check=True, capture_output=True).stdout.decode()
    return [json.loads(line) for line in text.splitlines()]


def marks(row):
    """What two near-copies share."""
    source = row["source"]
    for paragraph in source.split("\n\n"):
        words = " ".join(paragraph.split()).lower()
        if len(words) >= 40:
            yield "p" + words
    for line in source.split("\n"):
        if len(line) >= 60:
            yield "l" + line.lower()
    yield "f" + " ".join(source.lower().split()[:5])
    yield "t" + row["target"].lower()


def groups(rows):
    parent = list(range(len(rows)))

    def find(i):
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    first = {}
    for i, row in enumerate(rows):
        for mark in marks(row):
            other = find(first.setdefault(mark, i))
            parent[find(i)] = other
    found = defaultdict(list)
    for i in range(len(rows)):
        found[find(i)].append(i)
    return list(found.values())


def draw(key):
    return hashlib.sha256(key.encode()).hexdigest()


def write(path, rows):
    with open(path, "w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps({"source": row["source"], "target": row["target"]},
                                  ensure_ascii=False) + "\n")


def main():
    rows = read(sys.argv[1])
    out = sys.argv[2]
    train_count = int(sys.argv[3]) if len(sys.argv) > 3 else 5000
    valid_count = int(sys.argv[4]) if len(sys.argv) > 4 else 500
    rows = [row for row in rows if 100 <= len(row["source"]) <= 1200 and len(row["target"]) >= 12]
    found = sorted(groups(rows), key=lambda g: draw(rows[g[0]]["source"]))
    valid, taken = [], set()
    for number, group in enumerate(found):
        if len(valid) == valid_count:
            break
        if len(group) <= 8:
            valid.append(rows[min(group, key=lambda i: draw(rows[i]["source"]))])
            taken.add(number)
    rest = [rows[i] for number, group in enumerate(found) if number not in taken for i in group]
    train = sorted(rest, key=lambda row: draw(row["source"]))[:train_count]
    write(f"{out}/train.jsonl", train)
    write(f"{out}/valid.jsonl", valid)
    with open(f"{out}/held-out.txt", "w", encoding="utf-8") as file:
        lines = {line for number in taken for i in found[number]
                 for line in rows[i]["source"].split("\n") if len(line) >= 40}
        file.write("\n".join(sorted(lines)) + "\n")
    print(f"{len(rows)} pairs in {len(found)} groups; {len(train)} for training, "
          f"{len(valid)} for validation")


main()
