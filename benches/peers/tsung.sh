#!/usr/bin/env bash
# Runs tsung from the folder that its packages were unpacked into, on the loopback alone: tsung.sh FOLDER ARGUMENT…
#
# Erlang's port mapper would stay behind as a daemon; so it is started here on a port of its own, and ended.
set -euo pipefail
root=$1
shift
erlang=$root/usr/lib/erlang
# What the packages' scripts take for granted is /usr; copies of them are told otherwise.
sed "s|ROOTDIR=/usr/lib/erlang|ROOTDIR=$erlang|" "$erlang/bin/erl" >"$root/erl"
sed "s|/usr/lib/|$root/usr/lib/|g; s|^ERL=.*|ERL=$root/erl|" "$root/usr/bin/tsung" >"$root/tsung"
chmod +x "$root/erl" "$root/tsung"

export ERL_EPMD_PORT=$(shuf -i 30001-31000 -n 1) ERL_EPMD_ADDRESS=127.0.0.1
export ERL_FLAGS="-kernel inet_dist_use_interface {127,0,0,1} -start_epmd false"
"$erlang"/erts-*/bin/epmd -address 127.0.0.1 -port "$ERL_EPMD_PORT" &
mapper=$!
trap 'kill "$mapper" 2>/dev/null' EXIT
sleep 0.3
"$root/tsung" -n "$@"
