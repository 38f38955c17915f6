"""Write data/demo/{train,valid}.jsonl from the King James Bible.

usage: make_demo_data.py bible-kjv.jsonl OUT_DIR

The input has one verse a line ({"text": ...}), made from Debian's package sword-text-kjv (any text
in that form will do). Verses are joined into passages of about 700 characters; every twentieth
passage is for validation. Left out are paragraph marks, rows of front matter (no verse is that
long), and what goes past the size that a demo needs.
"""

import json
import sys

LONGEST_VERSE = 1000
PASSAGE = 700
BYTES = 1_600_000


def passages(path):
    with open(path, encoding="utf-8") as file:
        verses = [json.loads(line)["text"].replace("¶", "").strip() for line in file]
    passage = ""
    for verse in verses:
        if len(verse) > LONGEST_VERSE:
            continue
        passage = f"{passage} {verse}" if passage else verse
        if len(passage) >= PASSAGE:
            yield passage
            passage = ""


def main():
    source, out = sys.argv[1:]
    written = 0
    with open(f"{out}/train.jsonl", "w", encoding="utf-8") as train, \
         open(f"{out}/valid.jsonl", "w", encoding="utf-8") as valid:
        for number, passage in enumerate(passages(source)):
            line = json.dumps({"text": passage}, ensure_ascii=False) + "\n"
            written += len(line.encode())
            if written > BYTES:
                break
            (valid if number % 20 == 19 else train).write(line)


if __name__ == "__main__":
    main()
