#!/usr/bin/env bash
# Runs the action's steps and the documentation's snippets for CI as a runner would, with the wsbench that is named:
# ci/test.sh PROGRAM. Needs curl, jq and, for the README's snippet, Python.
set -euo pipefail
program=$(realpath "$1")
here=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
server=
cleanup() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT

fail() { printf 'ci/test.sh: %s\n' "$*" >&2; exit 1; }
is() { [ "$2" = "$3" ] || fail "$1: $2 instead of $3"; }

# What a runner sets.
export GITHUB_OUTPUT=$work/output GITHUB_STEP_SUMMARY=$work/summary.md RUNNER_TEMP=$work GITHUB_ACTION_PATH=$here
export GITHUB_REPOSITORY=someone/something GITHUB_EVENT_PATH=$work/event.json
printf '{"pull_request": {"number": 7}}' >"$GITHUB_EVENT_PATH"
export INPUT_WSBENCH=$program INPUT_SCENARIO=tiny.toml INPUT_BASELINE='' INPUT_FAIL_ON='regression threshold' INPUT_ARGS=''
export INSTALLED=$work/installed

got() { sed -n "s/^$1=//p" "$GITHUB_OUTPUT" | tail -n 1; }
step() { bash "$here/ci/action.sh" "$1"; }
fresh() {
    : >"$GITHUB_OUTPUT"
    : >"$GITHUB_STEP_SUMMARY"
    rm -rf out
    export INPUT_OUT=out
}
cd "$work"

cat >tiny.toml <<'END'
name = "tiny"
[workload.echo]
payload = "64B"
[load]
sessions = 5
rate = "100/s"
warmup = "50ms"
duration = "300ms"
trials = 2
[transports.websocket]
END

printf '== a run\n'
fresh
INPUT_ARGS="--transport websocket --seed '7'" INPUT_FAIL_ON=never
step source
[[ $(got hash) =~ ^[0-9a-f]{64}$ ]] || fail "no hash: $(got hash)"
step install
is program "$(got program)" "$program"
export WSBENCH=$program
step run >run.log 2>&1 || fail "the step run failed: $(cat run.log)"
# 95: this machine was too busy to trust the figures.
case $(got exit-code) in 0 | 95) ;; *) fail "wsbench ended with $(got exit-code): $(cat run.log)" ;; esac
grep -q '^## tiny: ' "$GITHUB_STEP_SUMMARY" || fail "no summary"
for file in report.html result.json run-junit.xml job-summary.md; do [ -s "out/$file" ] || fail "no $file"; done
grep -q '"seed": *7' out/result.json || fail "the arguments did not arrive"

printf '== its comment: first a new one, then the same anew\n'
mkdir bin
cat >bin/gh <<'END'
#!/usr/bin/env bash
printf '%s\n' "$*" >>"$WORK/gh.log"
case "$*" in *--jq*) [ ! -e "$WORK/commented" ] || echo 41 ;; *) touch "$WORK/commented" ;; esac
END
chmod +x bin/gh
export WORK=$work REPORT=out
PATH=$work/bin:$PATH step comment
PATH=$work/bin:$PATH step comment
grep -q -- '--method POST repos/someone/something/issues/7/comments -F body=@' gh.log || fail "$(cat gh.log)"
grep -q -- '--method PATCH repos/someone/something/issues/comments/41 -F body=@' gh.log || fail "$(cat gh.log)"
is mark "$(head -n 1 wsbench-comment.md)" '<!-- wsbench: tiny.toml -->'
printf '#!/bin/sh\nexit 1\n' >bin/gh
PATH=$work/bin:$PATH step comment | grep -q '^::warning::' || fail "a token that may only read fails the job"

printf '== every outcome\n'
fake() {
    fresh
    rm -rf out
    cat >fake <<END
#!/bin/sh
printf '%s\n' "\$*" >"$work/asked"
mkdir -p out
[ $1 = 104 ] && { echo 'error: no such thing' >&2; exit 104; }
printf '## the comparison\n' >out/comparison.md
printf '## the run\n' >out/job-summary.md
exit $1
END
    chmod +x fake
    WSBENCH=$work/fake step run 2>/dev/null
    EXIT_CODE=$(got exit-code) OUTCOME=$(got outcome)
    export EXIT_CODE OUTCOME
    is outcome "$OUTCOME" "$2"
}
judged() { if step judge >judged.log; then echo goes-on; else echo fails; fi; }
export INPUT_FAIL_ON='regression threshold'
while read -r code outcome verdict; do
    fake "$code" "$outcome"
    is "exit code $code" "$(judged)" "$verdict"
