#!/usr/bin/env bash
# Redis, of Debian. Usage: redis.sh install | installed | start PORT FOLDER
set -euo pipefail

installed() { command -v redis-server >/dev/null; }

install() {
  installed && return
  local sudo=
  [ "$(id -u)" = 0 ] || sudo=sudo
  $sudo apt-get update -qq
  # The package would start a server of its own.
  $sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends redis-server >/dev/null
}

start() {
  exec redis-server --bind 127.0.0.1 --port "$1" --dir "$2" --save '' --appendonly no --daemonize no
}

"$@"
