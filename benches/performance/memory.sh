#!/usr/bin/env bash
# Resident memory for each WebSocket session, of the generator and of the embedded target: once all are connected, and
# after a few messages went over each.
#
#     benches/performance/memory.sh
#
#   SESSIONS  [10000]
#   ENGINES   [native fastwebsockets tungstenite], of the client; the target has its own
source "$(dirname "$0")/lib.sh"
figures=generator_rss_idle,generator_rss_used,target_rss_idle,target_rss_used,connected
for engine in ${ENGINES:-native fastwebsockets tungstenite}; do
    echo_scenario "$out/$engine.toml" websocket embedded 'arrival = "constant"
rate = "10k/s"
connect_rate = "5k/s"
connect_timeout = "30s"' "engine = \"$engine\""
    can "$out/$engine.toml" "$engine" && sides+=("$engine")
done

one() {
    local log=$out/$sessions-$1-$round
    wsbench_run free "$log" "$out/$1.toml" -c "$sessions" && row wsbench "$log" "at=$sessions" "side=wsbench $1"
}

for sessions in ${SESSIONS:-10000}; do
    interleave one "${sides[@]}"
done
table wsbench generator_rss_used "Memory a session by sessions, embedded target"
