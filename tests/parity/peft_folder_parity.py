"""Adapter folders: hone's in PEFT, PEFT's in hone, for many configurations of an odd GPT-2.

- PEFT's committed answers on matching (tests/golden/peft_targets.json) are PEFT's still.
- A new adapter by hone loads in PEFT without a warning, has the tensors and as many trainable
  parameters as PEFT's own, and changes nothing.
- A random adapter that PEFT saved comes back from hone value for value, gives PEFT the same outputs,
  and merges to the same outputs; also as f16 or bf16 and as adapter_model.bin.
"""

import json
import os
import subprocess
import tempfile

import make_models
import oracle
import peft_targets
import safetensors.torch
import torch
from checks import Checks
from peft import IA3Config, LoraConfig, get_peft_model_state_dict

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
TOOL = f"{os.environ.get('HONE_BUILD', f'{ROOT}/build')}/tests/support/adapter_tool"
DOCUMENT = [5, 17, 3, 96, 44, 44, 0, 71, 8, 23, 62]

LORA = {"task_type": "CAUSAL_LM", "fan_in_fan_out": True}
# name: (what hone is told, PEFT's configuration)
CASES = {
    "default": ("", LoraConfig(**LORA)),
    "all-linear": ("target_modules=all-linear r=5 lora_alpha=3",
                   LoraConfig(target_modules="all-linear", r=5, lora_alpha=3, **LORA)),
    "expression": (r"target_modules=.*\.(attn|mlp)\.c_proj use_rslora=true r=2",
                   LoraConfig(target_modules=r".*\.(attn|mlp)\.c_proj", use_rslora=True, r=2, **LORA)),
    "layers": ("target_modules=c_attn,c_fc layers_to_transform=1 layers_pattern=h",
               LoraConfig(target_modules=["c_attn", "c_fc"], layers_to_transform=[1],
                          layers_pattern=["h"], **LORA)),
    # In sorted order: PEFT sorts them when it saves, and what then matches first is another rank.
    "patterns": ("target_modules=c_attn,c_proj rank_pattern=c_proj=1,h.1.attn.c_attn=3,t.*c_attn=6 "
                 "alpha_pattern=c_proj=2.5",
                 LoraConfig(target_modules=["c_attn", "c_proj"], alpha_pattern={"c_proj": 2.5},
                            rank_pattern={"c_proj": 1, "h.1.attn.c_attn": 3, "t.*c_attn": 6},
                            **LORA)),
    "new, unsorted patterns": (
        "target_modules=c_attn rank_pattern=h.1.attn.c_attn=3,attn.c_attn=6",
        LoraConfig(target_modules=["c_attn"],
                   rank_pattern={"h.1.attn.c_attn": 3, "attn.c_attn": 6}, **LORA)),
    "excluded": ("target_modules=all-linear exclude_modules=mlp.c_proj,h.0.attn.c_attn",
                 LoraConfig(target_modules="all-linear",
                            exclude_modules=["mlp.c_proj", "h.0.attn.c_attn"], **LORA)),
    "all biases": ("target_modules=c_attn,c_fc bias=all",
                   LoraConfig(target_modules=["c_attn", "c_fc"], bias="all", **LORA)),
    "biases of targets": ("target_modules=c_proj bias=lora_only",
                          LoraConfig(target_modules=["c_proj"], bias="lora_only", **LORA)),
    "saved modules": ("target_modules=c_attn modules_to_save=ln_f,mlp",
                      LoraConfig(target_modules=["c_attn"], modules_to_save=["ln_f", "mlp"], **LORA)),
    "saved and biases": ("target_modules=c_attn modules_to_save=ln_f bias=all",
                         LoraConfig(target_modules=["c_attn"], modules_to_save=["ln_f"], bias="all",
                                    **LORA)),
    "ia3": ("method=ia3", IA3Config(**LORA)),
    "ia3, all": ("method=ia3 target_modules=c_attn,c_fc,mlp.c_proj feedforward_modules=mlp.c_proj",
                 IA3Config(target_modules=["c_attn", "c_fc", "mlp.c_proj"],
                           feedforward_modules=["mlp.c_proj"], **LORA)),
    "ia3, saved": (r"method=ia3 target_modules=.*c_(fc|attn) feedforward_modules=.*mlp.* "
                   "modules_to_save=ln_1",
                   IA3Config(target_modules=".*c_(fc|attn)", feedforward_modules=".*mlp.*",
                             modules_to_save=["ln_1"], **LORA)),
}


