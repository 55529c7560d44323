#!/bin/sh
# Gets the raw files that SOURCES.toml names into DIR and checks their SHA-256. Then: metaleak db build --from DIR -o FILE
#
# usage: reference/fetch.sh DIR
# Needs npm, apt-get and dpkg-deb. Three lists come from no package registry (see docs/reference.md); they are copied from
# $METALEAK_SHARED/reference, or from ../shared/reference beside this checkout.
set -eu
[ $# -eq 1 ] || { sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2; }
mkdir -p "$1"
dir=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
shared=${METALEAK_SHARED:-$here/../../shared}/reference
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# One line a file: get, version, path in DIR, member in the package, SHA-256, line of SOURCES.toml.
awk -F'"' '
  /^get = /     { get = $2 }
  /^version = / { version = $2 }
  /^path = /    { path = $2; member = "-" }
  /^member = /  { member = $2 }
  /^sha256 = /  { print get, version, path, member, $2, NR }
' "$here/SOURCES.toml" > "$work/list"

fits() { [ -f "$1" ] && [ "$(sha256sum "$1" | cut -d' ' -f1)" = "$2" ]; }

while read -r get version path member sha256 line; do
  if [ "$member" = - ] && [ "${get#shared:}" = "$get" ]; then
    echo "reference/SOURCES.toml:$line: $path is in no package; add member, the file's path within it" >&2
    exit 3
  fi
  if fits "$dir/$path" "$sha256"; then
    echo "$path: there already"
    continue
  fi
  name=${get#*:}
  case $get in
    npm:*)
      package=$work/$(echo "$name-$version" | tr '/@' '__')
      if [ ! -d "$package" ]; then
        mkdir "$package"
        (cd "$package" && npm pack --silent "$name@$version" > name && tar xzf "$(cat name)")
      fi
      cp "$package/$member" "$dir/$path"
      ;;
    deb:*)
      # A machine that has the package installed needs no download.
      if fits "/$member" "$sha256"; then
        cp "/$member" "$dir/$path"
      else
        package=$work/$name
        if [ ! -d "$package" ]; then
          mkdir "$package"
          (cd "$package" && apt-get download "$name=$version" && dpkg-deb -x ./*.deb .)
        fi
        cp "$package/$member" "$dir/$path"
      fi
      ;;
    shared:*)
      if [ ! -f "$shared/$name" ]; then
        echo "$path: not in $shared; set METALEAK_SHARED, or put the file into $dir (docs/reference.md says whence)" >&2
        exit 4
      fi
      cp "$shared/$name" "$dir/$path"
      ;;
  esac
  if ! fits "$dir/$path" "$sha256"; then
    echo "$path: SHA-256 differs from SOURCES.toml" >&2
    exit 3
  fi
  echo "$path: fetched"
done < "$work/list"
