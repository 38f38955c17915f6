"""Run hone and its peers in turn on one machine, and print markdown tables of ratios.

usage: side_by_side.py WORK_DIR [--hone PROGRAM] [--steps N] [--rounds N] [--only NAME...]
                       [--list] [--peers-only] [--raw FILE] [options of make_models.py]

Jobs and models are those of models.py; make_models.py puts the models that are needed into
WORK_DIR. Each job goes round: hone, PyTorch as installed, tuned (tcmalloc), compiled (and tuned),
then the next round; the best of all rounds counts. Every raw result is written to FILE as jsonl.
"""

import argparse
import json
import os
import subprocess
import sys

import hone_step
from measure import read_rows
from models import DECODINGS, MODELS, STEPS, job_size, title

HERE = os.path.dirname(os.path.abspath(__file__))
TCMALLOC = "libtcmalloc_minimal.so.4"

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
        self.raw = open(options.raw, "a", encoding="utf-8") if options.raw else None

    def folder(self, job):
        return f"{self.options.work}/{job.model}"

    def keep(self, result, job, kind):
        result.update(job=title(job), kind=kind)
        if self.raw:
            self.raw.write(json.dumps(result) + "\n")
            self.raw.flush()
        print(f"  {json.dumps(result)}", file=sys.stderr, flush=True)
        return result

    def hone(self, function, rows, job, *arguments):
        if self.options.peers_only:
            return None
        return self.keep(function(self.options.hone, self.folder(job), rows, job, *arguments),
                         job, "hone")

    def step_job(self, job):
        """The best result of hone and of each peer."""
        uneven = job.rows == "synopsis"
        rows = f"{self.folder(job)}/{job.rows}.jsonl"
        steps = self.options.steps * (2 if uneven else 1)  # each batch differs
        results = {kind: [] for kind in ("hone", *job.peers)}
        for _ in range(self.options.rounds):
            results["hone"].append(self.hone(hone_step.step, rows, job, steps))
            for kind in job.peers:
                extra = ["--compile"] if kind == "compiled" else []
                results[kind].append(self.keep(peer(
                    "peer_step.py", self.folder(job), rows, "--method", job.method, "--dtype",
                    job.dtype, "--batch", job.batch, "--dropout", 0, "--steps", steps, *extra,
                    tuned=kind != "installed"), job, kind))
        key = "examples_per_second" if uneven else "best_seconds"
        return {kind: best_of(list_, key, uneven) for kind, list_ in results.items()}

    def decode_job(self, job):
        path = f"{self.folder(job)}/random.jsonl"
        rows = read_rows(path)
        results = {kind: [] for kind in ("hone", *job.peers)}
        for _ in range(self.options.rounds):
            results["hone"].append(self.hone(hone_step.decode, rows, job))
            for kind in job.peers:
                results[kind].append(self.keep(peer(
                    "peer_decode.py", self.folder(job), path, "--engine", kind, "--batch",
                    job.batch, "--dtype", job.dtype, "--prompt", job.prompt, tuned=True),
                    job, kind))
        return {kind: best_of(list_, "best_tokens_per_second", True)
                for kind, list_ in results.items()}


def compare(name, results, cells_of, speed):
    """Rows of a table: each peer beside hone, the ratio of their speeds and of their memory."""
    ours = results["hone"]
    for kind, theirs in results.items():
        if kind == "hone":
            continue
        cells = [name, kind, *cells_of(theirs)]
        if ours:
            cells += [*cells_of(ours), f"**{speed(ours) / speed(theirs):.2f}**",
                      f"{gib(ours) / gib(theirs):.2f}"]
        else:
            cells += ["-"] * (len(cells_of(theirs)) + 2)
        busy = max(result["cores_busy_elsewhere"] for result in (ours, theirs) if result)
        yield cells + [f"{busy:.1f}"]


def print_table(head, rows):
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print(flush=True)


