#!/usr/bin/env bash
# Fetches the peers that wsbench is compared with, from package registries alone, into a folder; nothing is installed into
# the system, and root isn't needed.
#
#     benches/peers/install.sh [FOLDER [NAME…]]        default: target/peers, and all of them
#
# NAMEs and what they need:
#
#   nginx wrk sockperf tsung    apt-get and dpkg
#   socketify                   the same, and python3 with venv
#   uwebsockets                 cargo, cc and c++ (C++20): its echo server, and its load_test
#   oha                         cargo
#   autocannon artillery        npm
#
# What is there already is left alone. What can't be had is said and left out; the script still ends with 0.
set -uo pipefail
cd "$(dirname "$0")/../.."
here=$PWD
folder=$(realpath -m "${1:-target/peers}")
shift || true
names=("$@")
[ ${#names[@]} -gt 0 ] || names=(nginx wrk sockperf uwebsockets socketify oha autocannon artillery tsung)
mkdir -p "$folder/bin" "$folder/logs"

say() { printf '%-12s %s\n' "$1" "$2"; }

# Unpacks Debian's packages into $folder/debian.
debian() {
    local into=$folder/debian
    mkdir -p "$into/archives"
    local code=0
    (cd "$into/archives" && apt-get download "$@" && for deb in *.deb; do dpkg -x "$deb" "$into" || exit 1; done) || code=1
    rm -rf "$into/archives"
    return $code
}

# $folder/bin/NAME, a shell line that ends in "$@".
launcher() { printf '#!/bin/sh\n%s\n' "$2" >"$folder/bin/$1" && chmod +x "$folder/bin/$1"; }

libraries="LD_LIBRARY_PATH=$folder/debian/usr/lib/$(uname -m)-linux-gnu"

get_nginx() { [ -x /usr/sbin/nginx ] && launcher nginx 'exec /usr/sbin/nginx "$@"' && return
    debian nginx && launcher nginx "exec env $libraries $folder/debian/usr/sbin/nginx \"\$@\""; }
get_wrk() { debian wrk libluajit-5.1-2 && launcher wrk "exec env $libraries $folder/debian/usr/bin/wrk \"\$@\""; }
get_sockperf() { debian sockperf && launcher sockperf "exec $folder/debian/usr/bin/sockperf \"\$@\""; }

get_tsung() {
    debian tsung erlang-base erlang-{asn1,crypto,eldap,ftp,inets,mnesia,os-mon,public-key,runtime-tools,snmp,ssl,tftp,xmerl} &&
        launcher tsung "exec $here/benches/peers/tsung.sh $folder/debian \"\$@\""
}

get_socketify() {
    python3 -m venv "$folder/python" && "$folder/python/bin/pip" -q install socketify==0.0.31 && debian libuv1 &&
        launcher socketify "exec env $libraries $folder/python/bin/python $here/benches/peers/echo.py \"\$@\"" &&
        env "$libraries" "$folder/python/bin/python" -c 'import socketify'
}

# uWebSockets with its own load generator, as the crate that wraps it carries it.
get_uwebsockets() {
    local work=$folder/uwebsockets source
    rm -rf "$work" && mkdir -p "$work/src" && touch "$work/src/lib.rs" &&
        printf '%s\n' '[package]' 'name = "carrier"' 'version = "0.0.0"' 'edition = "2021"' '[workspace]' \
            '[dependencies]' 'libuwebsockets-sys = "=0.0.10"' >"$work/Cargo.toml" &&
        (cd "$work" && cargo vendor --versioned-dirs >/dev/null) || return
    source=$work/vendor/libuwebsockets-sys-0.0.10/uWebSockets
    (cd "$source" &&
        cc -O3 -DLIBUS_NO_SSL -IuSockets/src -c uSockets/src/*.c uSockets/src/eventing/epoll_kqueue.c &&
        cc -O3 -DLIBUS_NO_SSL -IuSockets/src benchmarks/load_test.c ./*.o -o "$folder/bin/load_test" &&
        { c++ -std=c++20 -O3 -DLIBUS_NO_SSL -DUWS_NO_ZLIB -Isrc -IuSockets/src "$here/benches/peers/echo.cpp" ./*.o \
            -o "$folder/bin/uwebsockets" || echo "no C++ compiler: load_test alone"; })
}

get_oha() {
    cargo install oha --version 1.16.0 --locked --root "$folder/cargo" &&
        launcher oha "exec $folder/cargo/bin/oha \"\$@\""
}

# A program of an npm package: node NAME PACKAGE@VERSION
node() {
    npm install --prefix "$folder/npm" --no-audit --no-fund --ignore-scripts --silent "$2" &&
        launcher "$1" "exec $folder/npm/node_modules/.bin/$1 \"\$@\""
}
get_autocannon() { node autocannon autocannon@9.0.0; }
get_artillery() { node artillery artillery@2.0.34; }

for name in "${names[@]}"; do
    made=$name
    [ "$name" != uwebsockets ] || made=load_test
    if [ -x "$folder/bin/$made" ]; then
        say "$name" "is there"
    elif ! declare -F "get_$name" >/dev/null; then
        say "$name" "unknown"
    elif "get_$name" >"$folder/logs/$name.log" 2>&1; then
        say "$name" "fetched"
    else
        rm -f "$folder/bin/$made"
        say "$name" "not to be had here: $folder/logs/$name.log"
    fi
done
say k6 "not at hand: no registry used here carries it"
say tcpkali "not at hand: no registry used here carries it"
