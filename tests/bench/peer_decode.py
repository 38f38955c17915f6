"""Time decoding, greedy or with beams, by Transformers or CTranslate2, and print one JSON object.

usage: peer_decode.py MODEL_DIR ROWS.jsonl [--engine transformers|ctranslate2] [--batch N]
                      [--dtype f32|bf16] [--prompt N] [--tokens N] [--beams N]

Prompts, or sources, are the first N tokens of the rows, all of one length, so no padding is
computed. Tokens per second come from two lengths, the best run of each, so that prompts, sources
and start-up count for nobody; they count every sequence of the batch. CTranslate2 reads
MODEL_DIR-ctranslate2 (make_models.py). MODEL_DIR's last part is a name of models.py.
"""

import argparse
import json
import os
import time

from measure import Neighbours, allocator, peak_rss_bytes, read_rows, seconds_since_start
from models import MODELS

SHORT = 8


def transformers_engine(options, facts, prompts):
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    torch.set_num_threads(options.threads)
    dtype = torch.bfloat16 if options.dtype == "bf16" else torch.float32
    model = getattr(transformers, facts.transformers).from_pretrained(options.model, dtype=dtype)
    model.eval()
    ids = torch.tensor(prompts)

    def generate(tokens):
        with torch.inference_mode():
            made = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False,
                                  num_beams=options.beams, min_new_tokens=tokens,
                                  max_new_tokens=tokens, pad_token_id=0)
        return made.shape[1] - (1 if facts.encoder_decoder else ids.shape[1])

    return generate


def ctranslate2_engine(options, facts, prompts):
    import ctranslate2

    kind = ctranslate2.Translator if facts.encoder_decoder else ctranslate2.Generator
    model = kind(f"{os.path.abspath(options.model)}-ctranslate2", device="cpu",
                 compute_type={"f32": "float32", "bf16": "bfloat16"}[options.dtype],
                 inter_threads=1, intra_threads=options.threads)
    words = [[str(token) for token in prompt] for prompt in prompts]

    def generate(tokens):
        if facts.encoder_decoder:
            made = model.translate_batch(words, beam_size=options.beams, min_decoding_length=tokens,
                                         max_decoding_length=tokens)
            return len(made[0].hypotheses[0])
        made = model.generate_batch(words, beam_size=options.beams, sampling_topk=1,
                                    min_length=tokens, max_length=tokens,
                                    include_prompt_in_result=False)
        return len(made[0].sequences_ids[0])

    return generate


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("rows")
    parser.add_argument("--engine", choices=("transformers", "ctranslate2"),
                        default="transformers")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--dtype", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--prompt", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--beams", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()

    facts = MODELS[os.path.basename(os.path.abspath(options.model))]
    key = "source_ids" if facts.encoder_decoder else "ids"
    prompts = [row[key][:options.prompt] for row in read_rows(options.rows)[:options.batch]]
    engine = transformers_engine if options.engine == "transformers" else ctranslate2_engine
    generate = engine(options, facts, prompts)

    generate(1)
    first = seconds_since_start()

    def seconds(tokens):
        start = time.perf_counter()
        made = generate(tokens)
        if made != tokens:
            raise RuntimeError(f"{options.engine} made {made} tokens of {tokens}")
        return time.perf_counter() - start

    seconds(SHORT)
    neighbours = Neighbours()
    short = min(seconds(SHORT) for _ in range(options.repeats))
    longer = min(seconds(SHORT + options.tokens) for _ in range(options.repeats))
    print(json.dumps({
        "program": options.engine, "batch": options.batch, "beams": options.beams,
        "dtype": options.dtype,
        "prompt_tokens": options.prompt, "new_tokens": options.tokens,
        "best_tokens_per_second": options.batch * options.tokens / (longer - short),
        "short_seconds": short, "first_token_seconds": first,
        "allocator": allocator(),
        "peak_rss_bytes": peak_rss_bytes(),
        "cores_busy_elsewhere": neighbours.busy_cores(),
    }))


if __name__ == "__main__":
    main()