def tool(model, action, out, *settings):
    ended = subprocess.run([TOOL, model, action, out, *settings], capture_output=True, text=True,
                           check=False)
    if ended.returncode != 0:
        raise RuntimeError(f"exit code {ended.returncode}: {ended.stderr}")
    return json.loads(ended.stdout)


def logits(model):
    return oracle.document_logits(model, oracle.Row(DOCUMENT, DOCUMENT)).flatten()


def tensors(folder):
    return safetensors.torch.load_file(f"{folder}/adapter_model.safetensors")


def needless(name):
    """What PEFT writes besides a saved module's bias, which is there already."""
    return ".original_module." in name or ".modules_to_save." in name


def check_new(checks, name, settings, config):
    theirs = oracle.new_adapter("base", config, 1)
    told = tool("base", "save", "new", *settings.split())
    ours = oracle.open_with_adapter("base", "new")
    keys = {key for key in get_peft_model_state_dict(theirs) if not needless(key)}
    checks.that(f"{name}: the same tensors as PEFT", set(tensors("new")) == keys,
                str(sorted(set(tensors("new")) ^ keys)[:4] or ""))
    trainable, everything = theirs.get_nb_trainable_parameters()
    checks.that(f"{name}: as many parameters",
                [told["trainable"], told["parameters"]] == [trainable, everything],
                f"{told}, PEFT {trainable}, {everything}")
    checks.close(f"{name}: a new adapter changes nothing", logits(ours),
                 logits(oracle.open_base("base")), 1e-5)


def check_written_keys(checks, name):
    with open("theirs/adapter_config.json", encoding="utf-8") as file:
        theirs = json.load(file)
    with open("back/adapter_config.json", encoding="utf-8") as file:
        ours = json.load(file)
    different = {key: (value, theirs.get(key)) for key, value in ours.items()
                 if value != theirs.get(key) and
                 (not isinstance(value, list) or sorted(value) != sorted(theirs[key]))}
    different.pop("base_model_name_or_path", None)
    checks.that(f"{name}: every key has PEFT's value", not different, str(different or ""))


def check_peft_folder(checks, name, settings, config):
    del settings
    theirs = oracle.new_adapter("base", config, 2)
    with torch.no_grad():  # what is trained beside must differ from the base too
        for key, parameter in oracle.trained(theirs).items():
            if "lora_" not in key and "ia3_l" not in key:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    theirs.save_pretrained("theirs")
    expected = logits(theirs)
    tool("base", "save", "back", "adapter=theirs", "continue=1")
    before, after = tensors("theirs"), tensors("back")
    checks.that(f"{name}: values come back",
                set(after) == {key for key in before if not needless(key)}
                and all(torch.equal(after[key], before[key]) for key in after))
    check_written_keys(checks, name)
    checks.close(f"{name}: PEFT's outputs with what came back",
                 logits(oracle.open_with_adapter("base", "back")), expected, 0)
    tool("base", "merge", "merged", "adapter=theirs")
    checks.close(f"{name}: outputs when merged", logits(oracle.open_base("merged")), expected, 1e-4)
    for dtype in (torch.float16, torch.bfloat16):
        safetensors.torch.save_file({key: value.to(dtype) for key, value in before.items()},
                                    "theirs/adapter_model.safetensors", {"format": "pt"})
        tool("base", "save", "back", "adapter=theirs")
        checks.that(f"{name}: read from {dtype}",
                    all(torch.equal(value, before[key].to(dtype).float())
                        for key, value in tensors("back").items()))
    os.remove("theirs/adapter_model.safetensors")
    torch.save(before, "theirs/adapter_model.bin")
    tool("base", "save", "back", "adapter=theirs")
    checks.that(f"{name}: read from adapter_model.bin",
                all(torch.equal(value, before[key]) for key, value in tensors("back").items()))


def check_targets(checks):
    with open(f"{ROOT}/tests/golden/peft_targets.json", encoding="utf-8") as file:
        golden = json.load(file)
    makers = peft_targets.models()
    stale = [case for case in golden["cases"]
             if {"model": case["model"], "config": case["config"],
                 **peft_targets.ask(makers[case["model"]](), case["config"])} != case]
    checks.that(f"PEFT's {len(golden['cases'])} answers on matching", not stale, str(stale[:1] or ""))


def main():
    checks = Checks()
    checks.part("matching", check_targets)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        spec = make_models.MODELS["gpt2-odd"]
        make_models.write_model(make_models.random_model(spec["config"], 3), "base", spec)
        for name, (settings, config) in CASES.items():
            checks.part(name, check_new, name, settings, config)
            if not name.startswith("new"):
                checks.part(name, check_peft_folder, name, settings, config)
        os.chdir(ROOT)
    checks.finish()


if __name__ == "__main__":
    main()
