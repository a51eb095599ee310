#!/usr/bin/env bash
# Holds /proxy/anthropic to a client that knows nothing of it: the Python library of Anthropic's API, with an agent
# key in place of a real one, against the running service and an upstream that is played here.
#
#   scripts/anthropic_client_check.sh [BINARY]
#
# Needs python3 with venv, and PyPI the first time; where those are not to be had it says so and passes, unless
# ANTHROPIC_CLIENT_CHECK=required.
set -euo pipefail
cd "$(dirname "$0")/.."

version=2.14.0
binary=${1:-}
tools=${CARGO_TARGET_DIR:-target}/anthropic-$version

skip() {
  echo "anthropic client check: SKIPPED: $*"
  [ "${ANTHROPIC_CLIENT_CHECK:-}" = required ] && exit 1
  exit 0
}

if ! "$tools/bin/python" -c 'import anthropic' 2>/dev/null; then
  command -v python3 >/dev/null || skip "python3 is not installed"
  rm -rf "$tools"
  python3 -m venv "$tools" || skip "python3 cannot make a virtual environment"
  timeout 180 "$tools/bin/pip" install --quiet --disable-pip-version-check "anthropic==$version" ||
    { rm -rf "$tools"; skip "the library cannot be installed"; }
fi

label="anthropic client check"
. scripts/service.sh
SERVICE_TOKEN=$(secret)
export SERVICE_TOKEN PYTHONDONTWRITEBYTECODE=1

"$tools/bin/python" scripts/anthropic_client.py upstream "$folder/upstream" &
upstream=$!
finish_both() {
  kill "$upstream" 2>/dev/null || true
  finish
}
trap finish_both EXIT
deadline=$((SECONDS + 10))
until [ -s "$folder/upstream" ]; do
  [ $SECONDS -lt $deadline ] || fail "the upstream does not listen"
  sleep 0.1
done
ANTHROPIC_API_BASE="http://127.0.0.1:$(cat "$folder/upstream")"
export ANTHROPIC_API_BASE
start

ask() { # ask METHOD PATH JSON
  curl -fsS -X "$1" -H "authorization: Bearer $SERVICE_TOKEN" -H "content-type: application/json" \
    -d "$3" "http://$address$2" || fail "$1 $2"
}
ask POST /v1/agents '{"agent":"sdk"}' >"$folder/agent"
ask POST /v1/agents/sdk/keys '{}' >"$folder/key"
ask PUT /v1/agents/sdk/upstream-keys/anthropic '{"api_key":"sk-ant-api03-of-the-check"}'
key=$(sed -n 's/.*"key": *"\(cak_[^"]*\)".*/\1/p' "$folder/key")
[ -n "$key" ] || fail "no key was made"

env -i PATH="$PATH" ANTHROPIC_BASE_URL="http://$address/proxy/anthropic" ANTHROPIC_AUTH_TOKEN="$key" \
  DIRECT="$ANTHROPIC_API_BASE" "$tools/bin/python" scripts/anthropic_client.py client ||
  fail "the library met something else than it does directly"
if grep -q 'sk-ant-api03-of-the-check' "$folder/log" || grep -q "$key" "$folder/log"; then
  fail "a key is in the log"
fi
stop
echo "anthropic client check: passed"
