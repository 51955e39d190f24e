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

# Licences and sources of dependencies (needs cargo-deny)
deny:
    cargo deny check
