#!/usr/bin/env bash
# Every C file is as clang-format 14 writes it.   usage: scripts/check_format.sh
set -euo pipefail
cd "$(dirname "$0")/.."
git ls-files -z '*.c' '*.h' | xargs -0 clang-format-14 --dry-run -Werror
