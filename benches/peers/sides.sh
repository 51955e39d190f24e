# How each other tool is run; sourced behind ../performance/lib.sh. Every function takes LOG, and what it is asked for.

# As many lines of four seconds as cover the duration; the first only begins to count.
websocket_load_test() { # LOG SESSIONS PORT
    client_run "$1" $((duration + 60)) --until Msg/sec $((duration / 4 + 2)) -- \
        stdbuf -oL "$peers/bin/load_test" "$2" 127.0.0.1 "$3" 0 0 24
}

# It doesn't wait for answers, so each session sends a hundred a second; its ws engine takes no response time.
websocket_artillery() { # LOG SESSIONS PORT
    cat >"$1.yml" <<YAML
config:
  target: "ws://127.0.0.1:$3/"
  phases: [{ duration: 1, arrivalCount: $2 }]
scenarios:
  - engine: ws
    flow:
      - loop: [{ send: "aaaaaaaaaaaaaaaaaaaaaaaa" }, { think: 0.01 }]
        count: $((duration * 100))
YAML
    artillery "$1"
}

http_artillery() { # LOG SESSIONS PORT
    cat >"$1.yml" <<YAML
config:
  target: "http://127.0.0.1:$3"
  http: { pool: $2 }
  phases: [{ duration: 1, arrivalCount: $2 }]
scenarios:
  - flow:
      - loop: [{ get: { url: "/" } }]
        count: $((duration * 2000 / $2 + 1))
YAML
    artillery "$1"
}

artillery() { # LOG: the test in LOG.yml
    ARTILLERY_DISABLE_TELEMETRY=true client_run "$1" $((duration * 3 + 60)) -- \
        "$peers/bin/artillery" run --quiet --output "$1.json" "$1.yml"
}

# Each user waits for its answer; the users go when the duration is over.
websocket_tsung() { # LOG SESSIONS PORT
    local dtd
    dtd=$(find "$peers/debian/usr/share/tsung" -name 'tsung-1.0.dtd' | head -1)
    cat >"$1.xml" <<XML
<?xml version="1.0"?>
<!DOCTYPE tsung SYSTEM "$dtd">
<tsung loglevel="warning">
  <clients><client host="localhost" use_controller_vm="true" maxusers="60000"/></clients>
  <servers><server host="127.0.0.1" port="$3" type="tcp"/></servers>
  <load duration="$((duration + 2))" unit="second">
    <arrivalphase phase="1" duration="$((duration + 2))" unit="second">
      <users maxnumber="$2" arrivalrate="$2" unit="second"/>
    </arrivalphase>
  </load>
  <options><option name="websocket_path" value="/"/></options>
  <sessions><session name="echo" probability="100" type="ts_websocket">
    <request><websocket type="connect" path="/"/></request>
    <for from="1" to="100000000" var="i"><request><websocket type="message">aaaaaaaaaaaaaaaaaaaaaaaa</websocket></request></for>
  </session></sessions>
</tsung>
XML
    rm -rf "$1.logs" && mkdir -p "$1.logs"
    client_run "$1" $((duration + 30)) -- "$peers/bin/tsung" -f "$1.xml" -l "$1.logs" start &&
        cp "$1.logs"/*/tsung.log "$1.tsung"
}

http_wrk() { # LOG CONNECTIONS PORT
    client_run "$1" $((duration + 20)) -- "$peers/bin/wrk" -t1 -c "$2" -d "${duration}s" --latency "http://127.0.0.1:$3/"
}

http_oha() {
    client_run "$1" $((duration + 20)) -- \
        "$peers/bin/oha" --worker-threads 1 --no-tui --output-format json -c "$2" -z "${duration}s" "http://127.0.0.1:$3/"
}

http_autocannon() {
    client_run "$1" $((duration + 20)) -- "$peers/bin/autocannon" --json -n -c "$2" -d "$duration" "http://127.0.0.1:$3/"
}

pingpong_sockperf() { # LOG tcp|udp PORT
    local kind=()
    [ "$2" = udp ] || kind=(--tcp)
    client_run "$1" $((duration + 20)) -- \
        "$peers/bin/sockperf" ping-pong ${kind[@]+"${kind[@]}"} -i 127.0.0.1 -p "$3" -m 64 -t "$duration" --full-rtt
}
