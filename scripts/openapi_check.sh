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

label="openapi check"
export RATE_LIMIT_RPS=0
. scripts/service.sh
start

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
