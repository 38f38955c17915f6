"""Time the matrix product of a GPT-2 layer (2048 x 768 x 768) with PyTorch's oneDNN: what this
machine gives to anyone. Prints one JSON object of GFLOP/s by type.

usage: peer_products.py [threads]
"""

import json
import sys
import time

import torch


def rate(dtype, rows=2048, width=768, seconds=1.5):
    a = torch.randn(rows, width).to(dtype)
    b = torch.randn(width, width).to(dtype)
    out = a @ b
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        begin = time.perf_counter()
        for _ in range(8):
            torch.mm(a, b, out=out)
        best = min(best, (time.perf_counter() - begin) / 8)
    return 2e-9 * rows * width * width / best


torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
print(json.dumps({"f32": rate(torch.float32), "bf16": rate(torch.bfloat16)}))
