"""The models and jobs of the benchmark: shapes, what is trained, on which rows, against whom."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Model:
    title: str
    transformers: str  # class in Transformers; its configuration is <prefix>Config
    config: dict  # what differs from that class's defaults
    targets: str  # of LoRA
    vocabulary: int
    dropouts: tuple  # keys of config.json that --dropout sets
    encoder_decoder: bool = False
    ia3: dict = field(default_factory=dict)  # PEFT's default targets
    tokenizer: tuple = ()  # files that --tokenizer copies


MODELS = {
    "gpt2-124m": Model(
        "GPT-2 124M", "GPT2LMHeadModel", {}, "c_attn,c_proj", 50257,
        ("attn_pdrop", "embd_pdrop", "resid_pdrop"),
        ia3={"target_modules": ["c_attn", "mlp.c_proj"], "feedforward_modules": ["mlp.c_proj"]},
        tokenizer=("vocab.json", "merges.txt")),
    "opt-125m": Model(
        "OPT-125m", "OPTForCausalLM",
        {"vocab_size": 50272, "hidden_size": 768, "ffn_dim": 3072, "num_hidden_layers": 12,
         "num_attention_heads": 12, "max_position_embeddings": 2048, "layerdrop": 0.0},
        "q_proj,v_proj", 50272, ("dropout", "attention_dropout")),
    "t5-small": Model(
        "T5-small", "T5ForConditionalGeneration",
        {"vocab_size": 32128, "d_model": 512, "d_ff": 2048, "d_kv": 64, "num_heads": 8,
         "num_layers": 6, "decoder_start_token_id": 0},
        "q,v", 32128, ("dropout_rate",), encoder_decoder=True),
}


@dataclass(frozen=True)
class Step:
    """Training steps. rows: "random", all of one length, or "synopsis", descriptions and synopses
    of Debian packages, of which each batch differs and examples per second are compared."""
    model: str
    name: str
    method: str
    dtype: str
    peers: tuple
    rows: str = "random"
    batch: int = 4


@dataclass(frozen=True)
class Decoding:
    """Greedy decoding of a fixed number of new tokens behind `prompt` tokens."""
    model: str
    dtype: str
    batch: int
    peers: tuple
    prompt: int

    @property
    def name(self):
        return f"decoding, {self.dtype}, batch {self.batch}"


ALL = ("installed", "tuned", "compiled")

STEPS = [
    Step("gpt2-124m", "LoRA, f32", "lora", "f32", ALL),
    Step("gpt2-124m", "LoRA, bf16", "lora", "bf16", ("tuned", "compiled")),
    Step("gpt2-124m", "IA3, f32", "ia3", "f32", ("tuned",)),
    Step("gpt2-124m", "full, f32", "full", "f32", ("tuned",)),
    Step("gpt2-124m", "full, bf16", "full", "bf16", ("tuned",)),
    Step("opt-125m", "LoRA, f32", "lora", "f32", ALL),
    Step("opt-125m", "LoRA, bf16", "lora", "bf16", ("tuned", "compiled")),
    Step("t5-small", "LoRA, f32", "lora", "f32", ALL),
    Step("t5-small", "LoRA, bf16", "lora", "bf16", ("tuned", "compiled")),
    Step("t5-small", "synopses, f32", "lora", "f32", ("installed", "tuned"), "synopsis", 32),
    Step("t5-small", "synopses, bf16", "lora", "bf16", ("tuned",), "synopsis", 32),
]

DECODINGS = [Decoding(model, dtype, batch,
                      ("transformers", "ctranslate2") if dtype == "f32" else ("transformers",),
                      prompt)
             for model, prompt in (("gpt2-124m", 32), ("t5-small", 128))
             for dtype in ("f32", "bf16") for batch in (1, 8)]


def title(job):
    """What --only looks into."""
    return f"{MODELS[job.model].title}, {job.name}"


def job_size(job):
    """Of a step's batch, for the head of a table."""
    if job.rows == "synopsis":
        return f"{job.batch} synopses a step"
    return f"{job.batch} x " + ("(512 + 512)" if MODELS[job.model].encoder_decoder else "512")
