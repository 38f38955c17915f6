"""Write tiny random model folders with odd sizes, and what the oracle says of them.

usage: make_models.py OUT_DIR        (the committed copy: tests/golden)

Each folder OUT_DIR/<family>-*/ is a model as the hub may hold it, with a file layout of its own, and
    rows.jsonl            60 token rows of odd lengths, some with labels masked: 20 steps of 3;
                          of an encoder-decoder model pairs of source and target
    lora/ ia3/            adapters as PEFT writes them, every value random: where training starts
    lora-final/ ia3-final/  the same after the 20 steps
    golden.json           versions, settings, losses and gradient norms of the steps, and how far
                          gradients are off where PyTorch computes in bfloat16
    golden.safetensors    `probe.ids` (with `probe.source_ids`), `probe.logits`, `<method>.gradient.<name>` of step 1 and
                          `<method>.final_logits`; method is lora, ia3 or full
ROUNDED are copies in a smaller type, with golden.safetensors of the probe only; the oracle computes
with the rounded weights in float32.
"""

import copy
import json
import os
import shutil
import sys

import oracle
import peft
import safetensors.torch
import torch
import transformers
from peft import IA3Config, LoraConfig
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

STEPS, BATCH = 20, 3
LEARNING_RATE, WEIGHT_DECAY, MAX_GRAD_NORM = 3e-3, 1.0, 1.0

# Sizes: odd or prime, and different from each other, so that a swapped dimension can't fit. "length"
# is the most tokens of a document. "names" shows how tensors are called on disk: "drop" are left out,
# "prefix" is taken from the front of the others.
MODELS = {
    "gpt2-odd": {
        "config": {"model_type": "gpt2", "n_embd": 33, "n_head": 3, "n_layer": 2,
                   "vocab_size": 101, "n_positions": 37, "n_inner": 71,
                   "activation_function": "gelu_new", "scale_attn_by_inverse_layer_idx": True,
                   "bos_token_id": 0, "eos_token_id": 0},
        "length": 37, "layout": "plain", "names": {"drop": ["lm_head.weight"]},
        "lora": {"r": 3, "lora_alpha": 7, "target_modules": ["c_attn", "c_proj", "c_fc"],
                 "modules_to_save": ["ln_f"]},
        "ia3": {"target_modules": ["c_attn", "mlp.c_proj"], "feedforward_modules": ["mlp.c_proj"]},
    },
    "gpt2-sharded": {
        "config": {"model_type": "gpt2", "n_embd": 15, "n_head": 3, "n_layer": 2,
                   "vocab_size": 53, "n_positions": 41, "n_inner": 37,
                   "activation_function": "relu", "scale_attn_weights": False,
                   "layer_norm_epsilon": 1e-3, "bos_token_id": 0, "eos_token_id": 0},
        "length": 41, "layout": "sharded", "masks": "h",
        "names": {"drop": ["lm_head.weight"], "prefix": "transformer."},
        "lora": {"r": 2, "lora_alpha": 3, "target_modules": r".*\.(attn|mlp)\.c_(attn|proj)",
                 "use_rslora": True, "rank_pattern": {"mlp.c_proj": 5},
                 "alpha_pattern": {"h.1.attn.c_attn": 5}, "bias": "lora_only"},
        "ia3": {"target_modules": ["attn.c_proj", "mlp.c_fc", "mlp.c_proj"],
                "feedforward_modules": ["mlp.c_proj"]},
    },
    "gpt2-bin": {
        "config": {"model_type": "gpt2", "n_embd": 14, "n_head": 2, "n_layer": 2,
                   "vocab_size": 61, "n_positions": 31, "n_inner": None,
                   "activation_function": "gelu", "tie_word_embeddings": False,
                   "bos_token_id": 0, "eos_token_id": 0},
        "length": 31, "layout": "bin", "masks": "transformer.h", "names": {},
        "lora": {"r": 4, "lora_alpha": 6, "target_modules": "all-linear", "bias": "all"},
        "ia3": {"target_modules": ["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"],
                "feedforward_modules": ["mlp.c_fc", "mlp.c_proj"]},
    },
    # The head's name is the one that is left. PEFT's default targets.
    "opt-odd": {
        "config": {"model_type": "opt", "hidden_size": 33, "num_attention_heads": 3,
                   "num_hidden_layers": 2, "vocab_size": 101, "max_position_embeddings": 37,
                   "ffn_dim": 71},
        "length": 37, "seed": 4001,
        "layout": "plain", "names": {"drop": ["model.decoder.embed_tokens.weight"]},
        "lora": {"r": 3, "lora_alpha": 7, "modules_to_save": ["final_layer_norm"]},
        "ia3": {},
    },
    # As opt-350m: norms behind the sums, a narrow embedding, names without "model.", and the
    # embedding under both names.
    "opt-post": {
        "config": {"model_type": "opt", "hidden_size": 21, "num_attention_heads": 3,
                   "num_hidden_layers": 2, "vocab_size": 53, "max_position_embeddings": 41,
                   "ffn_dim": 37, "do_layer_norm_before": False, "word_embed_proj_dim": 13},
        "length": 41, "layout": "bin-sharded", "names": {"prefix": "model."},
        "lora": {"r": 4, "lora_alpha": 6, "target_modules": "all-linear", "bias": "all"},
        "ia3": {"target_modules": ["project_in", "k_proj", "out_proj", "fc2", "project_out"],
                "feedforward_modules": ["fc2", "project_out"]},
    },
    # With all of Galactica's switches.
    "opt-bare": {
        "config": {"model_type": "opt", "hidden_size": 14, "num_attention_heads": 2,
                   "num_hidden_layers": 2, "vocab_size": 61, "max_position_embeddings": 31,
                   "ffn_dim": 29, "activation_function": "gelu", "enable_bias": False,
                   "layer_norm_elementwise_affine": False, "_remove_final_layer_norm": True,
                   "tie_word_embeddings": False, "pad_token_id": None},
        "length": 31, "layout": "bin", "names": {},
        "lora": {"r": 2, "lora_alpha": 3, "target_modules": r".*\.(self_attn\.[vk]_proj|fc\d)",
                 "use_rslora": True, "rank_pattern": {"fc2": 5},
                 "alpha_pattern": {"layers.1.fc1": 5}},
        "ia3": {"target_modules": ["v_proj", "fc1", "fc2"], "feedforward_modules": ["fc1", "fc2"]},
    },
}
T5 = {"model_type": "t5", "d_model": 22, "d_kv": 7, "d_ff": 37, "num_heads": 3,
      "relative_attention_num_buckets": 10, "relative_attention_max_distance": 13,
      "decoder_start_token_id": 0}
