#!/usr/bin/env bash
# Makes clients of /v1/openapi.json with three generators, checks that they compile, and goes through the main
# flow (task, apply, denial, replay, continue) with one of them against the running service.
#
#   scripts/generated_clients_check.sh [BINARY]
#
# Needs python3 with venv, npm, a Java runtime, and PyPI and npm the first time; where those are not to be had
# it says so and passes, unless GENERATED_CLIENTS=required.
set -euo pipefail
cd "$(dirname "$0")/.."

binary=${1:-}
tools=${CARGO_TARGET_DIR:-target}/generated-clients-2
case $tools in /*) ;; *) tools=$PWD/$tools ;; esac

skip() {
  echo "generated clients: SKIPPED: $*"
  [ "${GENERATED_CLIENTS:-}" = required ] && exit 1
  exit 0
}

for needed in python3 npm java curl; do
  command -v "$needed" >/dev/null || skip "$needed is not installed"
done
if [ ! -e "$tools/complete" ]; then
  rm -rf "$tools"
  python3 -m venv "$tools" || skip "python3 cannot make a virtual environment"
  timeout 300 "$tools/bin/pip" install --quiet --disable-pip-version-check "openapi-python-client==0.29.1" \
    "openapi-generator-cli==7.26.0" "mypy==2.4.1" "cryptography>=45" || skip "PyPI gives no generators"
  mkdir "$tools/npm"
  timeout 300 npm install --silent --no-audit --no-fund --prefix "$tools/npm" openapi-typescript@7.13.0 \
    typescript@5 || skip "npm gives no generator"
  touch "$tools/complete"
fi
PATH=$tools/bin:$tools/npm/node_modules/.bin:$PATH

if [ -z "$binary" ]; then
  cargo build --locked
  binary=${CARGO_TARGET_DIR:-target}/debug/llm-permission-proxy
fi
case $binary in /*) ;; *) binary=$PWD/$binary ;; esac

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0
fails() { echo "generated clients: $*" >&2; failed=1; }

# The flow starts the service, and leaves its description here first.
flow=(python3 "$PWD/scripts/generated_client_flow.py" "$binary" "$folder")
"${flow[@]}" describe
description=$folder/openapi.json

echo "generated clients: openapi-typescript"
openapi-typescript "$description" -o "$folder/api.ts" >"$folder/ts.log" || fails "$(cat "$folder/ts.log")"
cp scripts/generated_client_use.ts "$folder/use.ts"
tsc --strict --noEmit --skipLibCheck --target es2022 --module nodenext --moduleResolution nodenext \
  "$folder/api.ts" "$folder/use.ts" || fails "the types of openapi-typescript do not fit"

echo "generated clients: openapi-generator"
openapi-generator-cli validate -i "$description" >"$folder/validate.log" || fails "$(cat "$folder/validate.log")"
for language in python typescript-fetch; do
  openapi-generator-cli generate -i "$description" -g "$language" -o "$folder/$language" \
    >"$folder/$language.log" 2>&1 || fails "$(tail -n 30 "$folder/$language.log")"
done
python3 -m compileall -q "$folder/python" || fails "the Python of openapi-generator does not compile"
tsc --strict --noEmit --skipLibCheck --target es2022 --module esnext --moduleResolution bundler \
  "$folder/typescript-fetch/index.ts" || fails "the TypeScript of openapi-generator does not compile"

echo "generated clients: openapi-python-client"
openapi-python-client generate --path "$description" --output-path "$folder/client" \
  --config scripts/generated_client.yaml >"$folder/client.log" 2>&1 || fails "$(cat "$folder/client.log")"
if grep -q 'Warning' "$folder/client.log"; then fails "$(cat "$folder/client.log")"; fi
mypy --strict "$folder/client/llm_permission_proxy_client" || fails "its types do not fit"

[ $failed -eq 0 ] || exit 1
PYTHONPATH=$folder/client "${flow[@]}" flow
