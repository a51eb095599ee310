#!/usr/bin/env bash
# The auditor's half of crate ledger (no default features) must stay small and build for WebAssembly:
# nothing of SQLite, async runtimes, servers, telemetry or the operating system's random numbers is in
# its graph, and no C. Where the target is installed, it is also compiled for it.
set -euo pipefail
cd "$(dirname "$0")/.."

wasm=wasm32-unknown-unknown
# Names as extended regular expressions, matched whole.
forbidden='sqlx.*|libsqlite3-sys|rusqlite|tokio.*|axum.*|hyper.*|reqwest|tower.*|mio|socket2|futures.*'
forbidden+='|metrics.*|tracing.*|lru|getrandom|ring|rustls.*|openssl.*|aws-lc.*|js-sys|wasm-bindgen'
forbidden+='|webauthn.*|app|api|projections|workers|fixtures'

for target in x86_64-unknown-linux-gnu "$wasm"; do
  graph=$(cargo tree --locked -p ledger --no-default-features -e normal --target "$target" \
    --prefix none --format '{lib}' | sort -u)
  grep -qx ledger <<<"$graph" || { echo "cargo tree did not list ledger" >&2; exit 1; }
  if found=$(tr _ - <<<"$graph" | grep -Ex "$forbidden"); then
    echo "the auditor's half of ledger depends on (for $target):" >&2
    echo "$found" >&2
    exit 1
  fi
done

cargo clippy --locked -p ledger --no-default-features --lib -- -D warnings
if [ -d "$(rustc --print target-libdir --target "$wasm" 2>/dev/null)" ]; then
  cargo check --locked -p ledger --no-default-features --lib --target "$wasm"
else
  echo "$wasm is not installed: the graph was checked, nothing was compiled for it"
fi
