#!/usr/bin/env bash
# Installs what hone needs from Debian 12, and nothing when all of it is there.
# usage: scripts/install_packages.sh [build | ci]     (ci adds the tools that only checks need)
set -euo pipefail

packages=(gcc libc6-dev cmake ninja-build pkg-config libdnnl-dev libjansson-dev libyaml-dev
    libzip-dev libzstd-dev libutf8proc-dev libpcre2-dev libcairo2-dev libxxhash-dev libcmocka-dev)
if [ "${1:-build}" = ci ]; then
    packages+=(clang-14 clang-format-14 clang-tidy-14 llvm-14 git python3 python3-venv zstd
        libtcmalloc-minimal4)
fi

missing=()
for package in "${packages[@]}"; do
    status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" = 0 ]; then
    as_root=()
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root=(sudo -n)
else
    echo "hone needs packages that are not installed. As root, run:" >&2
    echo "    apt-get update && apt-get install -y --no-install-recommends ${missing[*]}" >&2
    exit 2
fi
echo "installing ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -q </dev/null >&2
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -q --no-install-recommends "${missing[@]}" </dev/null >&2
