#!/usr/bin/env bash
# The rules of the tree that a compiler doesn't check:
#   - a layer includes only the layers below it, and the CLI only <hone/...>;
#   - the header of an external library is included by exactly one .c file;
#   - memory comes from src/base/memory.c alone;
#   - the library never prints, exits or aborts;
#   - two .c files never share a name.
# usage: scripts/check_includes.sh
set -euo pipefail
cd "$(dirname "$0")/.."

# What each layer may include besides itself and <hone/...>. Written out, not derived, so that a new
# dependency is a decision. Models and adapters never include each other; engine joins them.
declare -A below=(
    [base]=""
    [tensor]="base"
    [text]="base"
    [data]="base tensor"
    [metric]="base text data"
    [optim]="base tensor"
    [report]="base"
    [file]="base tensor"
    [gemm]="base tensor"
    [op]="base tensor gemm"
    [graph]="base tensor gemm op"
    [model]="base tensor gemm op graph"
    [adapter]="base tensor file gemm op graph"
    [engine]="base tensor file gemm op graph model adapter"
    [infer]="base tensor file gemm op graph model adapter engine text data"
    [train]="base tensor file gemm op graph model adapter engine text data optim report infer"
    [study]="base tensor file gemm op graph model adapter engine text data optim report infer train"
)
libraries='dnnl|oneapi|jansson|yaml|zip|zstd|utf8proc|pcre2|cairo|xxhash|curl|microhttpd|mpi'
allocators='malloc|calloc|realloc|reallocarray|aligned_alloc|posix_memalign|free|strn?dup'
allocators+='|v?asprintf|getline|getdelim'
printers='v?printf|v?fprintf|puts|fputs|putchar|perror|exit|_exit|_Exit|abort'

failures=0
fail() {
    echo "$1" >&2
    failures=$((failures + 1))
}

layer_of() { cut -d/ -f2 <<<"$1"; }

check_layers() {
    local file line name target layer
    while IFS=: read -r file line name; do
        name=${name#*\"} name=${name%%\"*}
        layer=$(layer_of "$file")
        target=${name%%/*}
        if [ "$target" = "$name" ]; then
            fail "$file:$line: \"$name\": name the layer, as in \"base/memory.h\""
        elif [ -z "${below[$layer]+known}" ]; then
            fail "$file:$line: layer $layer is not in the table of scripts/check_includes.sh"
        elif [ "$target" != "$layer" ] && [[ " ${below[$layer]} " != *" $target "* ]]; then
            fail "$file:$line: layer $layer may not include $target (\"$name\")"
        fi
    done < <(grep -rn --include='*.[ch]' '^ *# *include *"' src)
    if grep -rnE --include='*.h' '^ *# *include *"' include; then
        fail "a public header includes a private one (above)"
    fi
}

check_cli() {
    local file line name
    [ -d cli ] || return 0
    while IFS=: read -r file line name; do
        name=${name#*\"} name=${name%%\"*}
        [ -f "cli/$name" ] || fail "$file:$line: the CLI may include <hone/...> only (\"$name\")"
    done < <(find cli -name '*.[ch]' -exec grep -n '^ *# *include *"' /dev/null {} +)
}

check_libraries() {
    local found library files
    found=$(grep -rnoE --include='*.[ch]' "^ *# *include *<($libraries)[./_a-z0-9-]*>" \
        src include $([ ! -d cli ] || echo cli) || true)
    if grep -E '^[^:]*\.h:' <<<"$found"; then
        fail "a header includes an external library's header (above)"
    fi
    for library in ${libraries//|/ }; do
        files=$(grep -E "<$library[./_-]" <<<"$found" | cut -d: -f1 | sort -u || true)
        if [[ "$files" == *$'\n'* ]]; then
            fail "$library is included by more than one file:"$'\n'"$files"
        fi
    done
}

# Calls of the functions named, outside comments and strings; not members (x->free) nor own names.
calls() {
    local pattern=$1 file
    shift
    for file in "$@"; do
        gcc -fpreprocessed -dD -E -w "$file" | awk -v file="$file" -v pattern="$pattern" '
            /^# [0-9]+ "/ { line = $2; next }
            {
                text = $0
                gsub(/"([^"\\]|\\.)*"/, "\"\"", text)
                if (text ~ "(^|[^A-Za-z0-9_>.])(" pattern ") *\\(")
                    print file ":" line ": " $0
                line++
            }'
    done
}

check_calls() {
    local sources found
    mapfile -t sources < <(git ls-files 'src/*.[ch]' 'cli/*.[ch]' ':!src/base/memory.c')
    found=$(calls "$allocators" "${sources[@]}")
    [ -z "$found" ] || fail "memory that does not come from src/base/memory.c:"$'\n'"$found"
    mapfile -t sources < <(git ls-files 'src/*.[ch]')
    found=$(calls "$printers" "${sources[@]}")
    [ -z "$found" ] || fail "the library never prints, exits or aborts:"$'\n'"$found"
}

check_names() {
    local twice
    twice=$(git ls-files '*.c' | xargs -n1 basename | sort | uniq -d)
    [ -z "$twice" ] || fail "file names used twice: $twice"
}

check_layers
check_cli
check_libraries
check_calls
check_names
if [ $failures -gt 0 ]; then
    echo "check_includes: $failures kinds of finding" >&2
    exit 1
fi
echo "check_includes: ok"
