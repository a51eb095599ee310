# shellcheck shell=bash
# For scripts that look at a running service, which source it and set `label` to their name: the binary, built
# where none was given, an empty folder with secrets of its own, and `start`, `stop` and `fail`. Needs curl.

binary=${binary:-}
if [ -z "$binary" ]; then
  cargo build --locked
  binary=${CARGO_TARGET_DIR:-target}/debug/llm-permission-proxy
fi

folder=$(mktemp -d)
service=
finish() {
  if [ -n "$service" ] && kill -0 "$service" 2>/dev/null; then kill -KILL "$service"; fi
  rm -rf "$folder"
}
trap finish EXIT

fail() {
  echo "$label: $*" >&2
  [ -f "$folder/log" ] && tail -n 30 "$folder/log" >&2
  exit 1
}

secret() { head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n'; }

export DATABASE_URL="sqlite://$folder/data/proxy.db" BIND_ADDR=127.0.0.1:0
export JWT_SECRET BOOTSTRAP_JWT_SECRET MTLS_BINDING_SHARED_SECRET
export APPROVAL_LINK_SECRET RESUME_TOKEN_SECRET
JWT_SECRET=$(secret)
BOOTSTRAP_JWT_SECRET=$(secret)
MTLS_BINDING_SHARED_SECRET=$(secret)
APPROVAL_LINK_SECRET=$(secret)
RESUME_TOKEN_SECRET=$(secret)
unset CLOUDFLARE_API_TOKEN MASTER_KEY LEDGER_URL ALLOW_INSECURE_DEFAULTS

address=
start() {
  : >"$folder/log"
  "$binary" serve --log-format json 2>"$folder/log" &
  service=$!
  local deadline=$((SECONDS + 30))
  until address=$(sed -n 's/.*"address":"\([^"]*\)".*/\1/p' "$folder/log" | head -n 1) &&
    [ -n "$address" ] && curl -fsS -o "$folder/ready" "http://$address/v1/readyz" 2>/dev/null; do
    kill -0 "$service" 2>/dev/null || fail "the service ended before it was ready"
    [ $SECONDS -lt $deadline ] || fail "the service was not ready within 30 seconds"
    sleep 0.1
  done
}

stop() {
  kill -TERM "$service"
  wait "$service" || fail "the service ended with status $? when told to stop"
  service=
}
