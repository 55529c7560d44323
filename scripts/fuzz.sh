#!/usr/bin/env bash
# Fuzzes every target for a while: with libFuzzer where cargo-fuzz is installed, else with the runner of tests/fuzz_smoke.rs,
# which needs nothing. Says which.
#
# usage: scripts/fuzz.sh [TARGET…]
# METALEAK_FUZZ_SECONDS: seconds a target; 120 with libFuzzer unless told.
# METALEAK_FUZZ_CASES: cases a target where there is no libFuzzer, 100000 unless told (or unless the seconds are).
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/tools.sh
seconds=${METALEAK_FUZZ_SECONDS:-120}

if ! tool cargo-fuzz; then
  targets=$(IFS=,; echo "$*")
  if [ -n "${METALEAK_FUZZ_SECONDS:-}" ]; then
    amount="$seconds s"
  else
    export METALEAK_FUZZ_CASES=${METALEAK_FUZZ_CASES:-100000}
    amount="$METALEAK_FUZZ_CASES cases"
  fi
  echo "fuzz: cargo-fuzz is not installed (cargo install cargo-fuzz); using the project's own runner, $amount a target"
  METALEAK_FUZZ_TARGET=$targets cargo test --locked --test fuzz_smoke no_promise_is_broken -- --nocapture
  exit
fi

# No address sanitizer: metaleak forbids `unsafe`, and without it the stable toolchain is enough for libFuzzer's counters.
echo "fuzz: libFuzzer through $(cargo fuzz --version), $(rustc --version), $seconds s a target"
cargo fuzz build --sanitizer none
if [ $# -gt 0 ]; then targets=("$@"); else mapfile -t targets < <(cargo fuzz list); fi
failed=()
for target in "${targets[@]}"; do
  # New inputs go to the first folder; the seeds stay as they are.
  mkdir -p "fuzz/work/$target"
  log=fuzz/work/$target.log
  if cargo fuzz run --sanitizer none "$target" "fuzz/work/$target" "fuzz/corpus/$target" -- \
    -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 >"$log" 2>&1; then
    verdict=fine
  else
    verdict="FAULT, see $log"
    failed+=("$target")
  fi
  cases=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  edges=$(grep -ao 'cov: [0-9]*' "$log" | tail -1 || true)
  printf '%-18s %9s cases  %-12s %s\n' "$target" "${cases:-?}" "$edges" "$verdict"
done
[ ${#failed[@]} -eq 0 ] || { echo "fuzz: faults in ${failed[*]}; inputs in fuzz/artifacts/" >&2; exit 1; }
