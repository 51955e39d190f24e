# Everyday commands; `just` lists them.

default:
    @just --list

# The main job: all seven transports, a minute and a half, a report in reports/
chat *FLAGS:
    cargo run --release -- run scenarios/chat.toml {{FLAGS}}

# Every test
test:
    cargo test

# What CI runs
ci:
    bash .ci/run

# Formatting, lints and docs, warnings refused
lint:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps

# Micro-benchmarks
bench *FILTER:
    cargo bench --bench index -- {{FILTER}}

# Beside other tools, which are fetched into target/peers: tables in FILE
compare-peers *FILE:
    bash benches/peers/compare.sh {{FILE}}

# Every measurement of docs/performance.md: tables in FILE
performance FILE *NAMES:
    cargo build --release
    benches/peers/install.sh
    bash benches/performance/all.sh {{FILE}} {{NAMES}}

# This revision's target against the parent's, pair by pair: advisory
duet-parent *FLAGS:
    bash benches/duet-parent.sh {{FLAGS}}

# Licences and sources of dependencies (needs cargo-deny)
deny:
    cargo deny check