# what is measured, its columns, their cells, what is compared
KINDS = {
    "steps": (["s/step", "GiB", "step 1 done, s"],
              lambda r: [f"{r['best_seconds']:.2f}", f"{gib(r):.2f}",
                         f"{r['first_step_seconds']:.1f}"],
              lambda r: 1 / r["best_seconds"]),
    "examples": (["examples/s", "GiB", "step 1 done, s"],
                 lambda r: [f"{r['examples_per_second']:.2f}", f"{gib(r):.2f}",
                            f"{r['first_step_seconds']:.1f}"],
                 lambda r: r["examples_per_second"]),
    "tokens": (["tokens/s", "GiB"],
               lambda r: [f"{r['best_tokens_per_second']:.1f}", f"{gib(r):.2f}"],
               lambda r: r["best_tokens_per_second"]),
}


def run_table(first, jobs, kind, run):
    """Jobs of one table, under a head that begins with `first`."""
    columns, cells_of, speed = KINDS[kind]
    rows = [row for job in jobs for row in compare(job.name, run(job), cells_of, speed)]
    if rows:
        print_table([first, "peer", *columns, *[f"hone: {column}" for column in columns],
                     "times faster", "of its memory", "cores busy elsewhere"], rows)


def run_all(bench, steps, decodings):
    groups = {}
    for job in steps:
        groups.setdefault((MODELS[job.model].title, job_size(job)), []).append(job)
    for (model, size), jobs in groups.items():
        kind = "examples" if jobs[0].rows == "synopsis" else "steps"
        run_table(f"{model}, {size}", jobs, kind, bench.step_job)
    for name, model in MODELS.items():
        run_table(f"{model.title}, greedy", [job for job in decodings if job.model == name],
                  "tokens", bench.decode_job)


def missing_rows(options, job):
    """No file of synopses, or no tokenizer for them: said once, and left out."""
    path = f"{options.work}/{job.model}/{job.rows}.jsonl"
    if os.path.exists(path):
        return False
    print(f"left out: {title(job)}: no {path} (see --synopses and --spiece)", file=sys.stderr)
    return True


def make_models(options, jobs):
    names = sorted({job.model for job in jobs})
    flags = []
    for flag in ("tokenizer", "synopses", "spiece"):
        if getattr(options, flag):
            flags += [f"--{flag}", getattr(options, flag)]
    for name in sorted({job.model for job in jobs if "ctranslate2" in job.peers}):
        flags += ["--ctranslate2", name]
    if names:
        subprocess.run([sys.executable, f"{HERE}/make_models.py", options.work, *names, *flags],
                       check=True, stdout=sys.stderr, stdin=subprocess.DEVNULL)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("work")
    parser.add_argument("--hone", default=f"{HERE}/../../build/hone")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", nargs="*", help="parts of names of jobs")
    parser.add_argument("--list", action="store_true", help="print the names and end")
    parser.add_argument("--peers-only", action="store_true")
    parser.add_argument("--raw")
    for flag in ("--tokenizer", "--synopses", "--spiece"):
        parser.add_argument(flag, help="for make_models.py")
    options = parser.parse_args()

    def wanted(jobs):
        return [job for job in jobs
                if not options.only or any(part in title(job) for part in options.only)]

    steps, decodings = wanted(STEPS), wanted(DECODINGS)
    if options.list or not steps + decodings:
        print("\n".join(title(job) for job in STEPS + DECODINGS))
        sys.exit(0 if options.list else "no job has such a name")
    make_models(options, steps + decodings)
    steps = [job for job in steps if not missing_rows(options, job)]
    products = peer("peer_products.py")
    print(f"{processor()}. Products of 2048 x 768 x 768 by PyTorch's oneDNN: "
          f"f32 {products['f32']:.0f}, bf16 {products['bf16']:.0f} GFLOP/s.\n")
    run_all(Bench(options), steps, decodings)


if __name__ == "__main__":
    main()
