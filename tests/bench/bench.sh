#!/usr/bin/env bash
# hone beside PyTorch + PEFT on this machine: markdown tables of ratios on standard output.
# usage: tests/bench/bench.sh [options of side_by_side.py]
#   HONE_PARITY_VENV  Python environment of tests/parity/run.sh (default: ~/.cache/hone-parity)
#   HONE_BENCH_WORK   folder for the model, about 500 MB (default: ~/.cache/hone-bench)
#   HONE_SHARED       its data/gpt2-bpe, if there, becomes the model's tokenizer
# Takes about 20 minutes. Run it on a quiet machine: the last column says how quiet it was.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${HONE_PARITY_VENV:-$HOME/.cache/hone-parity}/bin/python
work=${HONE_BENCH_WORK:-$HOME/.cache/hone-bench}
tokenizer=${HONE_SHARED:-../shared}/data/gpt2-bpe
[ -x "$python" ] || { echo "no Python environment: run tests/parity/run.sh first" >&2; exit 2; }
[ ! -d "$tokenizer" ] || with_tokenizer=(--tokenizer "$tokenizer")
export PYTHONDONTWRITEBYTECODE=1
"$python" tests/bench/make_gpt2_124m.py "$work" "${with_tokenizer[@]:-}" >&2
exec "$python" tests/bench/side_by_side.py "$work" "$@"
