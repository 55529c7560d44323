#!/usr/bin/env bash
# Lab tests: real programs in closed network namespaces. Says which there are, then runs the recorder's self-check,
# which makes every recording into a temporary folder and checks what each must show. Needs root.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PATH:/usr/sbin:/sbin"
scripts/record-captures --list
if ! why=$(scripts/record-captures --can-run); then
  echo "skipped: lab: $why"
  exit 0
fi
scripts/record-captures --self-check
python3 scripts/lab/delays.py
# Encrypted connections of real programs, read with their secrets and compared with tshark and what the peers asked.
cargo build --locked --quiet
scripts/record-keyed --check target/debug/metaleak
