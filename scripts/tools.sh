#!/usr/bin/env bash
# The two checkers that cargo installs: sourced, it gives `tool NAME`; `scripts/tools.sh install` builds what is missing.
# They lie outside of target/, so that a clean clone on the same machine finds them again.
METALEAK_TOOLS="${METALEAK_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/metaleak/tools}"
PATH="$PATH:$METALEAK_TOOLS/bin"

tool() { command -v "$1" >/dev/null; }

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  set -euo pipefail
  [ "${1:-}" = install ] || { echo "usage: scripts/tools.sh install" >&2; exit 2; }
  for pair in typos=typos-cli cargo-deny=cargo-deny; do
    tool "${pair%%=*}" && continue
    echo "tools.sh: building ${pair##*=} once, into $METALEAK_TOOLS" >&2
    cargo install --locked --quiet --root "$METALEAK_TOOLS" "${pair##*=}"
  done
fi
