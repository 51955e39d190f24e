#!/usr/bin/env bash
# Runs every measurement of this folder, and writes one Markdown file of their tables and of the machine.
#
#     benches/performance/all.sh FILE [NAME…]
#
# NAMEs [all]: websocket pacing connects http pingpong memory scaling. Settings: lib.sh. Logs go to OUT/NAME. The machine
# must be otherwise idle for the figures to mean anything; the load average before and after stands in the file.
set -euo pipefail
file=$(realpath -m "${1:?usage: benches/performance/all.sh FILE [NAME…]}")
names=("${@:2}")
[ ${#names[@]} -gt 0 ] || names=(websocket pacing connects http pingpong memory scaling)
cd "$(dirname "$0")/../.."
out=$(realpath -m "${OUT:-target/performance/all-$(date +%Y%m%d-%H%M%S)}")
wsbench=${WSBENCH:-target/release/wsbench}
mkdir -p "$out" "$(dirname "$file")"
[ -x "$wsbench" ] || { echo "no $wsbench: build it first, or set WSBENCH" >&2; exit 1; }

load() { cut -d' ' -f1-3 /proc/loadavg; }
before=$(load) failed=()
for name in "${names[@]}"; do
    echo "$name …" >&2
    OUT=$out/$name "benches/performance/$name.sh" >"$out/$name.md" || failed+=("$name")
done
{
    echo "Measured $(date +%F) with $("$wsbench" --version), revision $(git rev-parse --short HEAD 2>/dev/null || echo unknown), on"
    echo "$(nproc) cores ($(sed -n 's/^model name\s*: //p' /proc/cpuinfo | head -1)), Linux $(uname -r)."
    echo "${ROUNDS:-5} rounds of ${DURATION:-5} s each. Load average before $before, after $(load)."
    for name in "${names[@]}"; do
        echo
        cat "$out/$name.md"
    done
} >"$file"
echo "$file"
[ ${#failed[@]} = 0 ] || { echo "failed: ${failed[*]}" >&2; exit 1; }
