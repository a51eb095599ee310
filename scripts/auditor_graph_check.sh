#!/usr/bin/env bash
# An auditor embeds the crates ledger and providers as they are, so they must stay small and build for
# WebAssembly: nothing that stores, listens or asks the operating system (SQLite, sockets, files, random
# numbers) is in their graph, and no C. Of tokio they have timers, channels and the interface to a runtime.
# Where the target is installed, they are also compiled for it.
set -euo pipefail
cd "$(dirname "$0")/.."

wasm=wasm32-unknown-unknown
# Names as extended regular expressions, matched whole.
forbidden='sqlx.*|libsqlite3-sys|rusqlite|axum.*|hyper.*|reqwest|tower.*|mio|socket2|rustix|libc|signal-hook.*'
forbidden+='|metrics-exporter.*|tracing-subscriber|getrandom|ring|rustls.*|openssl.*|aws-lc.*|js-sys|wasm-bindgen'
forbidden+='|webauthn.*|ledger-sqlite|app|api|projections|workers|fixtures'

for target in x86_64-unknown-linux-gnu "$wasm"; do
  graph=$(cargo tree --locked -p providers -e normal --target "$target" \
    --prefix none --format '{lib}' | sort -u)
  grep -qx ledger <<<"$graph" || { echo "cargo tree did not list ledger" >&2; exit 1; }
  if found=$(tr _ - <<<"$graph" | grep -Ex "$forbidden"); then
    echo "ledger depends on (for $target):" >&2
    echo "$found" >&2
    exit 1
  fi
done

if [ -d "$(rustc --print target-libdir --target "$wasm" 2>/dev/null)" ]; then
  cargo check --locked -p providers --lib --target "$wasm"
else
  echo "$wasm is not installed: the graph was checked, nothing was compiled for it"
fi
