#!/usr/bin/env bash
# A sample report of the stored captures in both languages: reports/sample/en and reports/sample/de.
#
# usage: scripts/sample.sh [PROGRAM]        builds the demo's program when none is given
set -euo pipefail
cd "$(dirname "$0")/.."
metaleak=${1:-target/demo/metaleak}
[ $# -gt 0 ] || cargo build --profile demo --locked
for lang in en de; do
  "$metaleak" --quiet study captures/ --lang "$lang" -o "reports/sample/$lang" >/dev/null
  echo "reports/sample/$lang/report.html"
done
