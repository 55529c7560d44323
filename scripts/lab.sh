#!/usr/bin/env bash
# Lab tests: real programs in closed network namespaces. Says which there are, then runs the recorder's self-check,
# which makes every recording into a temporary folder and checks what each must show. Needs root.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PATH:/usr/sbin:/sbin"
# The recorder of the program under load, signals, a full disk and a vanishing interface; needs less than the rest.
# METALEAK_BINARY names one that is there already.
metaleak=${METALEAK_BINARY:-target/debug/metaleak}
[ -n "${METALEAK_BINARY:-}" ] || cargo build --locked --quiet
python3 scripts/lab/recorder.py "$metaleak"
scripts/record-captures --list
if ! why=$(scripts/record-captures --can-run); then
  echo "skipped: lab: $why"
  exit 0
fi
scripts/record-captures --self-check
python3 scripts/lab/delays.py "$metaleak"
# One conversation at both ends: the offset of their clocks, and the traffic of steps within their marks.
python3 scripts/lab/clocks.py "$metaleak"
# Encrypted connections of real programs, read with their secrets and compared with tshark and what the peers asked.
scripts/record-keyed --check "$metaleak"
