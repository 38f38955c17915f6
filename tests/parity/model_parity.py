"""hone's command line against Transformers and PEFT, for every family of models.

The odd tiny models (made anew by make_models.py, and compared with the committed copies), every
third combination of a family's switches, and a trained tiny model with real text. Logits, losses of 20
steps, adapters in both directions, merging, micro-batches. Gradients come from
tests/support/dump_gradients.c, after three runs on the same memory, with gradient checkpointing and
without. What is generated is decode_parity.py's matter.

usage: model_parity.py [FAMILY...]
"""

import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile

import make_models
import oracle
import safetensors.torch
import torch
from checks import Checks, hone, read_jsonl, tiny_model
from peft import IA3Config, LoraConfig
from transformers import AutoConfig, AutoTokenizer

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
METHODS = ("lora", "ia3", "full")
# "new": golden models that PEFT's default targets are tried on. "tiny": the trained model and the
# targets of LoRA for it, and a learning rate at which float64 gives PyTorch the same losses (relu's
# edge multiplies rounding). "switches": values of config.json in all combinations, put on "base".
FAMILIES = {
    "gpt2": {"new": {"lora": "gpt2-odd", "ia3": "gpt2-bin"},
             "tiny": "tiny-gpt2", "targets": ["c_attn", "c_proj"],
             "learning_rate": 1e-3},
    "opt": {"new": {"lora": "opt-odd", "ia3": "opt-post"},
            "tiny": "tiny-opt", "targets": ["q_proj", "v_proj", "fc1"],
            "learning_rate": 1e-4,
            "base": {"model_type": "opt", "hidden_size": 21, "num_attention_heads": 3,
                     "num_hidden_layers": 2, "vocab_size": 53, "max_position_embeddings": 41,
                     "ffn_dim": 37},
            "switches": {"do_layer_norm_before": (True, False), "word_embed_proj_dim": (21, 13),
                         "enable_bias": (True, False),
                         "layer_norm_elementwise_affine": (True, False),
                         "_remove_final_layer_norm": (False, True),
                         "tie_word_embeddings": (True, False)}},
    "t5": {"new": {"lora": "t5-odd", "ia3": "t5-odd"},
           "tiny": "tiny-t5", "targets": ["q", "v", "wi"],
           "learning_rate": 1e-4},
}
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
    """Summary of `hone eval`, and the log-probabilities of each document without nulls."""
    summary, _ = hone("eval", "--model", model, "--data", rows, "--logprobs", out, "--json",
                      "--append-eos", "false", *options)
    return json.loads(summary), [[value for value in row["logprobs"] if value is not None]
                                 for row in read_jsonl(out)]


def trained_folder(run):
    for name in ("adapter", "model"):
        if os.path.isdir(f"{run}/{name}"):
            return f"{run}/{name}"
    raise FileNotFoundError(f"no trained folder in {run}: {os.listdir(run)}")


def flat(documents):
    return [value for document in documents for value in document]


def oracle_logprobs(model, rows):
    return flat(oracle.logprobs(model, row) for row in rows)


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


def run_dump(model, start, checkpointing, rows):
    """Gradients by hone."""
    documents = [":".join(",".join(map(str, ids)) for ids in (row.source, row.ids)
                          if ids is not None) for row in rows]
    subprocess.run([DUMP_GRADIENTS, model, start, "f32", checkpointing, "gradients.safetensors",
                    "3", *documents], check=True, stdout=subprocess.DEVNULL)
    return {plain_name(name): gradient for name, gradient
            in safetensors.torch.load_file("gradients.safetensors").items()}


def check_gradients(checks, label, model, method, start, rows):
    """Every gradient, as the length of its difference relative to its own length."""
    theirs = oracle.open_base(model).requires_grad_(True) if method == "full" else \
        oracle.open_with_adapter(model, start, trainable=True)
    documents = [row._replace(labels=row.ids) for row in rows]
    expected = {plain_name(name): gradient
                for name, gradient in oracle.gradients(theirs, documents).items()}
    total = torch.cat([gradient.flatten() for gradient in expected.values()]).norm()
    for checkpointing in ("0", "1"):
        found = run_dump(model, "full" if method == "full" else start, checkpointing, rows)
        where = f"{label} {method}{' checkpointing' if checkpointing == '1' else ''}"
        if not checks.that(f"{where}: the same {len(expected)} tensors have gradients",
                           set(found) == set(expected),
                           str(sorted(set(found) ^ set(expected))[:6] or "")):
            continue
        # Keys' biases have no gradient but for rounding: they add the same to all scores of a query.
        off = {name: ((found[name].reshape(gradient.shape) - gradient).norm()
                      / (1e-2 * total if name.endswith("k_proj.bias")
                         else gradient.norm() + 1e-6 * total)).item()
               for name, gradient in expected.items()}
        worst = max(off, key=off.get)
        checks.that(f"{where}: every gradient", off[worst] <= GRADIENT_TOLERANCE,
                    f"{worst} off by {off[worst]:.2g}, allowed {GRADIENT_TOLERANCE:g}")


