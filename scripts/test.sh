#!/usr/bin/env bash
# Everything that CI runs, cheapest first; stops at the first failure.
# Where a tool or a right is missing, the step says so and the rest goes on.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH="$PATH:/usr/sbin:/sbin"
. scripts/tools.sh
skipped=()

step() { printf '\n== %s (after %d s)\n' "$*" "$SECONDS"; }
skip() { skipped+=("$1"); printf 'skipped: %s\n' "$1"; }

step "format"
cargo fmt --all --check

step "spelling"
if tool typos; then typos --config typos.toml; else skip "spelling: typos is not installed (scripts/tools.sh install)"; fi

step "licences, bans, sources"
if tool cargo-deny; then
  cargo fetch --locked --quiet
  cargo deny --locked --all-features check --hide-inclusion-graph licenses bans sources
  # The advisory database is a git repository elsewhere; a run without network must not fail for it.
  if timeout 60 cargo deny fetch db >/dev/null 2>&1; then
    cargo deny --locked --all-features check --disable-fetch advisories
  else
    skip "advisories: their database cannot be reached"
  fi
else
  skip "licences, bans, sources: cargo-deny is not installed (scripts/tools.sh install)"
fi

step "lints"
cargo clippy --locked --all-targets -- -D warnings
# Tests are the same without live capture.
cargo clippy --locked --lib --bins --no-default-features -- -D warnings

step "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --quiet

step "tests"
report=$(mktemp)
trap 'rm -f "$report"' EXIT
if cargo nextest --version >/dev/null 2>&1; then
  rm -f target/nextest/ci/junit.xml
  cargo nextest run --locked --profile ci --test-threads $((4 * $(nproc))) 2>&1 | tee "$report"
else
  cargo test --locked --lib --bins --tests
fi

step "examples in the documentation"
# Collecting them takes the compiler as long as a check of the whole.
if grep -rqE '^ *//[/!] ```' src; then cargo test --locked --doc --quiet; else echo "there are none"; fi

step "lab"
# The program that the tests were built with.
METALEAK_BINARY=target/debug/metaleak scripts/lab.sh

# A test that cannot run here prints "skipped: REASON"; nextest hides what passing tests print.
printf '\n'
if [ -f target/nextest/ci/junit.xml ]; then grep -aoh 'skipped: [^&<]*' target/nextest/ci/junit.xml | sort -u || true; fi
for reason in ${skipped[@]+"${skipped[@]}"}; do printf 'skipped: %s\n' "$reason"; done
grep -a 'Summary \[' "$report" || true # the closing line, last
