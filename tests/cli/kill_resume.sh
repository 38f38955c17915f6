#!/usr/bin/env bash
# Kills training at random moments and resumes it, 20 times over one or more runs. Each run must end
# with the bytes of one that was never interrupted, and no checkpoint that was announced may be lost.
# usage: kill_resume.sh HONE [ROUNDS [SEED]]
set -euo pipefail
hone=$1 rounds=${2:-20} seed=${3:-$$}
RANDOM=$seed
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

fail() {
    echo "kill_resume: $1 (seed $seed)" >&2
    exit 1
}

mkdir model
cat > model/config.json <<'JSON'
{"model_type": "gpt2", "n_embd": 66, "n_head": 3, "n_layer": 2, "vocab_size": 97, "n_positions": 64,
 "initializer_range": 0.1}
JSON
row() { # its number, its length
    local i ids=""
    for ((i = 0; i < $2; i++)); do ids+="$(((($1 * 31) + i * ($1 % 5 + 3)) % 97)),"; done
    echo "{\"ids\": [${ids%,}]}"
}
for ((r = 0; r < 61; r++)); do row $r $((5 + r * 7 % 53)); done > train.jsonl
for ((r = 100; r < 110; r++)); do row $r 30; done > valid.jsonl

train() { # the run folder
    if [ -f "$1/config.yaml" ]; then
        exec "$hone" train --resume "$1"
    fi
    exec "$hone" train --model model --init random --train train.jsonl --valid valid.jsonl \
        --out "$1" --epochs 4 --batch-size 3 --gradient-accumulation-steps 2 --method lora \
        --target-modules all-linear --lora-dropout 0.1 --eval-steps 7 --save-steps 4
}

begin=$(date +%s%N)
(train whole) > /dev/null 2> whole.log || fail "the uninterrupted run failed: $(tail -1 whole.log)"
milliseconds=$((($(date +%s%N) - begin) / 1000000))

without_times() { sed 's/,"tokens_per_second".*//' "$1/log.jsonl"; }

compare() { # a finished run
    local file
    for file in train.tsv valid.tsv adapter/adapter_model.safetensors adapter/adapter_config.json \
        plots/loss.svg; do
        cmp -s "whole/$file" "$1/$file" || fail "$1/$file differs from the uninterrupted run's"
    done
    cmp -s <(without_times whole) <(without_times "$1") || fail "$1/log.jsonl differs"
    local left
    left=$(find "$1" -name '*.tmp.*')
    [ -z "$left" ] || fail "left behind: $left"
}

announced() { sed -n 's/^checkpoint  .*step-//p' "$1" | tail -1; }

run=0 finished=0 killed=0
while [ $killed -lt "$rounds" ]; do
    (train run-$run) > /dev/null 2> run.log &
    process=$!
    delay=$((RANDOM % (milliseconds * 2 / 3 + 1)))
    sleep "$((delay / 1000)).$(printf '%03d' $((delay % 1000)))"
    if kill -9 $process 2> /dev/null; then
        wait $process 2> /dev/null && code=0 || code=$?
    else
        wait $process && code=0 || code=$?
    fi
    last=$(announced run.log)
    if [ -n "$last" ] && [ ! -d "run-$run/checkpoints/step-$last" ]; then
        newest=$(ls "run-$run/checkpoints" | sed -n 's/^step-\([0-9]*\)$/\1/p' | sort -n | tail -1)
        [ "${newest:-0}" -gt "$last" ] || fail "checkpoint $last was announced and is gone"
    fi
    case $code in
    137) killed=$((killed + 1)) ;;
    0)
        compare run-$run
        finished=$((finished + 1))
        run=$((run + 1))
        ;;
    *) fail "exit code $code: $(tail -1 run.log)" ;;
    esac
done
(train run-$run) > /dev/null 2> run.log || fail "the last run failed: $(tail -1 run.log)"
compare run-$run
echo "kill_resume: $killed kills, $((finished + 1)) runs equal to the uninterrupted one"
