#!/usr/bin/env bash
# The binary that serves is built without `demo`: no fixtures, and nothing that only tests need, may be in
# its graph, and it must compile so.
set -euo pipefail
cd "$(dirname "$0")/.."

graph=$(cargo tree --locked -p llm-permission-proxy --no-default-features -e normal --prefix none --format '{lib}' | sort -u)
grep -qx workers <<<"$graph" || { echo "cargo tree did not list workers" >&2; exit 1; }
if found=$(grep -Ex 'fixtures|parser_properties|webauthn_authenticator_rs|rcgen|proptest|insta' <<<"$graph"); then
  printf 'the binary that serves depends on:\n%s\n' "$found" >&2
  exit 1
fi
cargo clippy --locked -p llm-permission-proxy --no-default-features --bin llm-permission-proxy -- -D warnings
