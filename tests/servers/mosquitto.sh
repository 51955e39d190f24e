#!/usr/bin/env bash
# mosquitto (Debian): MQTT over TCP on PORT, over WebSocket on PORT2, and over TCP with a password on PORT3.
#   mosquitto.sh install | installed | start PORT FOLDER PORT2 PORT3
set -euo pipefail
PATH=$PATH:/usr/sbin

case ${1:?} in
install)
    command -v mosquitto >/dev/null && exit
    sudo=
    [ "$(id -u)" = 0 ] || sudo=sudo
    $sudo apt-get update -qq
    # The package would start a server of its own.
    $sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends mosquitto >/dev/null
    ;;
installed)
    command -v mosquitto >/dev/null
    ;;
start)
    port=${2:?} folder=${3:?} websocket=${4:?} closed=${5:?}
    mosquitto_passwd -b -c "$folder/passwords" limited hunter2
    # As root it would become a user that can't read the folder.
    cat >"$folder/mosquitto.conf" <<CONF
user $(id -un)
per_listener_settings true
sys_interval 1
max_queued_messages 100000
listener $port 127.0.0.1
allow_anonymous true
listener $websocket 127.0.0.1
protocol websockets
allow_anonymous true
listener $closed 127.0.0.1
allow_anonymous false
password_file $folder/passwords
CONF
    exec mosquitto -c "$folder/mosquitto.conf"
    ;;
esac
