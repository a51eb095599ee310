#!/usr/bin/env bash
# Runs Anthropic's own Python and npm SDKs, unmodified, against the running service, with a small server in the place
# of Anthropic.
#
#   scripts/anthropic_sdks_check.sh [BINARY]
#
# Needs python3 with venv, node with npm, and PyPI and npm the first time; where those are not to be had it says so and
# passes, unless ANTHROPIC_SDKS=required.
set -euo pipefail
cd "$(dirname "$0")/.."

binary=${1:-}
tools=${CARGO_TARGET_DIR:-target}/anthropic-sdks-2
case $tools in /*) ;; *) tools=$PWD/$tools ;; esac

skip() {
  echo "Anthropic's SDKs: SKIPPED: $*"
  [ "${ANTHROPIC_SDKS:-}" = required ] && exit 1
  exit 0
}

for needed in python3 node npm; do
  command -v "$needed" >/dev/null || skip "$needed is not installed"
done
if [ ! -e "$tools/complete" ]; then
  rm -rf "$tools"
  python3 -m venv "$tools" || skip "python3 cannot make a virtual environment"
  timeout 300 "$tools/bin/pip" install --quiet --disable-pip-version-check "anthropic==2.14.0" "cryptography>=45" ||
    skip "PyPI gives no SDK"
  mkdir "$tools/npm"
  timeout 300 npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$tools/npm" \
    @anthropic-ai/sdk@1.14.0 || skip "npm gives no SDK"
  touch "$tools/complete"
fi

if [ -z "$binary" ]; then
  cargo build --locked
  binary=${CARGO_TARGET_DIR:-target}/debug/llm-permission-proxy
fi
case $binary in /*) ;; *) binary=$PWD/$binary ;; esac

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# A module is looked for beside the file that names it.
cp scripts/anthropic_sdk_use.mjs "$folder/"
ln -s "$tools/npm/node_modules" "$folder/node_modules"
"$tools/bin/python" scripts/anthropic_sdks.py "$binary" "$folder"
