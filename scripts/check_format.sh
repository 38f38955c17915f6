#!/usr/bin/env bash
# Every C file is as clang-format 14 writes it, every Python file compiles, every shell script parses,
# and no file holds what a merge left behind.   usage: scripts/check_format.sh
set -euo pipefail
cd "$(dirname "$0")/.."
failed=0
git ls-files -z '*.c' '*.h' | xargs -0 clang-format-14 --dry-run -Werror || failed=1
git ls-files -z '*.py' | xargs -0 python3 -c '
import sys
for path in sys.argv[1:]:
    with open(path, "rb") as file:
        compile(file.read(), path, "exec")' || failed=1
while IFS= read -r -d '' script; do
    bash -n "$script" || failed=1
done < <(git ls-files -z '*.sh' .ci/run demo test)
if git grep -nIE '^(<{7}|>{7}|\|{7})( |$)'; then
    echo "a merge was not finished in these files" >&2
    failed=1
fi
exit $failed
