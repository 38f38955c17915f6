#!/usr/bin/env bash
# Builds with clang's source coverage, runs the tests, and prints lines and branches by file.
# usage: scripts/coverage.sh        (the pages are in build/coverage/html)
set -euo pipefail
cd "$(dirname "$0")/.."
cmake --preset coverage >/dev/null
cmake --build --preset coverage -- --quiet
rm -rf build/coverage/raw
ctest --preset coverage --quiet || echo "some tests failed" >&2
llvm-profdata-14 merge -sparse build/coverage/raw/*.profraw -o build/coverage/all.profdata
objects=()
while IFS= read -r program; do
    objects+=(-object "$program")
done < <(find build/coverage -type f -executable -path '*/tests/*')
[ ! -x build/coverage/hone ] || objects+=(-object build/coverage/hone)
options=("${objects[@]:1}" -instr-profile build/coverage/all.profdata
    -ignore-filename-regex '/tests/')
llvm-cov-14 show -format=html -output-dir build/coverage/html "${options[@]}"
llvm-cov-14 report "${options[@]}"
