"""Time greedy decoding, or beam search, with Transformers, and print one JSON object.

usage: peer_decode.py MODEL_DIR ROWS.jsonl [--batch N] [--dtype f32|bf16] [--prompt N] [--tokens N]
                      [--beams N]

Prompts are the first N tokens of the rows, all of one length, so no padding is computed. A warm-up
text is made first and not counted; tokens per second count every sequence of the batch.
"""

import argparse
import json
import time

from measure import Neighbours, allocator, peak_rss_bytes, read_rows, seconds_since_start


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("rows")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--dtype", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--prompt", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--beams", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()

    import torch
    from transformers import GPT2LMHeadModel, logging

    logging.set_verbosity_error()
    torch.set_num_threads(options.threads)
    dtype = torch.bfloat16 if options.dtype == "bf16" else torch.float32
    model = GPT2LMHeadModel.from_pretrained(options.model, dtype=dtype).eval()
    rows = read_rows(options.rows)
    ids = torch.tensor([row[:options.prompt] for row in rows[:options.batch]])

    def generate(tokens):
        with torch.inference_mode():
            return model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False,
                                  num_beams=options.beams, min_new_tokens=tokens,
                                  max_new_tokens=tokens, pad_token_id=50256)

    generate(1)
    first = seconds_since_start()
    generate(8)
    seconds = []
    neighbours = Neighbours()
    for _ in range(options.repeats):
        start = time.perf_counter()
        generate(options.tokens)
        seconds.append(time.perf_counter() - start)
    print(json.dumps({
        "program": "transformers", "batch": options.batch, "beams": options.beams,
        "dtype": options.dtype,
        "prompt_tokens": options.prompt, "new_tokens": options.tokens,
        "best_tokens_per_second": options.batch * options.tokens / min(seconds),
        "first_token_seconds": first,
        "allocator": allocator(),
        "peak_rss_bytes": peak_rss_bytes(),
        "cores_busy_elsewhere": neighbours.busy_cores(),
    }))


if __name__ == "__main__":
    main()