done <<'END'
0 passed goes-on
94 not-comparable goes-on
95 invalid goes-on
96 regression fails
97 inconclusive goes-on
99 threshold fails
104 failed fails
105 failed fails
1 failed fails
2 failed fails
END
fake 104 failed
grep -q '    error: no such thing' "$GITHUB_STEP_SUMMARY" || fail "what went wrong is not in the summary"
INPUT_BASELINE='b.json' INPUT_FAIL_ON='inconclusive invalid' INPUT_ARGS="--threshold 'p99 < 5ms; touch oops' \$(touch oops)"
fake 97 inconclusive
is 'what is asked for' "$(judged)" fails
[ ! -e oops ] || fail "arguments were expanded"
grep -qF -- "--threshold p99 < 5ms; touch oops" asked && grep -qF -- '--baseline b.json --strict' asked || fail "$(cat asked)"
is summary "$(head -n 1 "$GITHUB_STEP_SUMMARY")" '## the comparison'

# The lines of FILE between the line that starts with FROM and the next that is TO.
between() { awk -v from="$2" -v to="$3" 'on && $0 == to { exit } on { print } index($0, from) == 1 { on = 1 }' "$1"; }
# The block of YAML after a heading.
snippet() { between "$1" "$2" 'never' | between /dev/stdin '```yaml' '```'; }
free_port() {
    local port
    while port=$((20000 + RANDOM % 10000)) && (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
    echo "$port"
}

printf '== the snippet for GitLab\n'
port=$(free_port)
snippet "$here/docs/verdicts.md" '### GitLab' >gitlab.yml
awk '/^  script:/ { on = 1; next } /^  [a-z]/ { on = 0 } on' gitlab.yml | sed -e 's/^    - //' -e "s/8080/$port/" >gitlab.sh
is 'lines of the script' "$(wc -l <gitlab.sh)" 4
cat >bin/cargo <<END
#!/bin/sh
[ "\$*" = "install --locked --git https://github.com/OWNER/wsbench" ] && ln -sf "$program" "$work/bin/wsbench"
END
cat >start-server.sh <<END
#!/bin/sh
exec "$program" serve --open --http $port
END
chmod +x bin/cargo start-server.sh
sed "s|\[transports.websocket\]|[target.urls]\nhttp = \"http://127.0.0.1:$port/echo\"\n[transports.http]|" tiny.toml >load.toml
printf 'trap "kill %%1" EXIT\n' | cat - gitlab.sh >job.sh
PATH=$work/bin:$PATH bash -e job.sh >job.log 2>&1 || code=$?
case ${code:-0} in 0 | 95) ;; *) fail "the snippet ended with $code: $(cat job.log)" ;; esac
grep -q '<testcase classname="tiny.echo/http"' junit.xml && grep -q '^wsbench_reach_ratio' wsbench.prom || fail "no exports"

if ! command -v python3 >/dev/null; then
    printf '== no Python: the snippet of the README is left out\n'
    exit 0
fi
printf '== the workflow of the README\n'
port=$(free_port)
snippet "$here/README.md" '## In CI' >workflow.yml
if python3 -c 'import yaml' 2>/dev/null; then
    for file in "$here/action.yml" workflow.yml gitlab.yml; do
        python3 -c 'import sys, yaml; yaml.safe_load(open(sys.argv[1]))' "$file" || fail "$file is not YAML"
    done
fi
# The commands of its steps, and what it gives to the action.
awk '/^        run: \|/ { on = 1; next } on && !/^          / && NF { on = 0 } on { sub(/^          /, ""); print }' workflow.yml |
    sed "s/8080/$port/" >workflow.sh
grep -q 'cat > load.toml' workflow.sh || fail "the workflow has no scenario"
INPUT_SCENARIO=$(sed -n 's/^          scenario: //p' workflow.yml) INPUT_ARGS='' INPUT_BASELINE='' INPUT_FAIL_ON=threshold
fresh
code=0
bash -e workflow.sh >workflow.log 2>&1 || code=$?
server=$(pgrep -f "http.server $port --bind" | head -n 1) || true
is 'exit code of its steps' "$code" 0
step run >run.log 2>&1 || fail "$(cat run.log)"
case $(got outcome) in passed | invalid) ;; *) fail "the workflow ended with $(got outcome): $(cat run.log)" ;; esac
printf 'all of it holds\n'
