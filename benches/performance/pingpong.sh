#!/usr/bin/env bash
# TCP and UDP ping-pong: one session, one message of 64 bytes at a time, wsbench and sockperf in turn against sockperf's
# own server. What is timed by both: the whole round trip, from just before the write to just after the read.
#
#     benches/performance/pingpong.sh
#
#   SPIN   a flag of `wsbench run` for a third side that spins [--spin]; left out if it isn't known
#
# sockperf's server answers what begins with sockperf's own head (eight bytes of sequence, two of flags, four of length);
# so a template puts one before wsbench's tag.
source "$(dirname "$0")/lib.sh"
source benches/peers/sides.sh
figures=per_second,cpu_us,cpu_user_us,mean_us,p50_us,p99_us
spin=${SPIN:---spin}
have sockperf || { say "no sockperf: run benches/peers/install.sh"; exit 1; }
sides=(sockperf wsbench)
knows "${spin%% *}" && sides+=(spin) || say "this wsbench knows no $spin"

# A ping from a client that wants a pong, 64 bytes long.
head='\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0001\u0000\u0003\u0000\u0000\u0000\u0040'
workload="payload = \"64B\"
template = \"$head{{tag}}{{fill}}\""

one() {
    local log=$out/$kind-$1-$round flags=()
    case $1 in
        sockperf) pingpong_sockperf "$log" "$kind" "$port" && row sockperf "$log" "at=$kind" side=sockperf ;;
        *)
            [ "$1" = wsbench ] || read -ra flags <<<"$spin"
            wsbench_run bound "$log" "$out/$kind.toml" ${flags[@]+"${flags[@]}"} &&
                row wsbench "$log" "at=$kind" "side=wsbench${flags[*]:+ ${flags[*]}}"
            ;;
    esac
}

for kind in tcp udp; do
    port=$(free_port)
    if [ "$kind" = tcp ]; then
        settings='dialect = "raw"
framing = "fixed"'
        serve "sockperf-$kind" "$port" "$peers/bin/sockperf" server --tcp -i 127.0.0.1 -p "$port"
    else
        settings='dialect = "raw"'
        taskset -c "$server" "$peers/bin/sockperf" server -i 127.0.0.1 -p "$port" >"$out/server-sockperf-udp.log" 2>&1 &
        started+=($!)
        sleep 1                                               # nothing answers a knock over UDP
    fi
    echo_scenario "$out/$kind.toml" "$kind" "$kind://127.0.0.1:$port" 'sessions = 1
arrival = "closed"' "$settings" "$workload"
    interleave one "${sides[@]}"
    stop_server
done
table sockperf per_second,p50_us "Ping-pong, sockperf's server"
