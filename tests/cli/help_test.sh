#!/usr/bin/env bash
# Every command's help: exit code 0, nothing on standard error, at most 80 columns, a line for each
# flag it accepts, examples that name commands and flags that exist.
# usage: help_test.sh HONE
set -euo pipefail
hone=$1
failures=0
fail() {
    echo "$1"
    failures=$((failures + 1))
}

commands=$("$hone" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p')
[ "$(wc -w <<<"$commands")" -ge 7 ] || fail "hone --help lists too few commands: $commands"
for command in '' $commands; do
    # shellcheck disable=SC2086
    help=$("$hone" $command --help 2>/tmp/help_err.$$) || fail "$command --help: exit code $?"
    [ ! -s /tmp/help_err.$$ ] || fail "$command --help wrote to standard error"
    wide=$(awk 'length($0) > 80' <<<"$help")
    [ -z "$wide" ] || fail "$command --help is wider than 80 columns: $wide"
    [ -n "$command" ] || continue
    [ "$help" = "$("$hone" help "$command")" ] || fail "hone help $command differs"
    grep -q '^Examples:' <<<"$help" || fail "$command --help has no examples"
    examples=$(sed -n '/^Examples:/,$p' <<<"$help")
    [ "$(grep -c 'hone ' <<<"$examples")" -ge 2 ] || [ "$command" = merge ] ||
        fail "$command --help has fewer than two examples"
    for flag in $(grep -o -- '--[a-z][a-z0-9-]*' <<<"$examples" | sort -u); do
        grep -q -- "^  $flag\b" <<<"$help" || fail "$command --help: example with unknown $flag"
    done
    # Each flag is known to the parser: a second, unknown one is what it complains about.
    for flag in $(grep -o -- '^  --[a-z][a-z0-9-]*' <<<"$help"); do
        message=$("$hone" "$command" "$flag=x" --no-such-flag 2>&1) && fail "$command took it"
        grep -q 'unknown option --no-such-flag' <<<"$message" || fail "$command $flag: $message"
    done
done
rm -f /tmp/help_err.$$
echo "$(wc -w <<<"$commands") commands, $failures failures"
[ $failures -eq 0 ]
