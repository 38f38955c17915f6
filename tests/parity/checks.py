"""Counting checks, and running the program under test."""

import json
import os
import subprocess
import sys
import time

HONE = os.environ.get("HONE_BIN", "build/hone")
SHARED = os.environ.get("HONE_SHARED", "../shared")


class Checks:
    def __init__(self):
        self.passed, self.failed, self.begin = 0, 0, time.monotonic()

    def that(self, name, right, detail=""):
        if right:
            self.passed += 1
            print(f"ok   {name}{': ' if detail else ''}{detail}")
        else:
            self.failed += 1
            print(f"FAIL {name}: {detail}")
        return right

    def close(self, name, found, expected, tolerance):
        """Largest difference of two sequences of numbers, which must be as long as each other."""
        found, expected = list(map(float, found)), list(map(float, expected))
        if len(found) != len(expected):
            return self.that(name, False, f"{len(found)} values, expected {len(expected)}")
        # A NaN makes the comparison false, as it should.
        worst = max((abs(a - b) for a, b in zip(found, expected)), default=float("nan"))
        if any(value != value for value in found):
            worst = float("nan")
        return self.that(name, worst <= tolerance, f"off by {worst:.2g}, allowed {tolerance:g}")

    def part(self, name, function, *arguments):
        """Runs a group of checks; an exception is one failure, and later groups still run."""
        try:
            function(self, *arguments)
        except Exception as error:  # pylint: disable=broad-except
            self.that(name, False, f"{type(error).__name__}: {error}")

    def finish(self):
        print(f"{time.monotonic() - self.begin:.0f} s")
        print(f"{self.passed} passed, {self.failed} failed")
        sys.exit(0 if self.failed == 0 and self.passed > 0 else 1)


class HoneFailed(Exception):
    pass


def hone(*arguments, expect=0):
    """Standard output and standard error of one command."""
    command = [HONE, *map(str, arguments)]
    ended = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                           check=False)
    if ended.returncode != expect:
        raise HoneFailed(f"exit code {ended.returncode}, expected {expect}: {' '.join(command)}\n"
                         f"{ended.stderr[-2000:]}")
    return ended.stdout, ended.stderr


def tiny_model(name):
    """A trained tiny model, from wherever it is at hand; None without."""
    for folder in (f"{SHARED}/models/{name}", "models/" + name):
        if os.path.exists(f"{folder}/config.json"):
            return os.path.abspath(folder)
    return None


def read_jsonl(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]
