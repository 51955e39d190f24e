#!/usr/bin/env bash
# dnsmasq, of Debian: a DNS server that knows one domain. Usage: dnsmasq.sh install | installed | start PORT FOLDER
set -euo pipefail
export PATH=$PATH:/usr/sbin

installed() { command -v dnsmasq >/dev/null; }

install() {
  installed && return
  local sudo=
  [ "$(id -u)" = 0 ] || sudo=sudo
  $sudo apt-get update -qq
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends dnsmasq-base >/dev/null
}

# Every name under bench.test is 192.0.2.1. Each query is a line of queries.log.
start() {
  local folder
  folder=$(cd "$2" && pwd)
  exec dnsmasq --keep-in-foreground --conf-file=/dev/null --user="$(id -un)" --pid-file="$folder/pid" \
    --listen-address=127.0.0.1 --bind-interfaces --port="$1" --no-resolv --no-hosts --local-ttl=1 \
    --address=/bench.test/192.0.2.1 --log-queries --log-facility="$folder/queries.log"
}

"$@"
