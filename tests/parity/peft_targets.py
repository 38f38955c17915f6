"""Ask PEFT which modules an adapter configuration means, and write its answers.

usage: peft_targets.py OUT.json        (the committed copy: tests/golden/peft_targets.json)

OUT has `models`: tiny random models of several families as lists of modules (`linears`, the other
weights, the head), and `cases`: a model, an `adapter_config.json`, and either `error` (PEFT refuses
it) or what PEFT made of it: `adapted` maps a module to [r, scaling] for LoRA and to "in" or "out"
(what is scaled) for IA3; `trained` lists the base weights that are trained beside.
"""

import json
import sys
import warnings

import peft
import torch
import transformers
from peft import IA3Config, LoraConfig, get_peft_model
from transformers.pytorch_utils import Conv1D

transformers.logging.set_verbosity_error()


def models():
    token = {"bos_token_id": 0, "eos_token_id": 0}
    gpt2 = {"vocab_size": 7, "n_positions": 5, "n_embd": 4, "n_head": 2, **token}
    return {
        "gpt2": lambda: transformers.GPT2LMHeadModel(transformers.GPT2Config(n_layer=2, **gpt2)),
        "gpt2-untied": lambda: transformers.GPT2LMHeadModel(
            transformers.GPT2Config(n_layer=1, tie_word_embeddings=False, **gpt2)),
        "gpt2-12": lambda: transformers.GPT2LMHeadModel(transformers.GPT2Config(n_layer=12, **gpt2)),
        "opt": lambda: transformers.OPTForCausalLM(transformers.OPTConfig(
            vocab_size=7, hidden_size=4, num_hidden_layers=2, ffn_dim=8, num_attention_heads=2,
            max_position_embeddings=5, word_embed_proj_dim=4, pad_token_id=1, **token)),
        "t5": lambda: transformers.T5ForConditionalGeneration(transformers.T5Config(
            vocab_size=7, d_model=4, d_kv=2, d_ff=8, num_layers=2, num_heads=2,
            decoder_start_token_id=0)),
    }


def lora(**keys):
    return {"peft_type": "LORA", "task_type": "CAUSAL_LM", **keys}


def ia3(**keys):
    return {"peft_type": "IA3", "task_type": "CAUSAL_LM", **keys}


