# The handful of commands people run. `just` lists them; none of them is needed to build.

_default:
    @just --list

# Show the whole product on this machine: no configuration, nothing outside is touched.
demo *ARGS:
    cargo run --quiet -- demo {{ARGS}}

# Serve with development defaults on localhost.
serve *ARGS:
    ALLOW_INSECURE_DEFAULTS=true cargo run -- serve {{ARGS}}

# All tests but those in a browser.
test *ARGS:
    cargo test --workspace {{ARGS}}

# The pages in a real browser; chromium and chromedriver must be installed.
test-browser *ARGS:
    cargo test --test browser {{ARGS}}

# What a change must pass before it lands, without the tests.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    @if command -v cargo-deny >/dev/null; then cargo deny check licenses bans sources; fi

# Format the code.
fmt:
    cargo fmt --all

# Start the release binary on an empty folder and look at it from outside.
smoke:
    scripts/bootstrap_sqlite_smoke_test.sh

# Feed one parser, or each in turn, with made-up bytes for so many seconds; needs cargo-fuzz and g++.
fuzz TARGET="all" SECONDS="60":
    scripts/fuzz.sh {{TARGET}} {{SECONDS}}

# Hold the running service to its own description; needs python3.
openapi-check *ARGS:
    OPENAPI_CHECK=required scripts/openapi_check.sh {{ARGS}}

# Make clients of the description with three generators and use one; needs python3, npm and java.
generated-clients *ARGS:
    GENERATED_CLIENTS=required scripts/generated_clients_check.sh {{ARGS}}

# Anthropic's own SDKs, unmodified, through the proxy; needs python3, node and npm.
anthropic-sdks *ARGS:
    ANTHROPIC_SDKS=required scripts/anthropic_sdks_check.sh {{ARGS}}

# Cloudflare's own SDKs and wrangler, unmodified, through the proxy; needs python3, node and npm.
cloudflare-sdks *ARGS:
    CLOUDFLARE_SDKS=required scripts/cloudflare_sdks_check.sh {{ARGS}}

# Claude Code through the running service.
claude-code *ARGS:
    scripts/claude_code_check.sh {{ARGS}}

# Everything that continuous integration runs.
ci:
    .ci/run

# Kill the service 500 times under load and check what is left (docs/fault-laboratory.md).
chaos:
    CHAOS_KILLS="${CHAOS_KILLS:-500}" cargo test --package llm-permission-proxy --test it chaos::no_answer_or_effect -- --nocapture

# Every write and sync of the service's files fails in turn: IO_FAILURES=31 takes every 31st of the cases.
io-failures:
    IO_FAILURES="${IO_FAILURES:-all}" cargo test --package llm-permission-proxy --test it io_failures::answers_stay -- --nocapture

# What the policy said of random applies is evaluated again by the auditor: RULED_SEEDS ledgers, some 19 applies each.
ruled:
    RULED_SEEDS="${RULED_SEEDS:-2000}" cargo test --package ledger --test it ruled::the_auditor_comes_to -- --nocapture

# The seven attacks of tests/it/overload/attacks.rs on a release build: 99 of 100 answers to others within a second.
overload:
    cargo test --release --package llm-permission-proxy --test it overload::attacks -- --nocapture --test-threads 1

# The figures of docs/performance.md.
bench *ARGS:
    cargo build --release --workspace --bins
    ${CARGO_TARGET_DIR:-target}/release/bench {{ARGS}}

# Build the container image.
image:
    docker build -t llm-permission-proxy .
