#!/usr/bin/env bash
# Every fuzz target for some seconds: `.ci/fuzz.sh SECONDS`. libFuzzer on the stable toolchain, which takes
# RUSTC_BOOTSTRAP=1 for the sanitizer flags. Seeds: fuzz/seeds/TARGET, where there are any.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
seconds=$1
export RUSTC_BOOTSTRAP=1

targets=$(cargo fuzz list)
if [[ -z $targets ]]; then
  echo 'no fuzz targets' >&2
  exit 1
fi
cargo fuzz build
for name in $targets; do
  printf '\n--- fuzz %s\n' "$name"
  seeds=()
  if [[ -d fuzz/seeds/$name ]]; then seeds=("fuzz/seeds/$name"); fi
  mkdir -p "fuzz/corpus/$name"
  # Findings end up in fuzz/artifacts; one, or a single input over 10 s or 2 GiB, fails.
  cargo fuzz run "$name" "fuzz/corpus/$name" "${seeds[@]}" -- \
    -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1
done