GPT2_CASES = [
    lora(),
    lora(target_modules=None, r=4, lora_alpha=6),
    lora(target_modules=["c_attn"], r=3, lora_alpha=8),
    lora(target_modules=["attn"]),
    lora(target_modules=["_attn"]),
    lora(target_modules=["c_attn", "c_fc"], use_rslora=True, r=9, lora_alpha=4),
    lora(target_modules=["attn.c_proj"]),
    lora(target_modules=["transformer.h.1.mlp.c_proj"]),
    lora(target_modules=["h.1.mlp.c_proj", "nothing"]),
    lora(target_modules=["1.mlp.c_proj"]),
    lora(target_modules=["nothing"]),
    lora(target_modules=[]),
    lora(target_modules=[""]),
    lora(target_modules=["ln_1"]),
    lora(target_modules=["h.0"]),
    lora(target_modules=["c_.*"]),
    lora(target_modules=r"c_attn"),
    lora(target_modules=r".*c_attn"),
    lora(target_modules=r".*\.c_attn|.*\.c_fc"),
    lora(target_modules=r"transformer\.h\.[01]\.mlp\.c_(fc|proj)"),
    lora(target_modules=r".*\.(?P<part>attn|mlp)\.c_proj"),
    lora(target_modules=r"(?i).*\.C_ATTN"),
    lora(target_modules=r".*\.(?i:C_ATTN)"),
    lora(target_modules=r".*h\.(?!0\.).*c_attn"),
    lora(target_modules=r".*\.h\.\d\.attn\.\w+_\w+ttn"),
    lora(target_modules=r".*(?<=attn\.)c_proj"),
    lora(target_modules=r".*c_attn$"),
    lora(target_modules=r"^.*c_attn\Z"),
    lora(target_modules=r".*c_att"),
    lora(target_modules=r".*\.c_[a-f].*"),
    lora(target_modules=r".*\.c_[^ap].*"),
    lora(target_modules=r".*\.(c)_a(t)\2n"),
    lora(target_modules=r"transformer.*"),
    lora(target_modules=r".*ln_f"),
    lora(target_modules=r".*(c_attn"),
    lora(target_modules=r"*c_attn"),
    lora(target_modules=r".*\Qc_attn\E"),
    lora(target_modules=r".*c_att(?i)N"),
    lora(target_modules=r".*[[:alpha:]]_attn"),
    lora(target_modules=r"(?<name>.*)c_attn"),
    lora(target_modules=r".*c_attn\K"),
    lora(target_modules="all-linear"),
    lora(target_modules="ALL-Linear"),
    lora(target_modules="all-linear", exclude_modules=["c_proj"]),
    lora(target_modules="all-linear", exclude_modules=["mlp.c_proj"]),
    lora(target_modules="all-linear", exclude_modules=r".*\.0\..*"),
    lora(target_modules="all-linear", exclude_modules=r"0"),
    lora(target_modules="all-linear", exclude_modules=r".*"),
    lora(target_modules=["c_attn"], exclude_modules=["transformer.h.0.attn.c_attn"]),
    lora(target_modules=["c_attn"], exclude_modules=["c_attn"]),
    lora(target_modules=["c_attn"], exclude_modules=["attn"]),
    lora(target_modules=["c_attn"], layers_to_transform=1),
    lora(target_modules=["c_attn"], layers_to_transform=[0]),
    lora(target_modules=["c_attn"], layers_to_transform=[]),
    lora(target_modules=["c_attn"], layers_to_transform=[7]),
    lora(target_modules=["c_attn"], layers_to_transform=[1], layers_pattern="h"),
    lora(target_modules=["c_attn"], layers_to_transform=[1], layers_pattern=["layers", "h"]),
    lora(target_modules=["c_attn"], layers_to_transform=[1], layers_pattern=[]),
    lora(target_modules=["c_attn"], layers_to_transform=[1], layers_pattern="transformer.h"),
    lora(target_modules=["c_attn"], layers_to_transform=[1], layers_pattern="layers"),
    lora(target_modules=["c_attn"], layers_to_transform=[1], layers_pattern="[gh]"),
    lora(target_modules=["c_attn"], layers_pattern="h"),
    lora(target_modules=["c_attn", "transformer.h.0.mlp.c_fc"], layers_to_transform=[1]),
    lora(target_modules=r".*c_attn", layers_to_transform=[1]),
    lora(target_modules=["c_attn", "c_fc"], r=4, rank_pattern={"c_fc": 2}),
    lora(target_modules=["c_attn", "c_fc"], rank_pattern={"fc": 2}),
    lora(target_modules=["c_attn", "c_fc"], r=4, lora_alpha=12,
         rank_pattern={"h.1.attn.c_attn": 3, "attn.c_attn": 6}, alpha_pattern={"mlp.c_fc": 5}),
    lora(target_modules=["c_attn"], rank_pattern={"attn.c_attn": 6, "h.1.attn.c_attn": 3}),
    lora(target_modules=["c_attn"], rank_pattern={r"h\.[1-9].*": 2, "c_attn": 5}),
    lora(target_modules=["c_attn"], rank_pattern={"^transformer.h.0.*": 2}),
    lora(target_modules=["c_attn"], rank_pattern={"transformer": 2}),
    lora(target_modules=["c_attn", "c_fc"], rank_pattern={"c_attn|c_fc": 2}),
    lora(target_modules=["c_attn"], alpha_pattern={"c_attn": 2.5}, use_rslora=True, r=2),
    lora(target_modules=["c_attn"], bias="all"),
    lora(target_modules=["c_attn"], bias="lora_only"),
    lora(target_modules=["c_attn"], modules_to_save=["ln_f"]),
    lora(target_modules=["c_attn"], modules_to_save=["f"]),
    lora(target_modules=["c_attn", "c_proj"], modules_to_save=["mlp"]),
    lora(target_modules=["c_proj"], modules_to_save=["attn"]),
    lora(target_modules=["c_attn"], modules_to_save=["c_attn"]),
    lora(target_modules=["c_attn", "c_proj"], modules_to_save=["proj"]),
    lora(target_modules=["c_attn", "c_fc"], modules_to_save=["h.1"]),
    lora(target_modules="all-linear", modules_to_save=["c_fc", "wpe"]),
    lora(target_modules=["c_attn"], modules_to_save=["ln_1", "ln_2"], bias="all"),
    lora(target_modules=["c_attn"], modules_to_save=["score"]),
    lora(target_modules=["c_attn"], modules_to_save=[]),
    ia3(),
    ia3(target_modules=["c_attn", "mlp.c_proj"], feedforward_modules=["mlp.c_proj"]),
    ia3(target_modules=["c_attn", "mlp.c_proj"], feedforward_modules=[]),
    ia3(target_modules=["c_attn", "c_proj"], feedforward_modules=["c_proj"]),
    ia3(target_modules=["c_attn", "c_fc", "c_proj"], feedforward_modules=["c_proj", "c_fc"]),
    ia3(target_modules=["c_attn", "c_fc", "c_proj"]),
    ia3(target_modules=r".*\.c_(fc|proj)", feedforward_modules=r".*mlp.*"),
    ia3(target_modules=r".*\.c_(fc|proj)", feedforward_modules=["fc", "roj"]),
    ia3(target_modules="all-linear", feedforward_modules=[]),
    ia3(target_modules=["c_attn"], feedforward_modules=[], exclude_modules=["h.0.attn.c_attn"]),
    ia3(target_modules=["c_attn"], feedforward_modules=[], modules_to_save=["ln_f"]),
]

