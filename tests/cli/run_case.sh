#!/usr/bin/env bash
# Runs one file of command line cases and compares output and exit code.
# usage: run_case.sh HONE FILE
#
# A case file holds, line by line:
#   # text         a comment
#   $ command      a shell command, in a fresh folder of the file; lines that end in \ go on
#   > text         a line of its standard output       >~ regex   a line that matches
#   ! text         a line of its standard error        !~ regex   a line that matches
#   >*  and  !*    any lines from here on
#   ? number       its exit code; 0 where not given
# Output that is not expected is a failure. `hone` is the program under test, $ROOT the checkout,
# $DATA tests/cli/data. A line "skip unless FILE" skips the rest where a file is absent.
set -uo pipefail
hone=$(realpath "$1")
file=$(realpath "$2")
export ROOT DATA LC_ALL=C.UTF-8
ROOT=$(realpath "$(dirname "$file")/../../..")
DATA=$ROOT/tests/cli/data
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/bin" "$work/run"
ln -s "$hone" "$work/bin/hone"
export PATH=$work/bin:$PATH
cd "$work/run" || exit 1

failures=0 ran=0
command='' code=0 out=() err=()

# same LINES EXPECTED...: whether the file of lines is as expected; prints the difference.
same() {
    local what=$1 lines_file=$2 i=0 lines=()
    shift 2
    mapfile -t lines <"$lines_file"
    for pattern in "$@"; do
        case $pattern in
        '*') return 0 ;;
        '~ '*) [[ ${lines[i]-} =~ ${pattern:2} ]] && [ $i -lt ${#lines[@]} ] || break ;;
        *) [ "${lines[i]-}" = "${pattern:1}" ] && [ $i -lt ${#lines[@]} ] || break ;;
        esac
        i=$((i + 1))
    done
    [ $i -eq $# ] && [ $i -eq ${#lines[@]} ] && return 0
    echo "FAILED: $command"
    echo "  $what, line $((i + 1)): expected: ${*:i+1:1}"
    echo "  $what, line $((i + 1)): found:    ${lines[i]-(nothing)}"
    return 1
}

finish_command() {
    [ -n "$command" ] || return 0
    local found ok=1
    ran=$((ran + 1))
    bash -c "$command" >"$work/out" 2>"$work/err" </dev/null
    found=$?
    if [ "$found" != "$code" ]; then
        echo "FAILED: $command"
        echo "  exit code: expected $code, found $found"
        sed 's/^/  /' "$work/err"
        ok=0
    fi
    same stdout "$work/out" ${out[@]+"${out[@]}"} || ok=0
    same stderr "$work/err" ${err[@]+"${err[@]}"} || ok=0
    [ $ok = 1 ] || failures=$((failures + 1))
    command='' code=0 out=() err=()
}

continued=''
while IFS= read -r line || [ -n "$line" ]; do
    if [ -n "$continued" ]; then
        command+=$'\n'$line
        [[ $line == *\\ ]] || continued=''
        continue
    fi
    case $line in
    '' | '#'*) ;;
    '$ '*)
        finish_command
        command=${line:2}
        [[ $line != *\\ ]] || continued=1
        ;;
    '>'*) out+=("${line:1}") ;;
    '!'*) err+=("${line:1}") ;;
    '? '*) code=${line:2} ;;
    'skip unless '*)
        needed=$(eval "echo ${line#skip unless }")
        if [ ! -e "$needed" ]; then
            finish_command
            echo "notice: $needed is not here; the rest of $(basename "$file") is skipped"
            break
        fi
        ;;
    *)
        echo "$file: a line that is no case: $line"
        exit 1
        ;;
    esac
done <"$file"
finish_command
echo "$ran commands, $failures failed"
[ $failures -eq 0 ]
