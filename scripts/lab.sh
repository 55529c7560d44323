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
# Both halves wait most of their time (for log-ins, for pages, for clocks), each in namespaces of its own: they go side by side.
# What the second says is shown when the first has ended.
others() {
  set -e
  python3 scripts/lab/delays.py "$metaleak"
  # One conversation at both ends: the offset of their clocks, and the traffic of steps within their marks.
  python3 scripts/lab/clocks.py "$metaleak"
  # Encrypted connections of real programs, read with their secrets and compared with tshark and what the peers asked.
  scripts/record-keyed --check "$metaleak"
}
said=$(mktemp)
set -m # a group of its own, so that an end before its time reaches all of it: it removes its namespaces then
others >"$said" 2>&1 &
beside=$!
set +m
trap 'kill -TERM -- "-$beside" 2>/dev/null || true; rm -f "$said"' EXIT
first=0
scripts/record-captures --self-check || first=$?
second=0
wait "$beside" || second=$?
cat "$said"
trap 'rm -f "$said"' EXIT
exit $((first > second ? first : second))