CASES = {
    "gpt2": GPT2_CASES,
    "gpt2-untied": [
        lora(target_modules="all-linear"),
        lora(modules_to_save=["lm_head"]),
        lora(modules_to_save=["wte"]),
        lora(modules_to_save=["lm_head", "wte", "wpe", "ln_f"], bias="lora_only"),
    ],
    "gpt2-12": [
        lora(target_modules=["c_attn"], layers_to_transform=[1]),
        lora(target_modules=["1.attn.c_attn"]),
        lora(target_modules=["c_attn"], layers_to_transform=[10, 11], layers_pattern="h"),
        lora(target_modules=["c_attn"], rank_pattern={r"h\.1.*": 2}),
        lora(target_modules=["c_attn"], exclude_modules=r".*\.h\.[0-8]\..*"),
        lora(target_modules=["c_fc"], layers_to_transform=[0], modules_to_save=["1"]),
    ],
    "opt": [
        lora(),
        ia3(),
        lora(target_modules=["fc1", "out_proj"], layers_to_transform=[1], layers_pattern="layers"),
        lora(target_modules="all-linear", bias="lora_only"),
        lora(target_modules=r".*(k|v)_proj", rank_pattern={"v_proj": 2}),
        lora(target_modules=["q_proj"], modules_to_save=["final_layer_norm"]),
        ia3(target_modules=["fc1", "fc2"], feedforward_modules=["fc2"]),
    ],
    "t5": [
        lora(),
        ia3(),
        lora(target_modules=["q"], layers_to_transform=[1]),
        lora(target_modules=["EncDecAttention.v", "wi"]),
        lora(target_modules="all-linear", exclude_modules=["o", "wo"]),
        lora(target_modules=r"decoder\..*\.(q|k)", rank_pattern={"SelfAttention.*": 3}),
        lora(target_modules=["q"], layers_to_transform=[0], layers_pattern="layer"),
    ],
}


def describe(model):
    linears, weights = [], []
    head = model.get_output_embeddings()
    by_id = {id(p): name for name, p in model.named_parameters()}
    for name, module in model.named_modules():
        if isinstance(module, (torch.nn.Linear, Conv1D)) and module is not head:
            linears.append([name, isinstance(module, Conv1D), module.bias is not None,
                            *module.weight.shape])
    owned = {f"{name}.{part}" for name, *_ in linears for part in ("weight", "bias")}
    for name, parameter in model.named_parameters():
        if name not in owned:
            weights.append([name, *parameter.shape])
    return {"model_type": model.config.model_type, "linears": linears, "weights": weights,
            "head": ["lm_head", by_id[id(head.weight)]]}


def plain_name(name):
    for infix in ("base_model.model.", "modules_to_save.default.", "base_layer."):
        name = name.replace(infix, "")
    return name


def ask(model, config):
    """PEFT's answer. Its warnings are about keys that match nothing, which is a case of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return answer(model, config)


def answer(model, config):
    keys = {k: v for k, v in config.items() if k != "peft_type"}
    try:
        kind = {"LORA": LoraConfig, "IA3": IA3Config}[config["peft_type"]]
        wrapped = get_peft_model(model, kind(**keys))
    except Exception as error:
        return {"error": type(error).__name__}
    adapted = {}
    for name, module in wrapped.base_model.model.named_modules():
        if isinstance(module, peft.tuners.lora.LoraLayer):
            adapted[name] = [module.r["default"], round(module.scaling["default"], 7)]
        elif isinstance(module, peft.tuners.ia3.IA3Layer):
            adapted[name] = "in" if module.is_feedforward else "out"
    trained = sorted({plain_name(n) for n, p in wrapped.named_parameters()
                      if p.requires_grad and ".lora_" not in n and ".ia3_l" not in n})
    return {"adapted": adapted, "trained": trained}


def main():
    out = {"versions": {"peft": peft.__version__, "transformers": transformers.__version__},
           "models": {name: describe(make()) for name, make in models().items()}, "cases": []}
    for name, configs in CASES.items():
        for config in configs:
            out["cases"].append({"model": name, "config": config, **ask(models()[name](), config)})
    lines = [f' "{key}": {json.dumps(out[key])},' for key in ("versions", "models")]
    cases = ",\n  ".join(json.dumps(case) for case in out["cases"])
    with open(sys.argv[1], "w") as file:
        file.write("{\n" + "\n".join(lines) + f'\n "cases": [\n  {cases}\n ]\n}}\n')


if __name__ == "__main__":
    main()
