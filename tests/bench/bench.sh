#!/usr/bin/env bash
# hone beside its peers on this machine: markdown tables of ratios on standard output.
# usage: tests/bench/bench.sh [options of side_by_side.py]
#   HONE_PARITY_VENV  Python environment of tests/parity/run.sh (default: ~/.cache/hone-parity)
#   HONE_BENCH_WORK   folder for the models, about 2.5 GB (default: ~/.cache/hone-bench)
#   HONE_SHARED       where there, its data/gpt2-bpe becomes GPT-2's tokenizer, its data/text has
#                     the synopses, and its models/tiny-t5 the tokenizer for them
# All of it takes about an hour; --list names the jobs, --only NAME chooses some. Run it on a quiet
# machine: the last column says how quiet it was.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${HONE_PARITY_VENV:-$HOME/.cache/hone-parity}/bin/python
work=${HONE_BENCH_WORK:-$HOME/.cache/hone-bench}
shared=${HONE_SHARED:-../shared}
[ -x "$python" ] || { echo "no Python environment: run tests/parity/run.sh first" >&2; exit 2; }
options=()
# give FLAG PATH...: the first path that exists
give() {
    local flag=$1 path
    shift
    for path; do
        [ ! -e "$path" ] || { options+=("$flag" "$path"); return; }
    done
}
give --tokenizer "$shared/data/gpt2-bpe"
give --synopses "$shared/data/text/debian-synopsis.jsonl.zst" data/synopsis/train.jsonl
give --spiece models/tiny-t5/spiece.model "$shared/models/tiny-t5/spiece.model"
export PYTHONDONTWRITEBYTECODE=1
exec "$python" tests/bench/side_by_side.py "$work" "${options[@]}" "$@"
