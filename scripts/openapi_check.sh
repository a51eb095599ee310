#!/usr/bin/env bash
# Holds the running service to its own description: schemathesis makes requests of what /v1/openapi.json
# allows and of what it does not, as an administrator, as an agent and as nobody, and looks at whether every
# answer is one that is described. What it may find and why stands in docs/fault-laboratory.md.
#
#   scripts/openapi_check.sh [BINARY] [EXAMPLES]
#
# EXAMPLES: how many requests are made up for each operation (20). Needs python3 with venv, and PyPI the
# first time; where those are not to be had it says so and passes, unless OPENAPI_CHECK=required.
set -euo pipefail
cd "$(dirname "$0")/.."

version=4.32.5
binary=${1:-}
examples=${2:-20}
tools=${CARGO_TARGET_DIR:-target}/schemathesis-$version

skip() {
  echo "openapi check: SKIPPED: $*"
  [ "${OPENAPI_CHECK:-}" = required ] && exit 1
  exit 0
}

if [ ! -x "$tools/bin/schemathesis" ]; then
  command -v python3 >/dev/null || skip "python3 is not installed"
  rm -rf "$tools"
  python3 -m venv "$tools" || skip "python3 cannot make a virtual environment"
  timeout 180 "$tools/bin/pip" install --quiet --disable-pip-version-check "schemathesis==$version" ||
    { rm -rf "$tools"; skip "schemathesis cannot be installed"; }
fi

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

secret() { head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n'; }

export DATABASE_URL="sqlite://$folder/data/proxy.db" BIND_ADDR=127.0.0.1:0 RATE_LIMIT_RPS=0
export JWT_SECRET BOOTSTRAP_JWT_SECRET MTLS_BINDING_SHARED_SECRET
export APPROVAL_LINK_SECRET RESUME_TOKEN_SECRET
JWT_SECRET=$(secret)
BOOTSTRAP_JWT_SECRET=$(secret)
MTLS_BINDING_SHARED_SECRET=$(secret)
APPROVAL_LINK_SECRET=$(secret)
RESUME_TOKEN_SECRET=$(secret)
unset CLOUDFLARE_API_TOKEN MASTER_KEY LEDGER_URL ALLOW_INSECURE_DEFAULTS

"$binary" serve --log-format json 2>"$folder/log" &
service=$!
deadline=$((SECONDS + 30))
until address=$(sed -n 's/.*"address":"\([^"]*\)".*/\1/p' "$folder/log" | head -n 1) &&
  [ -n "$address" ] && grep -q . <(curl -fsS "http://$address/v1/readyz" 2>/dev/null); do
  kill -0 "$service" 2>/dev/null || { tail -n 30 "$folder/log" >&2; exit 1; }
  [ $SECONDS -lt $deadline ] || { echo "openapi check: the service was not ready" >&2; exit 1; }
  sleep 0.1
done

export OPENAPI_CHECK_SERVICE="http://$address" PYTHONPATH=scripts PYTHONDONTWRITEBYTECODE=1
export SCHEMATHESIS_HOOKS=openapi_hooks
case $tools in /*) ;; *) tools=$PWD/$tools ;; esac
PYTHONPATH=$PWD/scripts
failed=0
check() { # check CALLER WITHOUT
  echo "openapi check: as $1"
  (cd "$folder" && OPENAPI_CHECK_CALLER=$1 "$tools/bin/schemathesis" \
    run "http://$address/v1/openapi.json" --checks all --exclude-checks "$2" \
    --phases examples,coverage,fuzzing --max-examples "$examples" --seed 20261122 \
    --workers 1 --request-timeout 60 --continue-on-failure --no-color) || failed=1
}
# Somebody is let in whatever is made up for the schemes, so what is refused is looked at as nobody. What a
# schema cannot say (that a name is one of DNS, that a key is a point of its curve) is a 400 here.
check somebody ignored_auth,missing_required_header,positive_data_acceptance
check nobody positive_data_acceptance
if grep -q '"level":"ERROR"' "$folder/log"; then
  echo "openapi check: the service has logged errors:"
  grep '"level":"ERROR"' "$folder/log" | head -n 10
  failed=1
fi
exit $failed
