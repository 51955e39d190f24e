#!/usr/bin/env bash
# WebSocket echo, closed loop: one client core, one server core, 24-byte payloads, one message in flight a session.
#
#     benches/performance/websocket.sh
#
#   ENGINES           wsbench's engines to run [native fastwebsockets tungstenite]; one that this wsbench doesn't know is left out
#   WEBSOCKET_TOOLS   other tools [load_test], where they are at hand; also artillery and tsung
#   SESSIONS          [64 1000 10000]
#   SERVER            uwebsockets or socketify [the first at hand]
#
# Further settings: lib.sh. Each line is messages a second, CPU of the generator for each, and response times (load_test
# takes none).
source "$(dirname "$0")/lib.sh"
source benches/peers/sides.sh
figures=per_second,sent_per_second,cpu_us,cpu_user_us,p50_us,p99_us,p99_over_p50,mean_us
serve_websocket

for engine in ${ENGINES:-native fastwebsockets tungstenite}; do
    echo_scenario "$out/$engine.toml" websocket "ws://127.0.0.1:$port/" 'arrival = "closed"
connect_rate = "5k/s"
timeout = "10s"' "dialect = \"raw\"
engine = \"$engine\""
    can "$out/$engine.toml" "$engine" && sides+=("$engine")
done
for tool in ${WEBSOCKET_TOOLS-load_test}; do
    have "$tool" && sides+=("$tool") || say "$tool is not at hand"
done

one() { # one SIDE
    local log=$out/$sessions-$1-$round
    case $1 in
        load_test | artillery | tsung) "websocket_$1" "$log" "$sessions" "$port" && row "$1" "$log" "at=$sessions" "side=$1" ;;
        *) wsbench_run bound "$log" "$out/$1.toml" -c "$sessions" && row wsbench "$log" "at=$sessions" "side=wsbench $1" ;;
    esac
}

for sessions in ${SESSIONS:-64 1000 10000}; do
    run=()
    for side in "${sides[@]}"; do
        # It connects one session at a time, and the others echo meanwhile: that takes minutes from some thousands on.
        [ "$side" = load_test ] && [ "$sessions" -gt 2000 ] && say "load_test is left out at $sessions" || run+=("$side")
    done
    interleave one ${run[@]+"${run[@]}"}
done
table "load_test|wsbench" per_second,cpu_us "WebSocket echo by sessions, $server_name"
