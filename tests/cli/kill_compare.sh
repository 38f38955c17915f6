#!/usr/bin/env bash
# Kills a comparison at random moments and starts it again, until it gets through: its runs, their
# scores while training, predictions and pictures must be those of one that was never interrupted.
# usage: kill_compare.sh HONE [KILLS [SEED]]
set -euo pipefail
hone=$1 kills=${2:-6} seed=${3:-$$}
RANDOM=$seed
root=$(realpath "$(dirname "$0")/../..")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

fail() {
    echo "kill_compare: $1 (seed $seed)" >&2
    exit 1
}

for part in train valid; do head -16 "$root/data/synopsis/$part.jsonl" > $part.jsonl; done
compare() { # the folder
    exec "$hone" compare --methods ia3,full --learning-rates ia3=0.01,full=1e-3 \
        --model "$root/models/tiny-gpt2" --train train.jsonl --valid valid.jsonl --max-steps 6 \
        --batch-size 2 --max-source-length 40 --eval-steps 2 --save-steps 1 --eval-generate 2 \
        --num-predictions 4 --max-new-tokens 6 --metrics rouge1,rougeL \
        --metric-for-best-model rouge1 --out "$1" --quiet
}

begin=$(date +%s%N)
(compare whole) > whole.log 2>&1 || fail "the uninterrupted comparison failed: $(tail -1 whole.log)"
milliseconds=$((($(date +%s%N) - begin) / 1000000))

killed=0
while [ $killed -lt "$kills" ]; do
    (compare broken) > run.log 2>&1 &
    process=$!
    delay=$((RANDOM % (milliseconds * 2 / 3 + 1)))
    sleep "$((delay / 1000)).$(printf '%03d' $((delay % 1000)))"
    if kill -9 $process 2> /dev/null; then
        wait $process 2> /dev/null || true
    else
        wait $process || fail "exit code $?: $(tail -1 run.log)"
        rm -r broken
    fi
    killed=$((killed + 1))
done
(compare broken) > run.log 2>&1 || fail "the last one failed: $(tail -1 run.log)"

for run in ia3 full; do
    for file in train.tsv valid.tsv scores.jsonl predictions.jsonl predictions plots; do
        diff -r "whole/runs/$run/$file" "broken/runs/$run/$file" > /dev/null ||
            fail "runs/$run/$file differs from the uninterrupted one's"
    done
done
diff -r whole/runs/ia3/adapter broken/runs/ia3/adapter > /dev/null || fail "the adapter differs"
for picture in loss-epoch perplexity-epoch rouge-epoch; do
    cmp -s whole/plots/$picture.svg broken/plots/$picture.svg || fail "$picture.svg differs"
done
head -1 whole/table.tsv | grep -q 'rouge1_high' || fail "table.tsv has no scores"
left=$(find broken -name '*.tmp.*')
[ -z "$left" ] || fail "left behind: $left"
echo "kill_compare: $killed kills, then the same results"
