# What the scripts here share; they source it. Settings, from the environment:
#
#   WSBENCH   the program under test [target/release/wsbench]
#   PEERS     where benches/peers/install.sh put the other tools [target/peers]
#   OUT       where logs, rows and results go [target/performance/NAME-DATE-TIME]
#   ROUNDS    how often every side runs, in turn [5]
#   DURATION  seconds that each run measures [5]
#   WARMUP    seconds of load before that, wsbench's alone [1]
#   PAUSE     seconds between two runs [1]
#
# Everything runs on 127.0.0.1, is bounded in time, and only what was started here is ended here. The client has the
# first core, the server the last.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
name=$(basename "$0" .sh)
wsbench=$(realpath -m "${WSBENCH:-target/release/wsbench}")
peers=$(realpath -m "${PEERS:-target/peers}")
out=$(realpath -m "${OUT:-target/performance/$name-$(date +%Y%m%d-%H%M%S)}")
rounds=${ROUNDS:-5} duration=${DURATION:-5} warmup=${WARMUP:-1} pause=${PAUSE:-1}
client=0 server=$(($(nproc) - 1))
rows=$out/rows.jsonl
mkdir -p "$out"
[ -x "$wsbench" ] || { echo "no $wsbench: build it first, or set WSBENCH" >&2; exit 1; }
ulimit -n "$(ulimit -Hn)"
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY all_proxy ALL_PROXY

started=() sides=() round=1
tidy() {
    local pid
    for pid in ${started[@]+"${started[@]}"}; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
}
trap tidy EXIT
trap 'exit 130' INT TERM

read_figures() { python3 benches/performance/read.py "$@"; }
say() { printf '%s\n' "$*" >&2; }
have() { [ -x "$peers/bin/$1" ]; }

# A port that nobody listens on at the moment, below the ephemeral range, so that no client takes it meanwhile.
free_port() {
    local port
    for port in $(shuf -i 20000-30000 -n 50); do
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
    done
    return 1
}

# Starts a server on the server's core, its output in $server_log, and waits until PORT answers: serve NAME PORT COMMAND…
serve() {
    local port=$2 tries
    server_log=$out/server-$1.log
    taskset -c "$server" "${@:3}" >"$server_log" 2>&1 &
    started+=($!)
    for tries in $(seq 100); do
        kill -0 "${started[-1]}" 2>/dev/null || break
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && return
        sleep 0.1
    done
    say "$1 doesn't serve: $server_log ($tries tries)"
    return 1
}

# Ends the server that was started last.
stop_server() {
    kill "${started[-1]}" 2>/dev/null || true
    wait "${started[-1]}" 2>/dev/null || true
    unset 'started[-1]'
}

# A WebSocket echo server on $port: uWebSockets itself, or from Python where no compiler was at hand. SERVER chooses.
serve_websocket() {
    port=$(free_port)
    local kind=${SERVER:-$(have uwebsockets && echo uwebsockets || echo socketify)}
    have "$kind" || { say "no $kind: run benches/peers/install.sh"; return 1; }
    server_name="$kind echo"
    serve "$kind" "$port" "$peers/bin/$kind" "$port"
}

# nginx that answers every GET with 64 bytes, on $port.
serve_http() {
    have nginx || { say "no nginx: run benches/peers/install.sh"; return 1; }
    port=$(free_port)
    server_name=$("$peers/bin/nginx" -v 2>&1 | sed 's/.*: //')
    mkdir -p "$out/nginx"
    sed "s|@PORT@|$port|; s|@FOLDER@|$out/nginx|" benches/peers/nginx.conf >"$out/nginx/nginx.conf"
    serve nginx "$port" "$peers/bin/nginx" -p "$out/nginx" -c "$out/nginx/nginx.conf"
}

# Runs a client on its core, its output and usage beside LOG, for LIMIT seconds at most:
# client_run LOG LIMIT [OPTION…] -- COMMAND…
client_run() { read_figures run "$1" --core "$client" --limit "${@:2}"; }

# Writes a scenario of one echo arm: echo_scenario FILE TRANSPORT URL|embedded LOAD_KEYS [ARM_KEYS [WORKLOAD_KEYS]]
echo_scenario() {
    local target="[target.urls]
$2 = \"$3\""
    [ "$3" != embedded ] || target="[target.embedded]"
    cat >"$1" <<TOML
name = "$name"
[workload.echo]
${6:-payload = \"24B\"
format = \"binary\"}
[load]
warmup = "${warmup}s"
duration = "${duration}s"
$4
$target
[transports.$2]
${5:-}
TOML
}

# Can this wsbench run this scenario? Else says why, once: can SCENARIO ARM
can() {
    "$wsbench" check "$1" >"$1.check" 2>&1 && return
    say "wsbench leaves out $2: $(grep -m1 error "$1.check" || echo "see $1.check")"
    return 1
}

# Does `wsbench run` know this flag?
knows() { "$wsbench" run --help | grep -q -- "$1\b"; }

# A run of wsbench, on the client's core, or with `free` on those that it picks: wsbench_run free|bound LOG SCENARIO [FLAG…]
wsbench_run() {
    local core=() code=0
    [ "$1" = free ] || core=(taskset -c "$client")
    rm -rf "$2"
    timeout --foreground -k 5 $((duration + warmup + 120)) "${core[@]}" \
        "$wsbench" run "$3" --out "$2" --format json --no-charts --quiet "${@:4}" >"$2.summary.json" 2>"$2.err" || code=$?
    case $code in
        0 | 95) ;; # 95: the figures are there, marked as not valid
        *) say "wsbench ended with $code: $2.err"; return 1 ;;
    esac
}

# Adds a line to the rows, from what was logged: row TOOL LOG at=… side=… [NAME=VALUE…]   `figures` says which are shown.
row() { read_figures row "$1" "$2" "$rows" "measure=$name" "round=$round" "show=$figures" "${@:3}"; }

# Every side in turn, ROUNDS times: interleave FUNCTION SIDE…   A side that fails is said and left out of that round.
interleave() {
    local function=$1 side
    shift
    for round in $(seq "$rounds"); do
        for side in "$@"; do
            "$function" "$side" || say "$name: $side failed in round $round"
            sleep "$pause"
        done
    done
}

# The table of medians, with ratios to a side, and below it a JSON line for each median: table SIDE[|SIDE…] FIGURE,… TITLE
table() {
    [ -s "$rows" ] || { say "$name: nothing was measured"; return 1; }
    read_figures table "$rows" "$@" | tee "$out/table.md"
    say "$name: logs and rows in $out"
}