MODELS |= {
    # The first T5: relu, one embedding for all, its output scaled. Sources and targets longer than
    # the distance from which on distances share a bucket.
    "t5-odd": {
        "config": T5 | {"num_layers": 3, "num_decoder_layers": 2, "vocab_size": 101},
        "length": 29,
        "layout": "plain", "names": {"drop": ["encoder.embed_tokens.weight",
                                              "decoder.embed_tokens.weight", "lm_head.weight"]},
        "lora": {"r": 3, "lora_alpha": 7, "target_modules": ["q", "v", "wo"],
                 "modules_to_save": ["final_layer_norm"]},
        "ia3": {},
    },
    # T5 v1.1: gated, a head of its own, nothing scaled; the embedding under all its names, and an
    # old file's bias that nothing reads.
    "t5-gated": {
        "config": T5 | {"num_layers": 2, "num_decoder_layers": 2, "vocab_size": 53,
                        "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
        "length": 23, "layout": "sharded", "names": {}, "own_head": True,
        "extra": {"decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight": (10, 3)},
        "lora": {"r": 2, "lora_alpha": 3, "target_modules": "all-linear"},
        "ia3": {"target_modules": ["k", "v", "wi_1", "wo"], "feedforward_modules": ["wo"]},
    },
}
ROUNDED = [("gpt2-odd", torch.float16, "f16", "plain"), ("gpt2-odd", torch.bfloat16, "bf16", "plain"),
           ("opt-post", torch.float16, "f16", "bin-sharded")]


def methods(name):
    return [method for method in ("lora", "ia3", "full") if method == "full" or method in MODELS[name]]


def is_seq2seq(name):
    return MODELS[name]["config"]["model_type"] == "t5"


def task_type(name):
    return "SEQ_2_SEQ_LM" if is_seq2seq(name) else "CAUSAL_LM"


def random_model(config, seed, own_head=False):
    """Larger values than the families' initialization: attention and activations leave their linear
    range, and biases and norms are not 0 and 1."""
    torch.manual_seed(seed)
    config = AutoConfig.for_model(**config)
    kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    model = kind.from_config(config)
    if own_head:  # Transformers 5 ties T5's, but reads one that a folder has
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.clone())
    model.config.architectures = [type(model).__name__]
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(".bias"):
                parameter.normal_(0.0, 0.1)
            elif parameter.dim() == 1:  # of a norm
                parameter.normal_(1.0, 0.1)
            else:
                parameter.normal_(0.0, 0.2)
    return model.eval()


