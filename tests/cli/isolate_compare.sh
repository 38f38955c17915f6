#!/usr/bin/env bash
# The pieces of a comparison have processes of their own: the peak memory of a method does not depend
# on those before it, a piece that is killed is an error after which the same command goes on, and
# signals that only the parent gets reach the child.
# usage: isolate_compare.sh HONE
set -euo pipefail
hone=$(realpath "$1")
root=$(realpath "$(dirname "$0")/../..")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

fail() {
    echo "isolate_compare: $1" >&2
    exit 1
}

for part in train valid; do head -40 "$root/data/synopsis/$part.jsonl" > $part.jsonl; done
compare() { # the folder, the methods, the number of steps
    exec "$hone" compare --methods "$2" --model "$root/models/tiny-gpt2" --train train.jsonl \
        --valid valid.jsonl --max-steps "$3" --batch-size 4 --max-source-length 40 \
        --eval-steps 1000000 --save-steps 1 --eval-generate 2 --num-predictions 4 \
        --max-new-tokens 6 --metrics rouge1 --out "$1" --quiet
}

# peak FOLDER METHOD: of table.tsv, in bytes.
peak() {
    awk -F'\t' -v name="$2" '
        NR == 1 { for (i = 1; i <= NF; i++) if ($i == "peak_memory_bytes") column = i }
        $1 == name { printf "%d\n", $column }' "$1/table.tsv"
}

(compare up ia3,full 3) > up.log 2>&1 || fail "the comparison failed: $(tail -1 up.log)"
(compare down full,ia3 3) > down.log 2>&1 || fail "the comparison failed: $(tail -1 down.log)"
for method in ia3 full; do
    one=$(peak up $method) other=$(peak down $method)
    [ $((one * 100)) -lt $((other * 107)) ] && [ $((other * 100)) -lt $((one * 107)) ] ||
        fail "peak memory of $method depends on the order: $one, $other bytes"
done
[ "$(peak down full)" -gt $(($(peak down ia3) * 115 / 100)) ] ||
    fail "ia3 after full takes as much as full"

# Starts one that is long enough to be hit, and waits until its child has made some steps more.
steps() { { cat hit/runs/ia3/train.tsv 2> /dev/null || true; } | wc -l; }
start() {
    local before
    before=$(steps)
    (compare hit ia3 100000) > run.log 2>&1 &
    parent=$!
    for _ in $(seq 600); do
        [ "$(steps)" -le $((before + 3)) ] || break
        sleep 0.05
    done
    child=$(pgrep -P $parent) || fail "the parent has no child: $(cat run.log)"
}

start
kill -9 "$child"
code=0
wait $parent || code=$?
[ $code = 7 ] || fail "exit code of a comparison whose child was killed: $code"
grep -q '^hone compare: training ia3: its process was ended by signal 9 (Killed)' run.log ||
    fail "what it said: $(cat run.log)"
[ "$(wc -l < run.log)" = 1 ] || fail "it said more than one thing: $(cat run.log)"

# Going on, the signal is for the parent alone.
before=$(tail -1 hit/runs/ia3/train.tsv | cut -f1)
start
kill -TERM $parent
code=0
wait $parent || code=$?
[ $code = 143 ] || fail "exit code after SIGTERM: $code"
! kill -0 "$child" 2> /dev/null || fail "the child lives on"
grep -q '"status": "stopped"' hit/runs/ia3/summary.json || fail "the run was not stopped well"
[ "$(tail -1 hit/runs/ia3/train.tsv | cut -f1)" -ge $((before - 1)) ] || fail "it began anew"

# To the whole group, as a terminal sends it: told twice, it still ends well.
set -m
start
set +m
kill -INT -- -$parent
code=0
wait $parent || code=$?
[ $code = 130 ] || fail "exit code after SIGINT to the group: $code"
grep -q '"status": "stopped"' hit/runs/ia3/summary.json || fail "SIGINT: not stopped well"

# A parent that is killed takes its child along.
start
kill -9 $parent
wait $parent 2> /dev/null || true
for _ in $(seq 100); do
    kill -0 "$child" 2> /dev/null || break
    sleep 0.05
done
! kill -0 "$child" 2> /dev/null || fail "the child outlives the parent"
left=$(find up down -name '*.tmp.*')
[ -z "$left" ] || fail "left behind: $left"
echo "isolate_compare: peaks, killed and stopped children"
