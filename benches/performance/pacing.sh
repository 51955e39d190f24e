#!/usr/bin/env bash
# Keeping a schedule: how late messages leave, and whether the rate is kept, over WebSocket and 100 sessions.
#
#     benches/performance/pacing.sh
#
#   RATES    messages a second, constant [1000 20000 50000]; a run is long enough for a p99 of them, whatever DURATION says
#   ENGINE   [native, else fastwebsockets]
#   SPIN     the flag that makes the generator spin before a send is due [--spin]; left out if `wsbench run` doesn't know it
source "$(dirname "$0")/lib.sh"
figures=lateness_p50_us,lateness_p99_us,kept,core,cpu_us
spin=${SPIN:---spin}
serve_websocket

for engine in ${ENGINE:-native fastwebsockets}; do
    echo_scenario "$out/pacing.toml" websocket "ws://127.0.0.1:$port/" 'sessions = 100
arrival = "constant"
rate = "1k/s"' "dialect = \"raw\"
engine = \"$engine\""
    can "$out/pacing.toml" "$engine" && break
done
sides=(default)
knows "${spin%% *}" && sides+=(spin) || say "this wsbench knows no $spin"

one() {
    local log=$out/$rate-$1-$round flags=() seconds=$((12000 / rate > duration ? 12000 / rate : duration))
    [ "$1" = default ] || read -ra flags <<<"$spin"
    wsbench_run bound "$log" "$out/pacing.toml" -r "$rate/s" -d "${seconds}s" ${flags[@]+"${flags[@]}"} &&
        row wsbench "$log" "at=$rate/s" "side=wsbench $engine, $1"
}

for rate in ${RATES:-1000 20000 50000}; do
    interleave one "${sides[@]}"
done
table "wsbench $engine, default" lateness_p50_us,lateness_p99_us "Send lateness by rate"
