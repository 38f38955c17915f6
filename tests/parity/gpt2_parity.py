"""GPT-2: hone's command line against Transformers and PEFT.

The odd tiny models (made anew by make_models.py, and compared with the committed copies) and
tiny-gpt2 with real text. Logits, losses of 20 steps, adapters in both directions, merging,
micro-batches, greedy generation. Gradients come from tests/support/dump_gradients.c, after three
runs on the same memory, with gradient checkpointing and without.
"""

import json
import os
import shutil
import subprocess
import tempfile

import make_models
import oracle
import safetensors.torch
import torch
from checks import SHARED, Checks, hone, read_jsonl
from peft import IA3Config, LoraConfig

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
METHODS = ("lora", "ia3", "full")
TOLERANCE = 1e-4
GRADIENT_TOLERANCE = 1e-3
DUMP_GRADIENTS = f"{os.environ.get('HONE_BUILD', f'{ROOT}/build')}/tests/support/dump_gradients"


def train(model, rows, out, method, facts, *options):
    """The training of make_models.py by hone; its log."""
    hone("train", "--model", model, "--train", rows, "--out", out, "--method", method,
         "--max-steps", facts["steps"], "--batch-size", facts["batch_size"],
         "--learning-rate", facts["learning_rate"], "--weight-decay", facts["weight_decay"],
         "--max-grad-norm", facts["max_grad_norm"], "--lr-scheduler-type", "constant",
         "--warmup-ratio", 0, "--model-dropout", 0, "--shuffle", "false", "--append-eos", "false",
         *options)
    return read_jsonl(f"{out}/log.jsonl")


def evaluate(model, rows, out, *options):
    """Summary of `hone eval`, and the log-probabilities of each document without the first null."""
    summary, _ = hone("eval", "--model", model, "--data", rows, "--logprobs", out, "--json",
                      "--append-eos", "false", *options)
    return json.loads(summary), [row["logprobs"][1:] for row in read_jsonl(out)]


def trained_folder(run):
    for name in ("adapter", "model"):
        if os.path.isdir(f"{run}/{name}"):
            return f"{run}/{name}"
    raise FileNotFoundError(f"no trained folder in {run}: {os.listdir(run)}")


def flat(documents):
    return [value for document in documents for value in document]


def oracle_logprobs(model, rows):
    return flat(oracle.logprobs(model, ids) for ids, _ in rows)


def check_fresh(checks, name, golden):
    """The committed copy says what this oracle says."""
    new = safetensors.torch.load_file(f"{name}/golden.safetensors")
    old = safetensors.torch.load_file(f"{golden}/{name}/golden.safetensors")
    checks.that(f"{name}: committed copy has the same tensors", set(new) == set(old))
    checks.close(f"{name}: committed copy has the same values",
                 torch.cat([new[key].flatten().float() for key in sorted(new)]),
                 torch.cat([old[key].flatten().float() for key in sorted(old)]), 2e-5)


def check_forward(checks, name, rows_file):
    model, rows = oracle.open_base(name), oracle.read_rows(rows_file)
    summary, found = evaluate(name, rows_file, "logprobs.jsonl")
    name = os.path.basename(name)
    checks.close(f"{name}: log-probabilities", flat(found), oracle_logprobs(model, rows), TOLERANCE)
    checks.close(f"{name}: loss", [summary["loss"]], [oracle.mean_loss(model, rows)], TOLERANCE)


def plain_name(name):
    """Without what PEFT wraps around a module: hone names the base's own modules."""
    return name.removeprefix("base_model.model.").replace(".base_layer.", ".")


