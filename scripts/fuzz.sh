#!/usr/bin/env bash
# Feeds parsers with made-up bytes, guided by what code they reach: docs/fault-laboratory.md, section "Fuzzing".
#
#   scripts/fuzz.sh [TARGET|all] [SECONDS] [SANITIZER]
#
# What is found on the way is kept in target/fuzz-corpus/, and what breaks a property in fuzz/artifacts/:
# put that into fuzz/corpus/TARGET/ once it is fixed, and the tests try it for good. The sanitizer is `none`
# unless `address` is asked for: there is no unsafe code of ours to look for.
set -euo pipefail
cd "$(dirname "$0")/.."

wanted=${1:-all}
seconds=${2:-60}
sanitizer=${3:-none}
folder=${CARGO_TARGET_DIR:-target}
case $folder in /*) ;; *) folder=$PWD/$folder ;; esac

command -v cargo-fuzz >/dev/null || {
  echo "cargo-fuzz is not installed: cargo install cargo-fuzz --locked" >&2
  exit 1
}
# Coverage is an unstable option of the compiler; the stable one has it, too, when it is told to.
export RUSTC_BOOTSTRAP=1

targets=$(sed -n 's|^path = "fuzz_targets/\(.*\)\.rs"$|\1|p' fuzz/Cargo.toml)
if [ "$wanted" != all ]; then
  grep -qx "$wanted" <<<"$targets" || { printf 'no target %s; there are:\n%s\n' "$wanted" "$targets" >&2; exit 1; }
  targets=$wanted
fi

# shellcheck disable=SC2086 # one word for each target
cargo run --quiet -p parser-properties --example write_seeds -- "$folder/fuzz-seeds" $targets
failed=()
for target in $targets; do
  echo "=== $target, $seconds s"
  mkdir -p "$folder/fuzz-corpus/$target" "fuzz/corpus/$target"
  cargo fuzz run --sanitizer "$sanitizer" --target-dir "$folder/fuzz" "$target" \
    "$folder/fuzz-corpus/$target" "$folder/fuzz-seeds/$target" "fuzz/corpus/$target" -- \
    -max_total_time="$seconds" -timeout=120 -rss_limit_mb=3000 -print_final_stats=1 ||
    failed+=("$target")
  rmdir --ignore-fail-on-non-empty "fuzz/corpus/$target"
done
if [ ${#failed[@]} -ne 0 ]; then
  echo "FAILED: ${failed[*]}"
  exit 1
fi
