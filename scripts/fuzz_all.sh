#!/usr/bin/env bash
# Runs every fuzz target of the fuzz preset for some seconds, one a core at a time, starting from
# its stored corpus. A finding is left in build/fuzz/findings and makes the script fail.
# usage: scripts/fuzz_all.sh [seconds for each target, default 20]
set -euo pipefail
cd "$(dirname "$0")/.."
export seconds=${1:-20} root=$PWD/build/fuzz

fuzz_one() {
    local name=$1 program=$2 corpus=$3 work
    work=$root/work/$name
    rm -rf "$work"
    mkdir -p "$work" "$root/findings"
    if "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -seed=1 \
        -print_final_stats=1 -artifact_prefix="$root/findings/$name-" "$work" "$corpus" \
        >"$root/work/$name.log" 2>&1; then
        awk -v name="$name" '/stat::number_of_executed_units/ { print name ": " $2 " runs, ok" }' \
            "$root/work/$name.log"
    else
        tail -n 60 "$root/work/$name.log"
        echo "$name: FAILED, see $root/findings"
        return 1
    fi
}
export -f fuzz_one

ctest --test-dir build/fuzz --show-only=json-v1 | python3 -c '
import json, sys
for test in json.load(sys.stdin)["tests"]:
    command = test.get("command", [])
    if "-runs=0" in command:
        print(test["name"], command[0], command[-1])
' | xargs -r -L 1 -P "$(nproc)" bash -c 'fuzz_one "$@"' fuzz
