"""Time hone's training steps and decoding from outside, with the figures of peer_step.py and
peer_decode.py. Used by side_by_side.py."""

import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time

from measure import Neighbours
from models import MODELS


def run_and_watch(command, log_path):
    """Runs a command; seconds until log_path has its first line, the exit code, and peak RSS."""
    first = None
    begin = time.perf_counter()
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=errors)
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if first is None and os.path.exists(log_path) and os.path.getsize(log_path) > 0:
                first = time.perf_counter() - begin
            if pid:
                break
            time.sleep(0.005)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            errors.seek(0)
            raise RuntimeError(f"{' '.join(command)}\n{errors.read().decode()[-2000:]}")
    return first, usage.ru_maxrss * 1024


def step(hone, model, rows, job, steps, options=()):
    """Steps of a job of models.py, in the order of the rows, as the peers' are."""
    out = tempfile.mkdtemp(prefix="hone-bench-")
    shutil.rmtree(out)
    command = [hone, "train", "--model", model, "--train", rows, "--out", out,
               "--method", job.method, "--compute", job.dtype, "--max-steps", str(steps),
               "--batch-size", str(job.batch), "--shuffle", "false", "--threads", "2",
               "--model-dropout", "0", "--lr-scheduler-type", "constant", "--warmup-ratio", "0",
               "--learning-rate", "1e-4", "--append-eos", "false", *options]
    if job.method == "lora":
        command += ["--r", "8", "--lora-alpha", "16",
                    "--target-modules", MODELS[job.model].targets]
    try:
        neighbours = Neighbours()
        first, peak = run_and_watch(command, f"{out}/log.jsonl")
        with open(f"{out}/log.jsonl", encoding="utf-8") as file:
            log = [json.loads(line) for line in file]
    finally:
        shutil.rmtree(out, ignore_errors=True)
    steady = [row["seconds"] for row in log[1:]] or [log[0]["seconds"]]
    return {"program": "hone", "method": job.method, "dtype": job.dtype,
            "best_seconds": min(steady), "median_seconds": statistics.median(steady),
            "examples_per_second": job.batch * len(steady) / sum(steady),
            "first_step_seconds": first, "peak_rss_bytes": peak, "last_loss": log[-1]["loss"],
            "tokens": sum(row["tokens"] for row in log),
            "cores_busy_elsewhere": neighbours.busy_cores()}


def decode(hone, model, rows, job, tokens=128, repeats=3):
    """From two lengths, so that neither start-up nor prompts or sources are counted."""
    key = "source_ids" if MODELS[job.model].encoder_decoder else "ids"
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
        for row in rows[:job.batch]:
            file.write(json.dumps({key: row[key][:job.prompt]}) + "\n")
        file.flush()

        def seconds(count):
            command = [hone, "generate", "--model", model, "--data", file.name, "--json",
                       "--compute", job.dtype, "--temperature", "0", "--threads", "2",
                       "--min-new-tokens", str(count), "--max-new-tokens", str(count),
                       "--decode-batch-size", str(job.batch)]
            begin = time.perf_counter()
            peak = run_and_watch(command, "/nonexistent")[1]
            return time.perf_counter() - begin, peak

        neighbours = Neighbours()
        short = min(seconds(8)[0] for _ in range(repeats))
        longer = [seconds(8 + tokens) for _ in range(repeats)]
    best = min(longer)
    return {"program": "hone", "batch": job.batch, "dtype": job.dtype, "peak_rss_bytes": best[1],
            "best_tokens_per_second": job.batch * tokens / (best[0] - short),
            "cores_busy_elsewhere": neighbours.busy_cores()}
