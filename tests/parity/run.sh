#!/usr/bin/env bash
# Holds hone against PyTorch, Transformers, PEFT and tokenizers: runs every *_parity.py here.
# usage: tests/parity/run.sh [script...]
#   HONE_PARITY_VENV  Python environment, made when it is not there or not complete
#                     (default: ~/.cache/hone-parity)
#   HONE_BIN          the program under test (default: build/hone)
#   HONE_SHARED       folder with more models and texts; what needs it is skipped without it
# pip's own settings decide where packages come from; any CPU build of torch will do.
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=${HONE_PARITY_VENV:-$HOME/.cache/hone-parity}
requirements=tests/parity/requirements.txt
HONE_BIN=$(realpath -m "${HONE_BIN:-build/hone}")
HONE_SHARED=$(realpath -m "${HONE_SHARED:-../shared}")
HONE_BUILD=$(dirname "$HONE_BIN")
export HONE_BIN HONE_SHARED HONE_BUILD PYTHONDONTWRITEBYTECODE=1

complete() {
    [ -x "$venv/bin/python" ] && "$venv/bin/python" - "$requirements" <<'PYTHON'
import sys
from importlib.metadata import PackageNotFoundError, version

for line in open(sys.argv[1], encoding="utf-8"):
    name, _, wanted = line.split("#")[0].strip().partition("==")
    try:
        if name and version(name).split("+")[0] != wanted:
            sys.exit(1)
    except PackageNotFoundError:
        sys.exit(1)
PYTHON
}

if ! complete; then
    echo "making the Python environment $venv" >&2
    python3 -m venv --clear "$venv"
    pip=("$venv/bin/python" -m pip install --quiet --disable-pip-version-check)
    # Alone, so that nothing else decides which build of torch it is.
    "${pip[@]}" "$(grep '^torch==' "$requirements")"
    "${pip[@]}" -r "$requirements"
    complete || { echo "the environment $venv is not complete" >&2; exit 1; }
fi

scripts=("$@")
[ $# -gt 0 ] || scripts=(tests/parity/*_parity.py)
passed=0 failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for script in "${scripts[@]}"; do
    echo "== $script"
    if "$venv/bin/python" "$script" 2>&1 | tee "$log"; then result=0; else result=1; fi
    # A script ends with "N passed, N failed"; one that says nothing counts as one test.
    counts=$(grep -oE '^[0-9]+ passed, [0-9]+ failed' "$log" | tail -n 1 || true)
    read -r good _ bad _ <<<"${counts:-$((1 - result)) passed, $result failed}"
    [ "$result" = 0 ] || [ "$bad" -gt 0 ] || bad=1
    passed=$((passed + good)) failed=$((failed + bad))
done
echo
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