def write_json(path, value):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1, sort_keys=True)
        file.write("\n")


def save_tensors(tensors, path):
    tensors = {name: tensor.clone().contiguous() for name, tensor in tensors.items()}
    safetensors.torch.save_file(tensors, path, metadata={"format": "pt"})


def write_model(model, folder, spec):
    model.config.save_pretrained(folder)
    names, tensors = spec["names"], {}
    for name, tensor in model.state_dict().items():
        if name not in names.get("drop", []):
            tensors[name.removeprefix(names.get("prefix", ""))] = tensor
    tensors |= mask_buffers(spec["masks"], model.config) if "masks" in spec else {}
    tensors |= {name: torch.ones(shape) for name, shape in spec.get("extra", {}).items()}
    if spec["layout"] == "plain":
        save_tensors(tensors, f"{folder}/model.safetensors")
    elif spec["layout"] == "bin":
        torch.save(tensors, f"{folder}/pytorch_model.bin")
    elif spec["layout"] == "sharded":
        write_shards(tensors, folder, "model", "safetensors", save_tensors)
    elif spec["layout"] == "bin-sharded":
        write_shards(tensors, folder, "pytorch_model", "bin", torch.save)


def mask_buffers(prefix, config):
    """The causal masks that old files hold as tensors, to be dropped."""
    positions = config.n_positions
    mask = torch.ones(1, 1, positions, positions, dtype=torch.uint8).tril()
    buffers = {}
    for layer in range(config.n_layer):
        buffers[f"{prefix}.{layer}.attn.bias"] = mask.clone()
        buffers[f"{prefix}.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
    return buffers


def write_shards(tensors, folder, stem, ending, save):
    names = sorted(tensors)
    where = {}
    for number, part in enumerate((names[0::2], names[1::2]), 1):
        file = f"{stem}-{number:05}-of-00002.{ending}"
        save({name: tensors[name] for name in part}, f"{folder}/{file}")
        where |= {name: file for name in part}
    total = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    write_json(f"{folder}/{stem}.{ending}.index.json",
               {"metadata": {"total_size": total}, "weight_map": where})


def write_rows(path, spec, seed):
    """Lengths from 2 to the most; every third row is a pair whose prompt isn't trained on. Of an
    encoder-decoder model sources and targets."""
    generator = torch.Generator().manual_seed(seed)

    def number(low, high):
        return int(torch.randint(low, high + 1, (), generator=generator))

    def draw(length):
        return torch.randint(0, spec["config"]["vocab_size"], (length,),
                             generator=generator).tolist()

    with open(path, "w", encoding="utf-8") as file:
        for place in range(STEPS * BATCH):
            length = spec["length"] if place == 1 else number(2, spec["length"])
            ids = draw(length)
            row = {"ids": ids}
            if spec["config"]["model_type"] == "t5":
                row = {"source_ids": draw(number(1, spec["length"])), "target_ids": ids}
            elif place % 3 == 2:
                prompt = number(1, length - 1)
                row["labels"] = [oracle.NO_LABEL] * prompt + ids[prompt:]
            file.write(json.dumps(row) + "\n")


def save_adapter(model, folder):
    model.save_pretrained(folder)
    os.remove(f"{folder}/README.md")
    path = f"{folder}/adapter_config.json"
    with open(path, encoding="utf-8") as file:
        config = json.load(file)
    for key in ("target_modules", "feedforward_modules"):  # sets: PEFT writes them in any order
        if isinstance(config.get(key), list):
            config[key].sort()
    write_json(path, config)


def starting_model(name, method, seed):
    if method == "full":
        model = oracle.open_base(name)
        return model.requires_grad_(True)
    kind = {"lora": LoraConfig, "ia3": IA3Config}[method]
    config = kind(task_type=task_type(name), **MODELS[name][method])
    return oracle.new_adapter(name, config, seed)


def check_stability(what, losses, exact):
    """A step that puts a unit on one edge of relu or the other by rounding makes two right answers."""
    off = max(abs(a - b) for a, b in zip(losses, exact))
    if off > 1e-5:
        raise ValueError(f"{what}: float64 gives other losses, by {off:.2g}; choose another seed")


def probe_tensors(probe, logits):
    tensors = {"probe.ids": torch.tensor(probe.ids, dtype=torch.int32), "probe.logits": logits}
    if probe.source is not None:
        tensors["probe.source_ids"] = torch.tensor(probe.source, dtype=torch.int32)
    return tensors


def bfloat16_error(model, gradients, rows):
    """How far PyTorch's gradients are from those in float32 when all of it is bfloat16: the length of
    the difference relative to their own, all tensors as one vector."""
    half = oracle.gradients(copy.deepcopy(model).bfloat16(), rows)
    off = sum(((half[key].float() - value) ** 2).sum() for key, value in gradients.items())
    return (off / sum((value ** 2).sum() for value in gradients.values())).sqrt().item()


def write_golden(name, seed):
    rows = oracle.read_rows(f"{name}/rows.jsonl")
    probe = rows[1]
    tensors = probe_tensors(probe, oracle.document_logits(oracle.open_base(name), probe))
    facts = {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__,
             "peft": peft.__version__, "steps": STEPS, "batch_size": BATCH,
             "learning_rate": LEARNING_RATE, "weight_decay": WEIGHT_DECAY,
             "adam_beta1": 0.9, "adam_beta2": 0.999, "adam_epsilon": 1e-8,
             "lr_scheduler_type": "constant", "max_grad_norm": MAX_GRAD_NORM}
    for number, method in enumerate(methods(name)):
        model = starting_model(name, method, seed + number)
        if method != "full":
            save_adapter(model, f"{name}/{method}")
        gradients = oracle.gradients(model, rows[:BATCH])
        tensors |= {f"{method}.gradient.{key}": value for key, value in gradients.items()}
        error = bfloat16_error(model, gradients, rows[:BATCH])
        exact = copy.deepcopy(model).double()
        how = (rows, BATCH, STEPS, LEARNING_RATE, WEIGHT_DECAY, MAX_GRAD_NORM)
        losses, norms = oracle.train(model, *how)
        check_stability(f"{name} {method}", losses, oracle.train(exact, *how)[0])
        if method != "full":
            save_adapter(model, f"{name}/{method}-final")
        tensors[f"{method}.final_logits"] = oracle.document_logits(model, probe)
        facts[method] = {"losses": losses, "grad_norms": norms, "bfloat16_error": error}
    save_tensors(tensors, f"{name}/golden.safetensors")
    write_json(f"{name}/golden.json", facts)


def write_rounded(name, dtype, suffix, layout):
    folder = f"{name}-{suffix}"
    os.makedirs(folder, exist_ok=True)
    model = oracle.open_base(name).to(dtype)
    model.config.dtype = dtype
    write_model(model, folder, MODELS[name] | {"layout": layout})
    probe = oracle.read_rows(f"{name}/rows.jsonl")[1]
    save_tensors(probe_tensors(probe, oracle.document_logits(oracle.open_base(folder), probe)),
                 f"{folder}/golden.safetensors")


def make(out):
    os.makedirs(out, exist_ok=True)
    os.chdir(out)  # so that the adapters name their base without the place of this checkout
    for number, (name, spec) in enumerate(MODELS.items()):
        shutil.rmtree(name, ignore_errors=True)
        os.makedirs(name)
        seed = spec.get("seed", 1000 * (number + 1))
        write_model(random_model(spec["config"], seed, spec.get("own_head", False)), name, spec)
        write_rows(f"{name}/rows.jsonl", spec, seed)
        write_golden(name, seed)
    for rounded in ROUNDED:
        write_rounded(*rounded)


if __name__ == "__main__":
    make(sys.argv[1])
