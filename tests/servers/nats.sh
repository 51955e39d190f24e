#!/usr/bin/env bash
# nats-server (Debian): TCP on PORT, WebSocket on PORT2, monitoring on PORT3.
#   nats.sh install | installed | start PORT FOLDER PORT2 PORT3
set -euo pipefail
PATH=$PATH:/usr/sbin

case ${1:?} in
install)
    command -v nats-server >/dev/null && exit
    sudo=
    [ "$(id -u)" = 0 ] || sudo=sudo
    $sudo apt-get update -qq
    # The package would start a server of its own.
    $sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends nats-server >/dev/null
    ;;
installed)
    command -v nats-server >/dev/null
    ;;
start)
    port=${2:?} folder=${3:?} websocket=${4:?} monitor=${5:?}
    cat >"$folder/nats.conf" <<CONF
listen: 127.0.0.1:$port
http: 127.0.0.1:$monitor
websocket { listen: "127.0.0.1:$websocket", no_tls: true }
accounts {
    ROOT { users: [
        { user: anybody, password: none }
        { user: limited, password: hunter2, permissions: { publish: "echo.0", subscribe: ["echo.>", "_INBOX.>"] } }
    ] }
}
no_auth_user: anybody
CONF
    exec nats-server -c "$folder/nats.conf"
    ;;
esac
