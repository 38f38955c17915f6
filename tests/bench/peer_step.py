"""Time training steps of PyTorch + Transformers + PEFT, and print one JSON object.

usage: peer_step.py MODEL_DIR ROWS.jsonl [--method lora|ia3|full] [--dtype f32|bf16] [options]

A step is what a user's loop does: zero_grad, forward, backward, clip at 1, AdamW. Sources and
targets are padded to the longest of their batch as DataCollatorForSeq2Seq pads them; rows of ids
are all of one length. Dropout is the model folder's own unless --dropout is given.
"first_step_seconds" counts from the start of the process (its imports included) to the end of
step 1; "best", "median" and "examples_per_second" leave step 1 out. The caller chooses the
allocator: LD_PRELOAD=libtcmalloc_minimal.so.4 gives PyTorch its tuned form. MODEL_DIR's last part
is a name of models.py.
"""

import argparse
import json
import os
import statistics
import time

from measure import Neighbours, allocator, peak_rss_bytes, read_rows, seconds_since_start
from models import MODELS


def adapted(model, method, facts):
    from peft import IA3Config, LoraConfig, get_peft_model

    task = "SEQ_2_SEQ_LM" if facts.encoder_decoder else "CAUSAL_LM"
    if method == "lora":
        config = LoraConfig(task_type=task, r=8, lora_alpha=16,
                            target_modules=facts.targets.split(","))
    elif method == "ia3":
        config = IA3Config(task_type=task, **facts.ia3)
    else:
        return model
    return get_peft_model(model, config)


def padded(rows, filler):
    import torch

    longest = max(map(len, rows))
    return torch.tensor([row + [filler] * (longest - len(row)) for row in rows])


def collate(rows):
    """A batch, and how many tokens of it are not padding."""
    import torch

    if "ids" in rows[0]:
        ids = torch.tensor([row["ids"] for row in rows])
        return {"input_ids": ids, "labels": ids}, ids.numel()
    sources = [row["source_ids"] for row in rows]
    targets = [row["target_ids"] for row in rows]
    batch = {"input_ids": padded(sources, 0), "labels": padded(targets, -100),
             "attention_mask": padded([[1] * len(source) for source in sources], 0)}
    return batch, sum(map(len, sources + targets))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("rows")
    parser.add_argument("--method", choices=("lora", "ia3", "full"), default="lora")
    parser.add_argument("--dtype", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--checkpointing", action="store_true")
    parser.add_argument("--dropout", type=float)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()

    import warnings

    warnings.filterwarnings("ignore")
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    facts = MODELS[os.path.basename(os.path.abspath(options.model))]
    overrides = {}
    if options.dropout is not None:
        overrides = {key: options.dropout for key in facts.dropouts}
    dtype = torch.bfloat16 if options.dtype == "bf16" else torch.float32
    model = getattr(transformers, facts.transformers).from_pretrained(options.model, dtype=dtype,
                                                                      **overrides)
    if options.checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    model = adapted(model, options.method, facts)
    model.config.use_cache = False
    model.train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4)
    rows = read_rows(options.rows)
    run = torch.compile(model) if options.compile else model

    seconds, tokens, computed = [], [], []
    first = None
    for step in range(options.steps):
        start = time.perf_counter()
        at = step * options.batch % (len(rows) - options.batch + 1)
        batch, count = collate(rows[at:at + options.batch])
        optimizer.zero_grad(set_to_none=True)
        loss = run(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        loss = loss.item()
        seconds.append(time.perf_counter() - start)
        tokens.append(count)
        computed.append(batch["input_ids"].numel() +
                        (batch["labels"].numel() if facts.encoder_decoder else 0))
        if first is None:
            first = seconds_since_start()
            neighbours = Neighbours()
    steady = seconds[1:] or seconds
    print(json.dumps({
        "program": "pytorch", "method": options.method, "dtype": options.dtype,
        "compiled": options.compile, "checkpointing": options.checkpointing,
        "allocator": allocator(),
        "best_seconds": min(steady), "median_seconds": statistics.median(steady),
        "examples_per_second": options.batch * len(steady) / sum(steady),
        "first_step_seconds": first, "last_loss": loss,
        "tokens": sum(tokens), "tokens_with_padding": sum(computed),
        "trained_parameters": sum(parameter.numel() for parameter in trained),
        "peak_rss_bytes": peak_rss_bytes(),
        "cores_busy_elsewhere": neighbours.busy_cores(), "torch": torch.__version__,
    }))


if __name__ == "__main__":
    main()
