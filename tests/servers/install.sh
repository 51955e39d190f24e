#!/usr/bin/env bash
# Installs every server that is tested against here. Nothing is started. What isn't a Debian package goes to
# ${WSBENCH_SERVERS_DIR:-$HOME/.cache/wsbench-servers}.
set -euo pipefail
cd "$(dirname "$0")"

# Several of them are programs for Node.js.
if ! command -v npm >/dev/null; then
    sudo=
    [ "$(id -u)" = 0 ] || sudo=sudo
    $sudo apt-get update -qq
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nodejs npm >/dev/null
fi

for script in *.sh; do
    [ "$script" = install.sh ] || bash "$script" install
done