def check_gradients(checks, label, model, method, start, rows):
    """Every gradient, as the length of its difference relative to its own length."""
    theirs = oracle.open_base(model).requires_grad_(True) if method == "full" else \
        oracle.open_with_adapter(model, start, trainable=True)
    documents = [(ids, ids) for ids, _ in rows]
    expected = {plain_name(name): gradient
                for name, gradient in oracle.gradients(theirs, documents).items()}
    total = torch.cat([gradient.flatten() for gradient in expected.values()]).norm()
    for checkpointing in ("0", "1"):
        subprocess.run([DUMP_GRADIENTS, model, "full" if method == "full" else start, "f32",
                        checkpointing, "gradients.safetensors", "3",
                        *(",".join(map(str, ids)) for ids, _ in rows)],
                       check=True, stdout=subprocess.DEVNULL)
        found = {plain_name(name): gradient for name, gradient
                 in safetensors.torch.load_file("gradients.safetensors").items()}
        where = f"{label} {method}{' checkpointing' if checkpointing == '1' else ''}"
        if not checks.that(f"{where}: the same {len(expected)} tensors have gradients",
                           set(found) == set(expected),
                           str(sorted(set(found) ^ set(expected))[:6] or "")):
            continue
        # What is zero but for rounding (keys' biases) is measured against the whole gradient.
        off = {name: ((found[name].reshape(gradient.shape) - gradient).norm()
                      / (gradient.norm() + 1e-6 * total)).item()
               for name, gradient in expected.items()}
        worst = max(off, key=off.get)
        checks.that(f"{where}: every gradient", off[worst] <= GRADIENT_TOLERANCE,
                    f"{worst} off by {off[worst]:.2g}, allowed {GRADIENT_TOLERANCE:g}")


def check_training(checks, name, rows_file, facts, method):
    """20 steps; then what was trained, in hone and in PEFT or Transformers."""
    rows = oracle.read_rows(rows_file)
    run = f"run-{os.path.basename(name)}-{method}"
    start = [] if method == "full" else ["--adapter", f"{name}/{method}"]
    log = train(name, rows_file, run, method, facts, *start)
    checks.close(f"{name} {method}: losses of {facts['steps']} steps",
                 [row["loss"] for row in log], facts[method]["losses"], TOLERANCE)
    checks.close(f"{name} {method}: gradient norms, relative",
                 [row["grad_norm"] / norm for row, norm in
                  zip(log, facts[method]["grad_norms"])], [1.0] * len(log), 1e-3)
    folder = trained_folder(run)
    probes = rows[:6]
    if method == "full":
        theirs = oracle.open_base(folder)
        _, ours = evaluate(folder, rows_file, "logprobs.jsonl")
    else:
        theirs = oracle.open_with_adapter(name, folder)
        _, ours = evaluate(name, rows_file, "logprobs.jsonl", "--adapter", folder)
    checks.close(f"{name} {method}: the oracle with what hone trained", flat(ours[:6]),
                 oracle_logprobs(theirs, probes), TOLERANCE)
    return theirs


def check_golden_training(checks, name, method):
    with open(f"{name}/golden.json", encoding="utf-8") as file:
        facts = json.load(file)
    golden = safetensors.torch.load_file(f"{name}/golden.safetensors")
    probe = golden["probe.ids"].tolist()
    theirs = check_training(checks, name, f"{name}/rows.jsonl", facts, method)
    checks.close(f"{name} {method}: logits after the steps",
                 oracle.document_logits(theirs, probe).flatten(),
                 golden[f"{method}.final_logits"].flatten(), TOLERANCE)
    # Any split of the step's batch is the same step.
    whole = read_jsonl(f"run-{name}-{method}/log.jsonl")
    start = [] if method == "full" else ["--adapter", f"{name}/{method}"]
    split = train(name, f"{name}/rows.jsonl", f"run-{name}-{method}-split", method,
                  facts | {"batch_size": 1}, "--gradient-accumulation-steps", 3, *start)
    checks.close(f"{name} {method}: micro-batches of one document",
                 [row["loss"] for row in split], [row["loss"] for row in whole], 2e-6)


def check_adapters_of_peft(checks, name, method):
    """hone with the adapter that PEFT trained and saved; the same merged into the weights."""
    rows_file, adapter = f"{name}/rows.jsonl", f"{name}/{method}-final"
    rows = oracle.read_rows(rows_file)
    expected = oracle_logprobs(oracle.open_with_adapter(name, adapter), rows)
    _, found = evaluate(name, rows_file, "logprobs.jsonl", "--adapter", adapter)
    checks.close(f"{name} {method}: hone with PEFT's adapter", flat(found), expected, TOLERANCE)
    merged = f"merged-{name}-{method}"
    hone("merge", "--model", name, "--adapter", adapter, "--out", merged)
    checks.close(f"{name} {method}: Transformers with what hone merged",
                 oracle_logprobs(oracle.open_base(merged), rows), expected, TOLERANCE)
    _, found = evaluate(merged, rows_file, "logprobs.jsonl")
    checks.close(f"{name} {method}: hone with what hone merged", flat(found), expected, TOLERANCE)


