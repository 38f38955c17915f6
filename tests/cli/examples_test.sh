#!/usr/bin/env bash
# Runs the examples of every command's help, on a few rows of the demo's data and with few steps.
# usage: examples_test.sh HONE
set -euo pipefail
hone=$(realpath "$1")
root=$(realpath "$(dirname "$0")/../..")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/bin" "$work/data/demo" "$work/data/synopsis" "$work/runs"
ln -s "$hone" "$work/bin/hone"
ln -s "$root/models" "$root/README.md" "$work"
for part in train valid; do
    for data in demo synopsis; do
        head -n 8 "$root/data/$data/$part.jsonl" >"$work/data/$data/$part.jsonl"
    done
done
export PATH=$work/bin:$PATH
cd "$work"
hone train --model models/tiny-gpt2 --train data/demo/train.jsonl --max-steps 2 --out runs/demo \
    --quiet >/dev/null

ran=0 failures=0
for command in $(hone --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'); do
    example=
    while IFS= read -r line; do
        example+="${line#  }"$'\n'
        [[ $line != *\\ ]] || continue
        ran=$((ran + 1))
        if ! bash -c "${example//--max-steps 50/--max-steps 2}" >out 2>err </dev/null; then
            printf 'FAILED: %s' "$example"
            cat err
            failures=$((failures + 1))
        elif [ ! -s out ]; then
            printf 'FAILED (no output): %s' "$example"
            failures=$((failures + 1))
        fi
        example=
    done < <(hone "$command" --help | sed '1,/^Examples:/d')
done
echo "$ran examples, $failures failed"
[ $failures -eq 0 ] && [ $ran -ge 15 ]
