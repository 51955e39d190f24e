#!/usr/bin/env bash
# PouchDB Server: CouchDB's HTTP interface in Node.js, with its databases in memory.
# Usage: couchdb.sh install | installed | start PORT FOLDER
set -euo pipefail

HOME_OF=${WSBENCH_SERVERS_DIR:-$HOME/.cache/wsbench-servers}/couchdb

installed() { command -v node >/dev/null && [ -e "$HOME_OF/done" ]; }

install() {
  installed && return
  mkdir -p "$HOME_OF"
  (cd "$HOME_OF" && npm install --silent --no-fund --no-audit --no-save \
    express@4 express-pouchdb@4 pouchdb-core@7 pouchdb-adapter-memory@7 >/dev/null)
  touch "$HOME_OF/done"
}

# The databases room0 to room3 are there.
start() {
  cd "$2"
  cat >server.js <<'JS'
const { createRequire } = require('module');
const use = createRequire(process.env.HOME_OF + '/');
const PouchDB = use('pouchdb-core').plugin(use('pouchdb-adapter-memory')).defaults({ adapter: 'memory' });
const app = use('express')();
app.use(use('express-pouchdb')(PouchDB, { mode: 'minimumForPouchDB', inMemoryConfig: true, logPath: 'requests.log' }));
Promise.all([0, 1, 2, 3].map((n) => new PouchDB('room' + n).info()))
  .then(() => app.listen(Number(process.argv[2]), '127.0.0.1'));
JS
  HOME_OF=$HOME_OF exec node server.js "$1"
}

"$@"
