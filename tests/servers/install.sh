#!/usr/bin/env bash
# Installs every server that is tested against here. Nothing is started. What isn't a Debian package goes to
# ${WSBENCH_SERVERS_DIR:-$HOME/.cache/wsbench-servers}.
set -euo pipefail
cd "$(dirname "$0")"
for script in *.sh; do
    [ "$script" = install.sh ] || bash "$script" install
done
