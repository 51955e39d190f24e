#!/usr/bin/env bash
# Is this revision's target slower than its parent's? With changes that aren't committed they are held against HEAD. More
# arguments go to `wsbench duet`. Advisory: it ends well whatever the verdict, if there was one.
#
#     just duet-parent --pairs 12
#
# PROFILE is the build's (release), CARGO what builds.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo=${CARGO:-cargo}
profile=${PROFILE:-release}
folder=$profile
[ "$profile" != dev ] || folder=debug
root=$PWD
tree=$root/target/parent/tree
builds=$root/target/parent/build

revision=HEAD
if git diff --quiet HEAD; then revision=HEAD~1; fi
parent=$(git rev-parse "$revision")

remove() { git worktree remove --force "$tree" 2>/dev/null || true; }
remove
trap remove EXIT
git worktree add --quiet --detach "$tree" "$parent"
(cd "$tree" && CARGO_TARGET_DIR=$builds $cargo build --locked --profile "$profile")
$cargo build --locked --profile "$profile"

# A flag beats the environment: what is typed replaces any of these.
export WSBENCH_SESSIONS=50 WSBENCH_RATE=2k/s WSBENCH_WARMUP=200ms WSBENCH_DURATION=1s
serve='serve --open --websocket {port}'
code=0
"target/$folder/wsbench" duet scenarios/echo.toml --transport websocket --url /echo \
    --base "'$builds/$folder/wsbench' $serve" --candidate "'$root/target/$folder/wsbench' $serve" "$@" || code=$?
echo "wsbench duet ended with $code; the base is $parent"
case $code in
    0 | 95 | 96 | 97) ;;
    *) exit "$code" ;;
esac
