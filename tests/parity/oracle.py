"""PyTorch + Transformers + PEFT as the oracle: what a run should give, computed the plain way.

Everything here is float32, dropout 0 and one document a row of a padded batch, so that the answer
is the definition: loss = sum of token losses / number of trained tokens.
"""

import contextlib
import json
import logging
import warnings

import torch
from peft import PeftModel, get_peft_model
from transformers import GPT2LMHeadModel
from transformers import logging as transformers_logging

transformers_logging.set_verbosity_error()
transformers_logging.disable_progress_bar()
torch.use_deterministic_algorithms(True)
torch.set_num_threads(1)

NO_DROPOUT = {"attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0}
NO_LABEL = -100


def open_base(folder):
    return GPT2LMHeadModel.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", **NO_DROPOUT).eval()


def open_with_adapter(base_folder, adapter_folder, trainable=False):
    """Fails on a warning too: a folder that PEFT warns about is not right."""
    with warnings.catch_warnings(), errors_from_logs():
        warnings.simplefilter("ignore")  # deprecations inside the two libraries
        warnings.simplefilter("error", UserWarning)
        return PeftModel.from_pretrained(
            open_base(base_folder), adapter_folder, is_trainable=trainable).eval()


@contextlib.contextmanager
def errors_from_logs():
    """PEFT and Transformers tell some problems to their logs only."""
    records = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = records.append
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
    if records:
        raise UserWarning("; ".join(record.getMessage() for record in records))


def new_adapter(base_folder, config, seed):
    """An adapter with every value random and none zero, so that each gradient says something."""
    torch.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fan_in_fan_out is set for Conv1D, with a warning
        model = get_peft_model(open_base(base_folder), config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad and "ia3_l" in name:
                parameter.normal_(1.0, 0.2)
            elif parameter.requires_grad and "lora_" in name:
                parameter.normal_(0.0, 0.1)
    return model.eval()


def read_rows(path):
    """Rows {"ids": [...]} or {"ids": [...], "labels": [...]} of a jsonl file."""
    rows = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            rows.append((row["ids"], row.get("labels", row["ids"])))
    return rows


def padded(rows):
    width = max(len(ids) for ids, _ in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    labels = torch.full((len(rows), width), NO_LABEL)
    mask = torch.zeros(len(rows), width, dtype=torch.long)
    for number, (row, targets) in enumerate(rows):
        ids[number, :len(row)] = torch.tensor(row)
        labels[number, :len(row)] = torch.tensor(targets)
        mask[number, :len(row)] = 1
    labels[:, 0] = NO_LABEL
    return ids, labels, mask


def batch_loss(model, rows):
    ids, labels, mask = padded(rows)
    logits = model(input_ids=ids, attention_mask=mask).logits
    losses = torch.nn.functional.cross_entropy(
        logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=NO_LABEL,
        reduction="sum")
    return losses / (labels != NO_LABEL).sum()


def mean_loss(model, rows):
    with torch.no_grad():
        return batch_loss(model, rows).item()


def document_logits(model, ids):
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids])).logits[0]


def logprobs(model, ids):
    """ln p(ids[i] | ids[<i]) for i >= 1."""
    logits = document_logits(model, ids)[:-1].double()
    return torch.log_softmax(logits, -1)[torch.arange(len(ids) - 1), torch.tensor(ids[1:])]


def public_name(name):
    """A parameter's name as an adapter's file has it."""
    return name.replace(".modules_to_save.default", "").replace(".default", "")


def trained(model):
    return {public_name(name): parameter for name, parameter in model.named_parameters()
            if parameter.requires_grad}


def gradients(model, rows):
    model.zero_grad(set_to_none=True)
    batch_loss(model, rows).backward()
    found = {name: parameter.grad.clone() for name, parameter in trained(model).items()}
    model.zero_grad(set_to_none=True)
    return found


def decays(name, parameter):
    """Matrices decay; biases, norms and IA3's vectors do not."""
    return parameter.dim() >= 2 and "ia3_l" not in name


def train(model, rows, batch, steps, learning_rate, weight_decay, max_grad_norm=None):
    """AdamW over consecutive batches of the rows; the loss and gradient norm of each step."""
    parameters = trained(model)
    groups = [[p for n, p in parameters.items() if decays(n, p) == wanted]
              for wanted in (True, False)]
    optimizer = torch.optim.AdamW(
        [{"params": groups[0], "weight_decay": weight_decay},
         {"params": groups[1], "weight_decay": 0.0}], lr=learning_rate)
    losses, norms = [], []
    for step in range(steps):
        optimizer.zero_grad(set_to_none=True)
        at = step * batch % len(rows)
        loss = batch_loss(model, rows[at:at + batch])
        loss.backward()
        limit = max_grad_norm if max_grad_norm else float("inf")
        norms.append(torch.nn.utils.clip_grad_norm_(list(parameters.values()), limit).item())
        optimizer.step()
        losses.append(loss.item())
    return losses, norms