def check_switches(checks, family):
    """Every third combination of a family's switches, so that any three of them meet with any values:
    log-probabilities and all gradients."""
    spec = FAMILIES[family]
    if "switches" not in spec:
        return
    switches = spec["switches"]
    for number, values in enumerate(list(itertools.product(*switches.values()))[::3]):
        config = spec["base"] | dict(zip(switches, values))
        label = " ".join(f"{key}={value}" for key, value in zip(switches, values))
        folder = f"{family}-switches"
        shutil.rmtree(folder, ignore_errors=True)
        model = make_models.random_model(config, number)
        make_models.write_model(model, folder, {"layout": "plain", "names": {}})
        rows = oracle.read_rows(f"{spec['new']['ia3']}/rows.jsonl")[:4]
        with open("switches.jsonl", "w", encoding="utf-8") as file:
            file.writelines(json.dumps({"ids": row.ids}) + "\n" for row in rows)
        _, found = evaluate(folder, "switches.jsonl", "logprobs.jsonl")
        checks.close(f"{label}: log-probabilities", flat(found),
                     oracle_logprobs(oracle.open_base(folder), rows), TOLERANCE)
        check_gradients(checks, label, folder, "full", None, rows)


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
    source = golden["probe.source_ids"].tolist() if "probe.source_ids" in golden else None
    ids = golden["probe.ids"].tolist()
    probe = oracle.Row(ids, ids, source)
    theirs = check_training(checks, name, f"{name}/rows.jsonl", facts, method)
    checks.close(f"{name} {method}: logits after the steps",
                 oracle.document_logits(theirs, probe).flatten(),
                 golden[f"{method}.final_logits"].flatten(), TOLERANCE)
    # Any split of the step's batch is the same step, but for the order of sums, which 20 steps of
    # AdamW enlarge: up to 2.5e-6 seen (the gated T5 in full).
    whole = read_jsonl(f"run-{name}-{method}/log.jsonl")
    start = [] if method == "full" else ["--adapter", f"{name}/{method}"]
    split = train(name, f"{name}/rows.jsonl", f"run-{name}-{method}-split", method,
                  facts | {"batch_size": 1}, "--gradient-accumulation-steps", 3, *start)
    checks.close(f"{name} {method}: micro-batches of one document",
                 [row["loss"] for row in split], [row["loss"] for row in whole], 1e-5)


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


def write_pair_rows(tokenizer, path, documents):
    """Rows of real pairs, as write_text_rows makes them of texts."""
    pairs = read_jsonl(f"{ROOT}/data/synopsis/valid.jsonl")[:documents]
    with open(path, "w", encoding="utf-8") as file:
        for pair in pairs:
            file.write(json.dumps({"source_ids": tokenizer(pair["source"]).input_ids,
                                   "target_ids": tokenizer(pair["target"]).input_ids}) + "\n")
    with open(f"{path}.text.jsonl", "w", encoding="utf-8") as file:
        for pair in pairs:
            file.write(json.dumps(pair) + "\n")


def check_pairs(checks, name, model, rows_file):
    """Pairs as text are the pairs of ids that the HF tokenizer makes."""
    for ending in ("", ".text.jsonl"):
        summary, _ = hone("eval", "--model", model, "--data", f"{rows_file}{ending}", "--json")
        checks.close(f"{name}: loss on pairs{ending}", [json.loads(summary)["loss"]],
                     [oracle.mean_loss(oracle.open_base(model), oracle.read_rows(rows_file))],
                     TOLERANCE)


def write_text_rows(tokenizer, path, documents, length):
    """Rows of real text: as ids by the HF tokenizer, and as text for hone's own."""
    texts = [row["text"] for row in read_jsonl(f"{ROOT}/data/demo/valid.jsonl")[:documents]]
    with open(path, "w", encoding="utf-8") as file:
        for text in texts:
            file.write(json.dumps({"ids": tokenizer(text).input_ids[:length]}) + "\n")
    with open(f"{path}.text.jsonl", "w", encoding="utf-8") as file:
        for text in texts:
            file.write(json.dumps({"text": text}) + "\n")
    return texts


