"""Run hone and its peers in turn on one machine, and print markdown tables of ratios.

usage: side_by_side.py WORK_DIR [--hone PROGRAM] [--steps N] [--rounds N] [--only NAME...]
                       [--peers-only] [--raw FILE]

WORK_DIR gets GPT-2 124M with random weights (make_gpt2_124m.py). Each job goes round: hone, PyTorch
as installed, tuned (tcmalloc), compiled (and tuned), then the next round; the best step of all
rounds counts. Every raw result is written to FILE as jsonl.
"""

import argparse
import json
import os
import subprocess
import sys

import hone_step
from measure import read_rows

HERE = os.path.dirname(os.path.abspath(__file__))
TCMALLOC = "libtcmalloc_minimal.so.4"

# name, method, type, peers
STEPS = [
    ("LoRA, f32", "lora", "f32", ("installed", "tuned", "compiled")),
    ("LoRA, bf16", "lora", "bf16", ("tuned", "compiled")),
    ("IA3, f32", "ia3", "f32", ("tuned",)),
    ("full, f32", "full", "f32", ("tuned",)),
    ("full, bf16", "full", "bf16", ("tuned",)),
]
DECODING = [(f"decoding, {dtype}, batch {batch}", dtype, batch)
            for dtype in ("f32", "bf16") for batch in (1, 8)]


def processor():
    facts = {}
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            key, _, value = line.partition(":")
            facts.setdefault(key.strip(), value.strip())
    flags = facts.get("flags", "").split()
    kinds = [flag for flag in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16")
             if flag in flags]
    return f"{facts.get('model name', '?')} (family {facts.get('cpu family', '?')}, model " \
           f"{facts.get('model', '?')}), {os.cpu_count()} cores, {' '.join(kinds)}"


def peer(script, *arguments, tuned=False):
    environment = dict(os.environ, TOKENIZERS_PARALLELISM="false")
    if tuned:
        environment["LD_PRELOAD"] = TCMALLOC
    ended = subprocess.run([sys.executable, f"{HERE}/{script}", *map(str, arguments)], text=True,
                           env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                           stdin=subprocess.DEVNULL, check=False)
    if ended.returncode != 0:
        raise RuntimeError(f"{script}: {ended.stderr[-2000:]}")
    return json.loads(ended.stdout.splitlines()[-1])


def best_of(results, key, largest=False):
    results = [result for result in results if result]
    if not results:
        return None
    return (max if largest else min)(results, key=lambda result: result[key])


def gib(result):
    return result["peak_rss_bytes"] / 2**30


class Bench:
    def __init__(self, options):
        self.options = options
        self.rows = f"{options.work}/rows.jsonl"
        self.raw = open(options.raw, "a", encoding="utf-8") if options.raw else None

    def keep(self, result, kind):
        result["kind"] = kind
        if self.raw:
            self.raw.write(json.dumps(result) + "\n")
            self.raw.flush()
        print(f"  {json.dumps(result)}", file=sys.stderr, flush=True)
        return result

    def hone(self, function, *arguments):
        if self.options.peers_only:
            return None
        return self.keep(function(self.options.hone, self.options.work, *arguments), "hone")

    def step_job(self, method, dtype, peers):
        results = {kind: [] for kind in ("hone", *peers)}
        steps = self.options.steps
        for _ in range(self.options.rounds):
            results["hone"].append(
                self.hone(hone_step.step, self.rows, method, dtype, 2 * steps))
            for kind in peers:
                extra = ["--compile"] if kind == "compiled" else []
                results[kind].append(self.keep(peer(
                    "peer_step.py", self.options.work, self.rows, "--method", method, "--dtype",
                    dtype, "--dropout", 0, "--steps", steps, *extra,
                    tuned=kind != "installed"), kind))
        return {kind: best_of(list_, "best_seconds") for kind, list_ in results.items()}

    def decode_job(self, dtype, batch):
        rows = read_rows(self.rows)
        ours = [self.hone(hone_step.decode, rows, batch, dtype)
                for _ in range(self.options.rounds)]
        theirs = [self.keep(peer("peer_decode.py", self.options.work, self.rows, "--batch", batch,
                                 "--dtype", dtype, tuned=True), "tuned")
                  for _ in range(self.options.rounds)]
        return (best_of(ours, "best_tokens_per_second", True),
                best_of(theirs, "best_tokens_per_second", True))


def step_rows(name, results):
    ours = results["hone"]
    for kind, theirs in results.items():
        if kind == "hone":
            continue
        cells = [name, kind, f"{theirs['best_seconds']:.2f}", f"{gib(theirs):.2f}",
                 f"{theirs['first_step_seconds']:.1f}"]
        if ours:
            cells += [f"{ours['best_seconds']:.2f}", f"{gib(ours):.2f}",
                      f"{ours['first_step_seconds']:.1f}",
                      f"**{theirs['best_seconds'] / ours['best_seconds']:.2f}**",
                      f"{gib(ours) / gib(theirs):.2f}"]
        else:
            cells += ["-"] * 5
        busy = max(result["cores_busy_elsewhere"] for result in (ours, theirs) if result)
        yield cells + [f"{busy:.1f}"]


def print_table(head, rows):
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print(flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("work")
    parser.add_argument("--hone", default=f"{HERE}/../../build/hone")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", nargs="*", help="parts of names of jobs")
    parser.add_argument("--peers-only", action="store_true")
    parser.add_argument("--raw")
    options = parser.parse_args()
    bench = Bench(options)

    def wanted(name):
        return not options.only or any(part in name for part in options.only)

    products = peer("peer_products.py")
    print(f"{processor()}. Products of 2048 x 768 x 768 by PyTorch's oneDNN: "
          f"f32 {products['f32']:.0f}, bf16 {products['bf16']:.0f} GFLOP/s.\n")
    table = []
    for name, method, dtype, peers in STEPS:
        if wanted(name):
            table += step_rows(name, bench.step_job(method, dtype, peers))
    if table:
        print_table(["GPT-2 124M, 4 x 512", "PyTorch + PEFT", "s/step", "GiB", "step 1 done, s",
                     "hone s/step", "GiB", "step 1 done, s", "times faster", "of its memory",
                     "cores busy elsewhere"], table)
    table = []
    for name, dtype, batch in DECODING:
        if wanted(name):
            ours, theirs = bench.decode_job(dtype, batch)
            rates = [result["best_tokens_per_second"] for result in (theirs, ours) if result]
            cells = [name] + [f"{rate:.1f}" for rate in rates]
            cells += [f"**{rates[1] / rates[0]:.2f}**"] if ours else ["-", "-"]
            table.append(cells)
    if table:
        print_table(["GPT-2 124M, greedy", "Transformers, tokens/s", "hone, tokens/s",
                     "times faster"], table)


if __name__ == "__main__":
    main()
