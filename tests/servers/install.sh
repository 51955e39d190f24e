#!/usr/bin/env bash
# Installs every server that is tested against here. Nothing is started. What isn't a Debian package goes to
# ${WSBENCH_SERVERS_DIR:-$HOME/.cache/wsbench-servers}.
set -euo pipefail
cd "$(dirname "$0")"

PATH=$PATH:/usr/sbin:/sbin
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
packages() {
    $sudo apt-get update -qq
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# Several of them are programs for Node.js.
command -v npm >/dev/null || packages nodejs npm
# Machines with networks of their own (tests/agents).
command -v ip >/dev/null || packages iproute2

for script in *.sh; do
    [ "$script" = install.sh ] || bash "$script" install
done