def check_new_adapter(checks, name, method, config):
    """A new adapter: as many parameters as PEFT's, and the base model's outputs at the start."""
    rows_file, run = f"{name}/rows.jsonl", f"run-{name}-{method}-new"
    _, told = hone("train", "--model", name, "--train", rows_file, "--out", run, "--method", method,
                   "--max-steps", 1, "--learning-rate", 0, "--append-eos", "false")
    theirs = oracle.new_adapter(name, config, 0)
    trainable, everything = theirs.get_nb_trainable_parameters()
    line = (f"trainable params: {trainable:,d} || all params: {everything:,d} || "
            f"trainable%: {100 * trainable / everything:.4f}")
    checks.that(f"{name} {method}: says \"{line}\"", line in told,
                "" if line in told else told[-300:])
    rows = oracle.read_rows(rows_file)[:6]
    checks.close(f"{name} {method}: a new adapter changes nothing",
                 oracle_logprobs(oracle.open_with_adapter(name, trained_folder(run)), rows),
                 oracle_logprobs(oracle.open_base(name), rows), 1e-5)


def write_text_rows(model, path, documents, length):
    """Rows of real text: as ids by the HF tokenizer, and as text for hone's own."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(f"{model}/tokenizer.json")
    texts = [row["text"] for row in read_jsonl(f"{ROOT}/data/demo/valid.jsonl")[:documents]]
    with open(path, "w", encoding="utf-8") as file:
        for text in texts:
            file.write(json.dumps({"ids": tokenizer.encode(text).ids[:length]}) + "\n")
    with open(f"{path}.text.jsonl", "w", encoding="utf-8") as file:
        for text in texts:
            file.write(json.dumps({"text": text}) + "\n")
    return tokenizer, texts


def check_real_training(checks, model, rows_file, method):
    torch.set_num_threads(2)
    facts = {"steps": 20, "batch_size": 2, "learning_rate": 1e-3, "weight_decay": 0.1,
             "max_grad_norm": 1.0}
    rows = oracle.read_rows(rows_file)
    start = []
    if method == "full":
        theirs = oracle.open_base(model).requires_grad_(True)
    else:
        config = {"lora": LoraConfig(task_type="CAUSAL_LM", r=8, lora_alpha=16,
                                     target_modules=["c_attn", "c_proj"]),
                  "ia3": IA3Config(task_type="CAUSAL_LM")}[method]
        theirs = oracle.new_adapter(model, config, 7)
        start = ["--adapter", f"tiny-{method}"]
        theirs.save_pretrained(f"tiny-{method}")
    losses, norms = oracle.train(theirs, rows, facts["batch_size"], facts["steps"],
                                 facts["learning_rate"], facts["weight_decay"],
                                 facts["max_grad_norm"])
    run = f"run-tiny-{method}"
    log = train(model, rows_file, run, method, facts, *start)
    checks.close(f"tiny-gpt2 {method}: losses of 20 steps", [row["loss"] for row in log], losses,
                 TOLERANCE)
    checks.close(f"tiny-gpt2 {method}: gradient norms, relative",
                 [row["grad_norm"] / norm for row, norm in zip(log, norms)], [1.0] * len(log), 1e-3)
    folder = trained_folder(run)
    ours = oracle.open_base(folder) if method == "full" else oracle.open_with_adapter(model, folder)
    probe = rows[0][0]
    checks.close(f"tiny-gpt2 {method}: logits after the steps",
                 oracle.document_logits(ours, probe).flatten(),
                 oracle.document_logits(theirs, probe).flatten(), 1e-3)
    half = train(model, rows_file, f"{run}-bf16", method, facts, "--compute", "bf16", *start)
    checks.close(f"tiny-gpt2 {method}: bf16, last losses relative to f32",
                 [half[-1]["loss"] / losses[-1]], [1.0], 5e-3)


def check_text(checks, model, rows_file, tokenizer, texts):
    """Text rows end with the end-of-text token, as trained on."""
    summary, _ = hone("eval", "--model", model, "--data", f"{rows_file}.text.jsonl", "--json",
                      "--max-length", 256)
    rows = [(tokenizer.encode(text).ids + [0])[:256] for text in texts]
    theirs = oracle.open_base(model)
    checks.close("tiny-gpt2: loss on text", [json.loads(summary)["loss"]],
                 [oracle.mean_loss(theirs, [(row, row) for row in rows])], TOLERANCE)
    checks.that("tiny-gpt2: tokens of the text",
                json.loads(summary)["tokens"] == sum(len(row) - 1 for row in rows),
                str(json.loads(summary)["tokens"]))


def check_generation(checks, model, tokenizer):
    theirs = oracle.open_base(model)
    for prompt in ("The king said to the people,", "This package contains", "int main("):
        ids = torch.tensor([tokenizer.encode(prompt).ids])
        with torch.no_grad():
            made = theirs.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False,
                                   max_new_tokens=40, pad_token_id=0)[0, ids.shape[1]:].tolist()
        if made and made[-1] == 0:
            made.pop()
        text, _ = hone("generate", "--model", model, "--prompt", prompt, "--max-new-tokens", 40,
                       "--temperature", 0, "--json")
        found = json.loads(text.splitlines()[0])
        checks.that(f"greedy text after \"{prompt}\"", found["ids"] == made,
                    f"{found['ids']}, expected {made}" if found["ids"] != made else "")


def check_tiny(checks):
    folders = [f for f in (f"{SHARED}/models/tiny-gpt2", f"{ROOT}/models/tiny-gpt2")
               if os.path.exists(f"{f}/model.safetensors")]
    if not folders:
        print("skipped: tiny-gpt2 is not here")
        return
    model = os.path.abspath(folders[0])
    rows_file = os.path.abspath("tiny-rows.jsonl")
    tokenizer, texts = write_text_rows(model, rows_file, 40, 97)
    checks.part("tiny-gpt2 forward", check_forward, model, rows_file)
    checks.part("tiny-gpt2 text", check_text, model, rows_file, tokenizer, texts)
    checks.part("tiny-gpt2 generation", check_generation, model, tokenizer)
    for method in METHODS:
        checks.part(f"tiny-gpt2 {method}", check_real_training, model, rows_file, method)
        checks.part(f"tiny-gpt2 {method} gradients", check_gradients, "tiny-gpt2", model, method,
                    f"./tiny-{method}", oracle.read_rows(rows_file)[:3])


def main():
    checks = Checks()
    work = tempfile.mkdtemp(prefix="hone-parity-")
    try:
        make_models.make(work)  # leaves us in the folder, where the models' names are their paths
        for name in make_models.MODELS:
            checks.part(f"{name} golden", check_fresh, name, f"{ROOT}/tests/golden")
            checks.part(f"{name} forward", check_forward, name, f"{name}/rows.jsonl")
            for method in METHODS:
                checks.part(f"{name} {method} gradients", check_gradients, name, name, method,
                            f"./{name}/{method}", oracle.read_rows(f"{name}/rows.jsonl")[:5])
                checks.part(f"{name} {method} training", check_golden_training, name, method)
            for method in ("lora", "ia3"):
                checks.part(f"{name} {method} adapters", check_adapters_of_peft, name, method)
        for name in ("gpt2-odd-f16", "gpt2-odd-bf16"):
            checks.part(f"{name} forward", check_forward, name, "gpt2-odd/rows.jsonl")
        checks.part("new lora", check_new_adapter, "gpt2-odd", "lora",
                    LoraConfig(task_type="CAUSAL_LM"))
        checks.part("new ia3", check_new_adapter, "gpt2-bin", "ia3",
                    IA3Config(task_type="CAUSAL_LM"))
        checks.part("tiny-gpt2", check_tiny)
    finally:
        os.chdir(ROOT)
        shutil.rmtree(work, ignore_errors=True)
    checks.finish()


if __name__ == "__main__":
    main()
