#!/usr/bin/env bash
# Socket.IO 4 from npm. PING_INTERVAL (ms, default 500) is how often it pings.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cache=${WSBENCH_SERVERS_DIR:-$HOME/.cache/wsbench-servers}/socketio
case $1 in
installed)
    command -v node >/dev/null && [ -e "$cache/node_modules/socket.io/package.json" ]
    ;;
install)
    bash "$0" installed && exit
    if ! command -v npm >/dev/null; then
        apt-get install -y -qq nodejs npm >/dev/null
    fi
    mkdir -p "$cache"
    npm install --silent --no-audit --no-fund --prefix "$cache" socket.io@4 >/dev/null
    ;;
start)
    cd "$3"
    NODE_PATH=$cache/node_modules exec node "$here/socketio.js" "$2" "${4:-}"
    ;;
*)
    echo "usage: $0 install | installed | start PORT FOLDER [PORT2]" >&2
    exit 2
    ;;
esac
