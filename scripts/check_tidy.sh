#!/usr/bin/env bash
# clang-tidy over library and CLI, one file a core at a time.
# usage: scripts/check_tidy.sh [file.c...]
# Reads the compile commands of the clang preset's build folder, which it configures if need be.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -f build/clang/compile_commands.json ] || cmake --preset clang >/dev/null
if [ $# -eq 0 ]; then
    mapfile -t files < <(git ls-files 'src/*.c' 'cli/*.c')
    set -- "${files[@]}"
fi

tidy() {
    local model=(--extra-arg=-include --extra-arg="$PWD/scripts/tidy_model.h")
    case $1 in
    src/base/failure.c | cli/*) model=() ;;
    esac
    # Its count of warnings in system headers is no finding.
    clang-tidy-14 --quiet -p build/clang "${model[@]}" "$1" 2>&1 |
        grep -vE '^[0-9]+ warnings? generated\.$' || true
    return "${PIPESTATUS[0]}"
}
export -f tidy
printf '%s\0' "$@" | xargs -0 -n 1 -P "$(nproc)" bash -c 'tidy "$1"' tidy
echo "check_tidy: $# files ok"
