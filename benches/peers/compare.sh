#!/usr/bin/env bash
# Fetches the other tools, and measures wsbench beside them: the same servers, in turn, round after round.
#
#     benches/peers/compare.sh [FILE]        default: a new folder in target/performance
#
# FILE gets a Markdown table for each comparison, with medians and ratios; what each tool printed lies beside it, or in OUT.
# Settings: benches/performance/lib.sh. Takes half an hour with the defaults, a minute or two with ROUNDS=1 DURATION=2.
#
#   WEBSOCKET_TOOLS   [load_test tsung artillery]
#   HTTP_TOOLS        [wrk oha autocannon artillery]
#   SESSIONS, CONNECTIONS   [64 1000]
#
# Not compared: tcpkali and k6, which no registry used here carries.
set -euo pipefail
cd "$(dirname "$0")/../.."
export PEERS=${PEERS:-target/peers} SESSIONS=${SESSIONS:-64 1000} CONNECTIONS=${CONNECTIONS:-64 1000}
export WEBSOCKET_TOOLS=${WEBSOCKET_TOOLS-load_test tsung artillery} HTTP_TOOLS=${HTTP_TOOLS-wrk oha autocannon artillery}
export OUT=${OUT:-target/performance/compare-$(date +%Y%m%d-%H%M%S)}
[ -n "${WSBENCH:-}" ] || cargo build --release --locked
benches/peers/install.sh "$PEERS"
exec benches/performance/all.sh "${1:-$OUT/compare.md}" websocket http pingpong
