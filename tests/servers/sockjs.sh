#!/usr/bin/env bash
# SockJS: what is sent comes back, over whatever the client can do. Usage: sockjs.sh install | installed | start PORT FOLDER
set -euo pipefail

HOME_OF=${WSBENCH_SERVERS_DIR:-$HOME/.cache/wsbench-servers}/sockjs

installed() { command -v node >/dev/null && [ -e "$HOME_OF/done" ]; }

install() {
  installed && return
  mkdir -p "$HOME_OF"
  (cd "$HOME_OF" && npm install --silent --no-fund --no-audit --no-save sockjs@0.3.24 >/dev/null)
  touch "$HOME_OF/done"
}

# GET /count says how many messages came.
start() {
  cd "$2"
  cat >server.js <<'JS'
const { createRequire } = require('module');
const use = createRequire(process.env.HOME_OF + '/');
const sockjs = use('sockjs').createServer({ log: () => {} });
let count = 0;
sockjs.on('connection', (connection) => connection.on('data', (text) => { count += 1; connection.write(text); }));
const server = require('http').createServer((request, response) => {
  if (request.url === '/count') response.end('count=' + count);
});
sockjs.installHandlers(server, { prefix: '/echo' });
server.listen(Number(process.argv[2]), '127.0.0.1');
JS
  HOME_OF=$HOME_OF exec node server.js "$1"
}

"$@"
