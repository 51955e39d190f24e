#!/usr/bin/env bash
# Does wsbench notice when its generator can't keep up, and does it leave a slow target alone?
#
#     benches/sabotage.sh TRIES [WSBENCH [KIND…]]
#
# Runs benches/sabotage.toml TRIES times for each kind of sabotage, and prints a table: how many trials were INVALID, how
# many runs ended with exit code 95, and the reasons. WSBENCH is the program [target/release/wsbench]. KINDs [all]:
#
#   honest           nothing is done: to be valid
#   worker-quota     the worker may use 3 % of a core: to be INVALID
#   worker-stopped   the worker is stopped for 500 ms once: to be INVALID
#   tenfold-rate     1M messages a second are asked for, ten times what one core sends: to be INVALID
#   target-quota     the target may use 3 % of a core: slow, but to be valid
#   target-stopped   the target is stopped for 500 ms once: slow, but to be valid
#
# For a figure worth quoting the machine must be otherwise idle: what others take from the generator makes an honest trial
# INVALID too. The quota needs root and a cgroup that can be written (v1 cpu.cfs_quota_us or v2 cpu.max); without one the
# process is stopped for 18 ms and let go for 2 ms in turn, and the table says "duty". Linux only. Touches no process but
# the two children of the runs that it started.
set -euo pipefail
cd "$(dirname "$0")/.."

tries=${1:?usage: benches/sabotage.sh TRIES [WSBENCH [KIND…]]}
wsbench=$(realpath "${2:-target/release/wsbench}")
kinds=("${@:3}")
[ ${#kinds[@]} -gt 0 ] || kinds=(honest worker-quota worker-stopped tenfold-rate target-quota target-stopped)
out=$(mktemp -d)
group=
# Everything that was begun here ends here, whatever happens.
tidy() {
    local pid
    for pid in $(jobs -p); do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    [ -z "$group" ] || rmdir "$group" 2>/dev/null || true
    rm -rf "$out"
}
trap tidy EXIT

# The child of process $1 that is its worker or its target ($2). Before its first trial a run has a worker that calibrates
# and no target, so that a worker counts only beside a target.
child() {
    local pid
    for pid in $(cat "/proc/$1/task/$1/children" 2>/dev/null); do
        [ "$(tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | awk '{ print $2 }')" = "$2" ] && { echo "$pid"; return; }
    done
    return 1
}

# Waits until run $1 has begun its trial, and sets $worker and $target; fails if the run ended before that.
children() {
    while kill -0 "$1" 2>/dev/null; do
        if target=$(child "$1" target) && worker=$(child "$1" worker); then return; fi
        sleep 0.02
    done
    return 1
}

# Makes a cgroup whose processes get 3 ms of every 100 ms of one core; sets $group, or leaves it empty where none can be made.
quota() {
    local v1=/sys/fs/cgroup/cpu v2=/sys/fs/cgroup
    group=
    if [ -e "$v1/cpu.cfs_quota_us" ] && mkdir "$v1/wsbench-sabotage-$$" 2>/dev/null; then
        group=$v1/wsbench-sabotage-$$
        { echo 100000 >"$group/cpu.cfs_period_us" && echo 3000 >"$group/cpu.cfs_quota_us"; } 2>/dev/null && return
    elif grep -qw cpu "$v2/cgroup.subtree_control" 2>/dev/null && mkdir "$v2/wsbench-sabotage-$$" 2>/dev/null; then
        group=$v2/wsbench-sabotage-$$
        echo "3000 100000" 2>/dev/null >"$group/cpu.max" && return
    fi
    [ -z "$group" ] || rmdir "$group" 2>/dev/null || true
    group=
}

# Slows process $1 down to a few percent of a core until it ends.
slow() {
    if [ -n "$group" ] && echo "$1" 2>/dev/null >"$group/cgroup.procs"; then return; fi
    while kill -STOP "$1" 2>/dev/null; do
        sleep 0.018
        kill -CONT "$1" 2>/dev/null || true
        sleep 0.002
    done
}

# Stops process $1 for half a second, in the middle of the measured window.
stop() {
    sleep 1.5
    kill -STOP "$1"
    sleep 0.5
    kill -CONT "$1"
}

# The finding codes that make the trial INVALID, from the result at $1. In the document a trial's `invalid` stands as a
# list of {code, message, advice}.
reasons() {
    tr -d '\n' <"$1" | grep -o '"invalid": *\[[^]]*\]' | grep -o '"code": *"[^"]*"' | cut -d'"' -f4 | sort -u
}

try() {
    local kind=$1 flags=() code=0 run worker= target=
    [ "$kind" != tenfold-rate ] || flags=(--rate 1M/s)
    rm -rf "$out/run"
    "$wsbench" run benches/sabotage.toml --out "$out/run" --no-charts --quiet "${flags[@]}" >"$out/said" 2>&1 &
    run=$!
    if [[ $kind == worker-* || $kind == target-* ]]; then
        if children "$run"; then
            case $kind in
            worker-quota) sleep 0.5; slow "$worker" & ;;
            target-quota) sleep 0.5; slow "$target" & ;;
            worker-stopped) stop "$worker" & ;;
            target-stopped) stop "$target" & ;;
            esac
        fi
    fi
    wait "$run" || code=$?
    wait
    codes[$code]=$((${codes[$code]:-0} + 1))
    local found
    found=$(reasons "$out/run/result.json" || true)
    [ -z "$found" ] || invalid=$((invalid + 1))
    all+=$found$'\n'
}

quota
[ -n "$group" ] && how=cgroup || how=duty
printf '%-16s %5s %8s %8s  %s\n' kind tries INVALID 'exit 95' "reasons (quota by $how)"
for kind in "${kinds[@]}"; do
    invalid=0 all= codes=()
    for ((n = 0; n < tries; n++)); do try "$kind"; done
    text=$(sort <<<"$all" | sed '/^$/d' | uniq -c | awk '{ printf "%s%s × %d", sep, $2, $1; sep = ", " }')
    # Any other exit code is no verdict at all.
    for code in "${!codes[@]}"; do
        [ "$code" = 0 ] || [ "$code" = 95 ] || text+=" (exit $code × ${codes[$code]})"
    done
    printf '%-16s %5d %8d %8d  %s\n' "$kind" "$tries" "$invalid" "${codes[95]:-0}" "${text:-–}"
done