def check_real_training(checks, family, model, rows_file, method):
    facts = {"steps": 20, "batch_size": 2, "weight_decay": 0.1, "max_grad_norm": 1.0,
             "learning_rate": FAMILIES[family]["learning_rate"]}
    name, rows, start = FAMILIES[family]["tiny"], oracle.read_rows(rows_file), []
    task = "SEQ_2_SEQ_LM" if rows[0].source is not None else "CAUSAL_LM"
    if method == "full":
        theirs = oracle.open_base(model).requires_grad_(True)
    else:
        config = {"lora": LoraConfig(task_type=task, r=8, lora_alpha=16,
                                     target_modules=FAMILIES[family]["targets"]),
                  "ia3": IA3Config(task_type=task)}[method]
        theirs = oracle.new_adapter(model, config, 7)
        start = ["--adapter", f"{name}-{method}"]
        theirs.save_pretrained(f"{name}-{method}")
    losses, norms = oracle.train(theirs, rows, facts["batch_size"], facts["steps"],
                                 facts["learning_rate"], facts["weight_decay"],
                                 facts["max_grad_norm"])
    run = f"run-{name}-{method}"
    log = train(model, rows_file, run, method, facts, *start)
    checks.close(f"{name} {method}: losses of 20 steps", [row["loss"] for row in log], losses,
                 TOLERANCE)
    checks.close(f"{name} {method}: gradient norms, relative",
                 [row["grad_norm"] / norm for row, norm in zip(log, norms)], [1.0] * len(log), 1e-3)
    folder = trained_folder(run)
    ours = oracle.open_base(folder) if method == "full" else oracle.open_with_adapter(model, folder)
    # A model is saved in its own type: float16 keeps 11 bits of a weight.
    half = method == "full" and AutoConfig.from_pretrained(folder).dtype == torch.float16
    probe = rows[0]
    checks.close(f"{name} {method}: logits after the steps",
                 oracle.document_logits(ours, probe).flatten(),
                 oracle.document_logits(theirs, probe).flatten(), 3e-2 if half else 1e-3)
    half = train(model, rows_file, f"{run}-bf16", method, facts, "--compute", "bf16", *start)
    checks.close(f"{name} {method}: bf16, last losses relative to f32",
                 [half[-1]["loss"] / losses[-1]], [1.0], 5e-3)


def check_text(checks, name, model, rows_file, tokenizer, texts):
    """Text rows end with the end-of-text token, as trained on."""
    summary, _ = hone("eval", "--model", model, "--data", f"{rows_file}.text.jsonl", "--json",
                      "--max-length", 256)
    rows = [(tokenizer(text).input_ids + [tokenizer.eos_token_id])[:256] for text in texts]
    theirs = oracle.open_base(model)
    checks.close(f"{name}: loss on text", [json.loads(summary)["loss"]],
                 [oracle.mean_loss(theirs, [oracle.Row(row, row) for row in rows])], TOLERANCE)
    checks.that(f"{name}: tokens of the text",
                json.loads(summary)["tokens"] == sum(len(row) - 1 for row in rows),
                str(json.loads(summary)["tokens"]))


def check_tiny(checks, family):
    name = FAMILIES[family]["tiny"]
    model = tiny_model(name)
    if model is None:
        print(f"skipped: {name} is not here")
        return
    rows_file = os.path.abspath(f"{name}-rows.jsonl")
    tokenizer = AutoTokenizer.from_pretrained(model)
    if AutoConfig.from_pretrained(model).is_encoder_decoder:
        write_pair_rows(tokenizer, rows_file, 40)
        checks.part(f"{name} pairs", check_pairs, name, model, rows_file)
    else:
        texts = write_text_rows(tokenizer, rows_file, 40, 97)
        checks.part(f"{name} text", check_text, name, model, rows_file, tokenizer, texts)
    checks.part(f"{name} forward", check_forward, model, rows_file)
    for method in METHODS:
        checks.part(f"{name} {method}", check_real_training, family, model, rows_file, method)
        checks.part(f"{name} {method} gradients", check_gradients, name, model, method,
                    f"./{name}-{method}", oracle.read_rows(rows_file)[:3])


def check_family(checks, family):
    golden = [name for name in make_models.MODELS if name.startswith(family)]
    for name in golden:
        checks.part(f"{name} golden", check_fresh, name, f"{ROOT}/tests/golden")
        checks.part(f"{name} forward", check_forward, name, f"{name}/rows.jsonl")
        for method in METHODS:
            checks.part(f"{name} {method} gradients", check_gradients, name, name, method,
                        f"./{name}/{method}", oracle.read_rows(f"{name}/rows.jsonl")[:5])
            checks.part(f"{name} {method} training", check_golden_training, name, method)
        for method in ("lora", "ia3"):
            checks.part(f"{name} {method} adapters", check_adapters_of_peft, name, method)
    for name, _, suffix, _ in make_models.ROUNDED:
        if name in golden:
            checks.part(f"{name}-{suffix} golden", check_fresh, f"{name}-{suffix}",
                        f"{ROOT}/tests/golden")
            checks.part(f"{name}-{suffix} forward", check_forward, f"{name}-{suffix}",
                        f"{name}/rows.jsonl")
    new = FAMILIES[family]["new"]
    task = make_models.task_type(new["lora"])
    checks.part("new lora", check_new_adapter, new["lora"], "lora", LoraConfig(task_type=task))
    checks.part("new ia3", check_new_adapter, new["ia3"], "ia3", IA3Config(task_type=task))
    checks.part(f"{family} switches", check_switches, family)
    checks.part(f"{family} tiny", check_tiny, family)


def main():
    checks = Checks()
    work = tempfile.mkdtemp(prefix="hone-parity-")
    try:
        make_models.make(work)  # leaves us in the folder, where the models' names are their paths
        for family in sys.argv[1:] or FAMILIES:
            checks.part(family, check_family, family)
    finally:
        os.chdir(ROOT)
        shutil.rmtree(work, ignore_errors=True)
    checks.finish()


if __name__ == "__main__":
    main()
