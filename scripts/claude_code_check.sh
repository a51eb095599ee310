#!/usr/bin/env bash
# Runs Claude Code, unmodified and without a terminal, against the running service, with a small server in the place
# of Anthropic. No test calls this: the program is 402 MB, which npm gives the first time.
#
#   scripts/claude_code_check.sh [BINARY]
#
# Needs python3, npm and Linux on x86-64.
set -euo pipefail
cd "$(dirname "$0")/.."

binary=${1:-}
tools=${CARGO_TARGET_DIR:-target}/claude-code-1
case $tools in /*) ;; *) tools=$PWD/$tools ;; esac
package=@anthropic-ai/claude-code-linux-x64

if [ ! -e "$tools/complete" ]; then
  rm -rf "$tools"
  mkdir -p "$tools"
  npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$tools" "$package@2.1.332"
  touch "$tools/complete"
fi

if [ -z "$binary" ]; then
  cargo build --locked
  binary=${CARGO_TARGET_DIR:-target}/debug/llm-permission-proxy
fi
case $binary in /*) ;; *) binary=$PWD/$binary ;; esac

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 scripts/claude_code.py "$binary" "$tools/node_modules/$package/claude" "$folder"
