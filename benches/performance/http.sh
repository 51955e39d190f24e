#!/usr/bin/env bash
# Keep-alive GET against nginx, closed loop: one client core, one server core, one request in flight a connection.
#
#     benches/performance/http.sh
#
#   HTTP_TOOLS   [wrk oha], where they are at hand; also autocannon and artillery
#   CONNECTIONS  [64 1000]
#
# wsbench's side is an arm of transport `http`; left out where it doesn't know one.
source "$(dirname "$0")/lib.sh"
source benches/peers/sides.sh
figures=per_second,cpu_us,cpu_user_us,p50_us,p99_us,p99_over_p50
serve_http

for tool in ${HTTP_TOOLS-wrk oha}; do
    have "$tool" && sides+=("$tool") || say "$tool is not at hand"
done
echo_scenario "$out/http.toml" http "http://127.0.0.1:$port/" 'arrival = "closed"
connect_rate = "5k/s"' 'dialect = "raw"
method = "GET"' 'payload = "64B"'
can "$out/http.toml" http && sides+=(wsbench)

one() {
    local log=$out/$connections-$1-$round
    if [ "$1" = wsbench ]; then
        wsbench_run bound "$log" "$out/http.toml" -c "$connections"
    else
        "http_$1" "$log" "$connections" "$port"
    fi && row "$1" "$log" "at=$connections" "side=$1"
}

for connections in ${CONNECTIONS:-64 1000}; do
    interleave one "${sides[@]}"
done
table "wrk|oha" per_second,cpu_us "Keep-alive GET by connections, $server_name"
