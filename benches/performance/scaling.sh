#!/usr/bin/env bash
# CPU for each message with one worker and with two, at the same rate, from ten sessions a worker to 15,000.
#
#     benches/performance/scaling.sh
#
#   WORKERS   [1 2]; more than one is left out if `wsbench run` knows no --workers
#   SESSIONS  a worker [10 1000 10000 15000]; how many files the server may open bounds it
#   RATE      messages a second and worker [10000]
#   ENGINE    [native, else fastwebsockets]
#
# With fewer cores than workers and server together they share cores: then the CPU for a message stands, response times don't.
source "$(dirname "$0")/lib.sh"
figures=cpu_us,cpu_user_us,core,kept,p50_us,p99_us,connected
serve_websocket

for engine in ${ENGINE:-native fastwebsockets}; do
    echo_scenario "$out/scaling.toml" websocket "ws://127.0.0.1:$port/" 'arrival = "constant"
rate = "1k/s"
connect_rate = "5k/s"
connect_timeout = "30s"' "dialect = \"raw\"
engine = \"$engine\""
    can "$out/scaling.toml" "$engine" && break
done
for workers in ${WORKERS:-1 2}; do
    [ "$workers" = 1 ] || knows --workers || { say "this wsbench knows no --workers"; continue; }
    sides+=("$workers")
done

one() {
    local log=$out/$sessions-$1-$round flags=()
    knows --workers && flags=(--workers "$1")
    if [ $((sessions * $1 + 100)) -gt "$(ulimit -n)" ]; then
        say "$sessions × $1 sessions need more open files than the server's $(ulimit -n)"
        return
    fi
    wsbench_run free "$log" "$out/scaling.toml" -c $((sessions * $1)) -r "$((${RATE:-10000} * $1))/s" ${flags[@]+"${flags[@]}"} &&
        row wsbench "$log" "at=$sessions" "side=workers: $1"
}

for sessions in ${SESSIONS:-10 1000 10000 15000}; do
    interleave one "${sides[@]}"
done
table "workers: 1" cpu_us "CPU a message by sessions a worker, wsbench $engine"
