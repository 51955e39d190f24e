#!/usr/bin/env bash
# Is this revision's target slower than its parent's? With changes that aren't committed they are held against HEAD. More
# arguments go to `wsbench duet`. Advisory: where the build works it ends well, whatever the verdict.
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

serve='serve --open --websocket {port}'
code=0
"target/$folder/wsbench" duet scenarios/echo.toml --transport websocket --url /echo \
    -c 50 -r 2k/s --warmup 200ms -d 1s \
    --base "'$builds/$folder/wsbench' $serve" --candidate "'$root/target/$folder/wsbench' $serve" "$@" || code=$?
echo "wsbench duet ended with $code; the base is $parent"
