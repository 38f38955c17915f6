"""PyTorch + Transformers + PEFT as the oracle: what a run should give, computed the plain way.

Everything here is float32, without dropout (no model is put in training mode) and one document a
row of a padded batch, so that the answer is the definition: loss = sum of token losses / number of
trained tokens.
"""

import contextlib
import json
import logging
import warnings
from collections import namedtuple

import torch
from peft import PeftModel, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM
from transformers import logging as transformers_logging

transformers_logging.set_verbosity_error()
transformers_logging.disable_progress_bar()
torch.use_deterministic_algorithms(True)
torch.set_num_threads(1)

NO_LABEL = -100

# A document. An encoder-decoder model reads `source` and predicts each of `ids`; others predict each
# id but the first from those before it. `labels` has NO_LABEL where nothing is trained.
Row = namedtuple("Row", "ids labels source", defaults=(None,))


def open_base(folder):
    seq2seq = AutoConfig.from_pretrained(folder).is_encoder_decoder
    kind = AutoModelForSeq2SeqLM if seq2seq else AutoModelForCausalLM
    return kind.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager").eval()


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
    """Rows {"ids": [...]}, with "labels" or without, or {"source_ids": [...], "target_ids": [...]}
    of a jsonl file."""
    rows = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            ids = row.get("ids", row.get("target_ids"))
            rows.append(Row(ids, row.get("labels", ids), row.get("source_ids")))
    return rows


def padded(lists, filler):
    """Lists as the rows of one matrix, and where they are."""
    width = max(map(len, lists))
    values = torch.full((len(lists), width), filler)
    mask = torch.zeros(len(lists), width, dtype=torch.long)
    for number, row in enumerate(lists):
        values[number, :len(row)] = torch.tensor(row)
        mask[number, :len(row)] = 1
    return values, mask


def predictions(model, rows):
    """Logits of a batch, and beside each row of them the token that it must predict."""
    labels, _ = padded([row.labels for row in rows], NO_LABEL)
    if rows[0].source is not None:
        ids, mask = padded([row.source for row in rows], 0)
        return model(input_ids=ids, attention_mask=mask, labels=labels).logits, labels
    ids, mask = padded([row.ids for row in rows], 0)
    return model(input_ids=ids, attention_mask=mask).logits[:, :-1], labels[:, 1:]


def batch_loss(model, rows):
    logits, labels = predictions(model, rows)
    losses = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), labels.flatten(), ignore_index=NO_LABEL, reduction="sum")
    return losses / (labels != NO_LABEL).sum()


def mean_loss(model, rows):
    with torch.no_grad():
        return batch_loss(model, rows).item()


def document_logits(model, row):
    with torch.no_grad():
        ids = torch.tensor([row.ids])
        if row.source is not None:
            return model(input_ids=torch.tensor([row.source]), labels=ids).logits[0]
        return model(input_ids=ids).logits[0]


def logprobs(model, row):
    """ln p of each id of a document that is predicted."""
    logits = document_logits(model, row).double()
    ids = row.ids
    if row.source is None:
        logits, ids = logits[:-1], ids[1:]
    return torch.log_softmax(logits, -1)[torch.arange(len(ids)), torch.tensor(ids)]


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
