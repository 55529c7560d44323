#!/usr/bin/env bash
# Installs the Debian packages that a task needs and that are missing; silent and instant when none is.
#
# usage: scripts/setup.sh [build] [test] [lab] [apps]
#   build  what the program is compiled with (default)
#   test   programs that some tests compare with; without them those tests say that they were skipped
#   lab    programs that scripts/record-captures records
#   apps   the large ones of them: browser, Telegram's client, npm; without them their recordings are skipped
# Exit 0: all is there. Exit 4: something is missing and cannot be installed here; what to do is printed.
set -euo pipefail

# group, Debian package, a file that shows that it is there ("|" separates alternatives; bare names are looked up in PATH)
packages='
build libpcap-dev     /usr/include/pcap/pcap.h
build gcc             cc|gcc|clang
build libc6-dev       /usr/include/stdio.h
build make            make
build pkg-config      pkg-config|pkgconf
test  tshark          tshark
test  libndpi-bin     ndpiReader
test  minisign        minisign
test  openssl         openssl
test  iproute2        ip
lab   iproute2        ip
lab   ethtool         ethtool
lab   tcpdump         tcpdump
lab   wireshark-common editcap
lab   zstd            zstd
lab   curl            curl
lab   openssl         openssl
lab   bind9-dnsutils  dig
lab   dnsmasq-base    dnsmasq
lab   nginx-light     nginx
lab   libnginx-mod-http-brotli-filter /usr/lib/nginx/modules/ngx_http_brotli_filter_module.so
lab   prosody         prosody
lab   dovecot-imapd   /usr/lib/dovecot/imap
lab   dovecot-pop3d   /usr/lib/dovecot/pop3
lab   python3-aiosmtpd /usr/lib/python3/dist-packages/aiosmtpd/__init__.py
lab   python3         /usr/bin/python3
lab   python3-slixmpp /usr/lib/python3/dist-packages/slixmpp/__init__.py
lab   python3-websockets /usr/lib/python3/dist-packages/websockets/__init__.py
lab   postgresql      /usr/lib/postgresql/*/bin/postgres
lab   postgresql-client psql
lab   mariadb-server  mariadbd
lab   mariadb-client  mariadb
lab   slapd           slapd
lab   ldap-utils      ldapwhoami
lab   tor             tor
apps  telegram-desktop telegram-desktop
apps  chromium        chromium
apps  chromium-driver chromedriver
lab   coturn          turnserver
lab   profanity       profanity
lab   gnupg           gpg
lab   tmux            tmux
apps  npm             npm
lab   python3-venv    /usr/lib/python3.*/ensurepip/__init__.py
'

PATH="$PATH:/usr/sbin:/sbin"

there() {
  local way ways
  IFS='|' read -ra ways <<<"$1"
  for way in "${ways[@]}"; do
    case $way in
      /*) compgen -G "$way" >/dev/null && return 0 ;;
      *) command -v "$way" >/dev/null && return 0 ;;
    esac
  done
  return 1
}

[ $# -gt 0 ] || set -- build
for group in "$@"; do
  case $group in build | test | lab | apps) ;; *) echo "setup.sh: no group '$group'; there are: build, test, lab, apps" >&2; exit 2 ;; esac
done

missing=()
while read -r group package proof; do
  [ -n "$group" ] || continue
  [[ " $* " == *" $group "* ]] || continue
  there "$proof" || missing+=("$package")
done <<<"$packages"

if ! command -v cargo >/dev/null && [ ! -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
  echo "setup.sh: no Rust toolchain found: install one from https://rustup.rs (rust-version in Cargo.toml says which)" >&2
  exit 4
fi
[ ${#missing[@]} -gt 0 ] || exit 0

manual="    apt-get install --no-install-recommends ${missing[*]}"
if ! command -v apt-get >/dev/null; then
  printf 'setup.sh: missing, and this is no Debian or Ubuntu; install what these packages hold by hand:\n    %s\n' "${missing[*]}" >&2
  exit 4
fi
if [ "$(id -u)" -eq 0 ]; then
  root=()
elif command -v sudo >/dev/null && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
  root=(sudo) # asks for the password only where someone is there to type it
else
  printf 'setup.sh: missing packages, and neither root nor sudo is to be had. Ask whoever runs this machine for\n%s\n' "$manual" >&2
  case " $* " in *" build "*) echo 'Without libpcap-dev everything but live capture builds: cargo build --release --no-default-features' >&2 ;; esac
  exit 4
fi

echo "setup.sh: installing ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install() { ${root[@]+"${root[@]}"} env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}" >"$log" 2>&1 </dev/null; }
if ! install && ! { ${root[@]+"${root[@]}"} apt-get update >"$log" 2>&1 && install; }; then
  tail -n 5 "$log" >&2
  printf 'setup.sh: apt-get failed; try\n%s\n' "$manual" >&2
  exit 4
fi
# A recorder needs the servers' programs, not running services: what Debian started by itself is stopped again.
for service in prosody nginx dovecot postgresql mariadb slapd tor coturn; do
  if [[ " ${missing[*]} " == *" $service"* ]] && command -v service >/dev/null; then
    ${root[@]+"${root[@]}"} service "$service" stop >/dev/null 2>&1 || true
  fi
done
