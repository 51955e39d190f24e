#!/usr/bin/env bash
# Connects with the WebSocket handshake a second, when as many sessions as asked for are opened at once and held: over
# all of them, and over the last tenth, which would show a cliff where free ports get rare.
#
#     benches/performance/connects.sh
#
#   SESSIONS  [5000 10000 15000 18000], at least 1000; how many files may be open bounds it
#   ENGINES   [native fastwebsockets]
#   RATE      connects a second to ask for, more than can be had [100k/s]
#
# The server says when handshakes were done; how long each connect took from its start is wsbench's figure.
source "$(dirname "$0")/lib.sh"
figures=connects_per_second,last_connects_per_second,connected,p50_us,p99_us
serve_websocket

for engine in ${ENGINES:-native fastwebsockets}; do
    echo_scenario "$out/$engine.toml" websocket "ws://127.0.0.1:$port/" "arrival = \"constant\"
rate = \"1k/s\"
connect_rate = \"${RATE:-100k/s}\"
connect_timeout = \"30s\"" "dialect = \"raw\"
engine = \"$engine\""
    can "$out/$engine.toml" "$engine" && sides+=("$engine")
done

one() {
    local log=$out/$sessions-$1-$round
    wsbench_run bound "$log" "$out/$1.toml" -c "$sessions" && cp "$server_log" "$log.server" &&
        row connects "$log" "at=$sessions" "side=wsbench $1"
}

for sessions in ${SESSIONS:-5000 10000 15000 18000}; do
    if [ "$((sessions + 100))" -gt "$(ulimit -n)" ]; then
        say "$sessions sessions need more open files than $(ulimit -n)"
    else
        interleave one "${sides[@]}"
    fi
done
table wsbench connects_per_second "Connects by sessions, $server_name"
