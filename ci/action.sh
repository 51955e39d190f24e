#!/usr/bin/env bash
# The steps of action.yml. Inputs come as INPUT_* and the like, never inside the text of a command; what a later step needs
# goes to $GITHUB_OUTPUT. `run` ends well whatever was measured, so that the report is uploaded; `judge` fails the job.
set -euo pipefail

say() { printf '%s\n' "$*"; }
output() { printf '%s=%s\n' "$1" "$2" >>"$GITHUB_OUTPUT"; }

# What wsbench's exit codes mean; the rest is what could not be done.
outcome_of() {
    case $1 in
    0) say passed ;;
    94) say not-comparable ;;
    95) say invalid ;;
    96) say regression ;;
    97) say inconclusive ;;
    99) say threshold ;;
    *) say failed ;;
    esac
}

# What the program is built from.
source_hash() {
    cd "$GITHUB_ACTION_PATH"
    local hash
    hash=$(find Cargo.toml Cargo.lock src -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum)
    output hash "${hash%% *}"
}

install() {
    if [ -n "$INPUT_WSBENCH" ]; then
        output program "$INPUT_WSBENCH"
        return
    fi
    output program "$INSTALLED/bin/wsbench"
    [ ! -x "$INSTALLED/bin/wsbench" ] || return 0
    # A hosted runner's Rust may be older than wsbench needs.
    if command -v rustup >/dev/null; then
        rustup toolchain install stable --profile minimal --no-self-update
        export RUSTUP_TOOLCHAIN=stable
    fi
    # Not in the caller's folder, whose toolchain file and cargo settings are not meant for this.
    (cd "$GITHUB_ACTION_PATH" && cargo install --locked --path . --root "$INSTALLED")
}

run() {
    local args=() code=0
    # Quotes as in a shell, and no more of a shell than that.
    if [ -n "${INPUT_ARGS//[[:space:]]/}" ]; then
        mapfile -t args < <(printf '%s' "$INPUT_ARGS" | xargs -n1 printf '%s\n')
    fi
    [ -z "$INPUT_BASELINE" ] || args+=(--baseline "$INPUT_BASELINE")
    # It is inconclusive to wsbench only where asked.
    case " $INPUT_FAIL_ON " in *" inconclusive "*) args+=(--strict) ;; esac
    # Standard error is shown and kept; the status is wsbench's, since pipefail is set and tee does not fail.
    {
        "$WSBENCH" run "$INPUT_SCENARIO" --out "$INPUT_OUT" --export "github-summary=$INPUT_OUT/job-summary.md" \
            --export "junit=$INPUT_OUT/run-junit.xml" "${args[@]}" 2>&1 >&3 | tee "$RUNNER_TEMP/wsbench-stderr" >&2
    } 3>&1 || code=$?
    output exit-code "$code"
    output outcome "$(outcome_of "$code")"
    output report "$INPUT_OUT"
    summary "$code" >>"$GITHUB_STEP_SUMMARY"
}

# What is said of the run on the job's page: the comparison, then the run; where there is neither, what went wrong.
summary() {
    local file found=no
    for file in "$INPUT_OUT/comparison.md" "$INPUT_OUT/job-summary.md"; do
        [ ! -s "$file" ] || { cat "$file"; say; found=yes; }
    done
    [ "$found" = no ] || return 0
    say "## wsbench ended with $1"
    say
    tail -n 30 "$RUNNER_TEMP/wsbench-stderr" | sed 's/^/    /'
}

# Writes a comment on the pull request, or the one that is there already anew.
comment() {
    local file=$REPORT/comparison.md body=$RUNNER_TEMP/wsbench-comment.md mark pull id
    [ -s "$file" ] || file=$REPORT/job-summary.md
    if [ ! -s "$file" ]; then
        say "::notice::wsbench left nothing to comment with"
        return
    fi
    mark="<!-- wsbench: $(printf '%s' "$INPUT_SCENARIO" | tr -c 'A-Za-z0-9._/' '-') -->"
    { say "$mark"; cat "$file"; } >"$body"
    # GitHub takes 65536 characters; what is folded goes first.
    if [ "$(wc -c <"$body")" -gt 65000 ]; then
        sed -i '/^<details>/,/^<\/details>/d' "$body"
        { head -c 60000 "$body"; printf '\n\nCut short: the rest is in the report.\n'; } >"$body.short"
        mv "$body.short" "$body"
    fi
    pull=$(jq -r .pull_request.number "$GITHUB_EVENT_PATH")
    local comments="repos/$GITHUB_REPOSITORY/issues/$pull/comments"
    id=$(MARK=$mark gh api --paginate "$comments" --jq '.[] | select(.body | startswith(env.MARK)) | .id' | head -n 1) || id=
    # A pull request from a fork has a token that may only read.
    if [ -n "$id" ]; then
        gh api --method PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$id" -F "body=@$body" >/dev/null
    else
        gh api --method POST "$comments" -F "body=@$body" >/dev/null
    fi || say "::warning::wsbench could not comment: does the job have 'permissions: pull-requests: write'?"
}

judge() {
    case $OUTCOME in
    passed) return 0 ;;
    failed)
        say "::error::wsbench could not do it (exit code $EXIT_CODE)"
        exit 1
        ;;
    esac
    case " $INPUT_FAIL_ON " in
    *" $OUTCOME "*)
        say "::error::wsbench: $OUTCOME (exit code $EXIT_CODE)"
        exit 1
        ;;
    esac
    say "::warning::wsbench: $OUTCOME (exit code $EXIT_CODE), which this job allows"
}

case ${1:-} in
source) source_hash ;;
install | run | comment | judge) "$1" ;;
*)
    say "usage: action.sh source|install|run|comment|judge" >&2
    exit 2
    ;;
esac
