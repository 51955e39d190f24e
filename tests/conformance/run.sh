#!/usr/bin/env bash
# The Autobahn WebSocket suite against wsbench, both ends and every engine; docs/conformance.md says what it found.
#
#   tests/conformance/run.sh [OUT]     reports go to OUT, a folder by an absolute path (a new temporary one by default)
#
#   WSTEST   how to call the suite's `wstest`, words split at spaces (default: wstest)
#   PORT     where its fuzzing server listens on the loopback (default: 9001)
#   CASES    which cases, as a JSON array (default: all but limits, performance and compression)
#
# Needs cargo and python3. Ends with 0 if no case failed.
set -euo pipefail
out=$(realpath -m "${1:-$(mktemp -d)}")
cd "$(dirname "$0")/../.."
read -ra wstest <<<"${WSTEST:-wstest}"
port=${PORT:-9001}
cases=${CASES:-'["1.*","2.*","3.*","4.*","5.*","6.*","7.*","10.*"]'}
engines="native fastwebsockets tungstenite"

mkdir -p "$out"
cargo build --release --quiet --bin wsbench --example autobahn_client
started=()
trap '[ ${#started[@]} = 0 ] || kill "${started[@]}" 2>/dev/null || true' EXIT

spec() { # spec REPORTS REST: what one run of the suite is to do
    echo "{\"outdir\": \"$out/$1\", \"cases\": $cases, \"exclude-cases\": [], \"exclude-agent-cases\": {}, $2}" >"$out/$1.json"
}

servers=
for engine in $engines; do
    target/release/wsbench serve --open --engine "$engine" >"$out/serve-$engine.log" &
    started+=($!)
    until grep -q ready "$out/serve-$engine.log"; do kill -0 $! && sleep 0.1; done
    url=$(awk '$1 == "websocket" { print $2 }' "$out/serve-$engine.log")
    servers+="${servers:+, }{\"agent\": \"wsbench-$engine\", \"url\": \"$url\"}"
done
spec target "\"servers\": [$servers]"
"${wstest[@]}" -m fuzzingclient -s "$out/target.json" >"$out/target.log" 2>&1

spec client "\"url\": \"ws://127.0.0.1:$port\""
"${wstest[@]}" -m fuzzingserver -s "$out/client.json" --webport=0 >"$out/client.log" 2>&1 &
started+=($!)
until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do kill -0 $! && sleep 0.1; done
for engine in $engines; do
    target/release/examples/autobahn_client "ws://127.0.0.1:$port" "$engine"
done

python3 - "$out" <<'PYTHON'
import collections, json, sys

KINDS = ["OK", "NON-STRICT", "INFORMATIONAL", "FAILED"]
out, failed, notes = sys.argv[1], 0, []
print("\n| end | engine | cases | " + " | ".join(KINDS).lower() + " |\n|---|---|" + "---:|" * 5)
for end in ["target", "client"]:
    with open(f"{out}/{end}/index.json") as file:
        agents = json.load(file)
    for agent, cases in sorted(agents.items()):
        counts = collections.Counter()
        for case, verdict in cases.items():
            # A case is as good as the worse of what it says of messages and of closing; whatever else it says is bad.
            said = (verdict["behavior"], verdict["behaviorClose"])
            kind = max((v if v in KINDS else "FAILED" for v in said), key=KINDS.index)
            counts[kind] += 1
            if kind != "OK":
                notes.append(f"{end} {agent} {case}: {said[0]}, closing {said[1]}")
        failed += counts["FAILED"]
        figures = [len(cases), *(counts[kind] for kind in KINDS)]
        print(f"| {end} | {agent.removeprefix('wsbench-')} | " + " | ".join(map(str, figures)) + " |")
print("\n" + "\n".join(notes) + f"\n\nreports: {out}")
sys.exit(failed > 0)
PYTHON
