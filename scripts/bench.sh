#!/usr/bin/env bash
# How fast metaleak reads one large capture, beside the readers that people know, and how much memory it takes.
# All programs read the same file in the same run, in turns, three times each; the best time of each counts.
#
# usage: scripts/bench.sh [MIB]        METALEAK_BENCH_FILE=FILE.pcap measures another capture
set -euo pipefail
cd "$(dirname "$0")/.."
mib=${1:-256}
shared=${METALEAK_SHARED:-../shared}
work=target/bench
mkdir -p "$work"

cargo build --release --locked --quiet
metaleak=target/release/metaleak

if [ -n "${METALEAK_BENCH_FILE:-}" ]; then
  file=$METALEAK_BENCH_FILE
elif [ -f "$shared/tools/big-capture" ] && [ -d "$shared/corpus" ]; then
  file=$work/corpus-$mib.pcap
  [ -f "$file" ] || { python3 "$shared/tools/big-capture" "$shared/corpus" "$file.part" "$mib" && mv "$file.part" "$file"; }
else
  echo "no ../shared here: measuring on generated traffic"
  file=$work/generated-$mib.pcap
  [ -f "$file" ] || { scripts/big-capture "$file.part" "$mib" && mv "$file.part" "$file"; }
fi
cat "$file" >/dev/null # from memory, for all alike

declare -A command best
order=()
add() { order+=("$1"); command[$1]=$2; best[$1]=; }
quoted=$(printf '%q' "$file")
add "metaleak, 1 thread" "$metaleak replay --quiet --threads 1 $quoted"
add "metaleak, 2 threads" "$metaleak replay --quiet --threads 2 $quoted"
# With a digest of the file, which the table does not show and the other programs do not compute.
add "1 thread, report.json" "$metaleak replay --quiet --threads 1 --format json -o $work/one.json $quoted"
# A thousand canaries, each in all chains of encodings; the aim is less than twice the run without.
{ echo name,value; for n in {0..999}; do echo "contact-$n,+4915$((110000000 + n * 7919))"; done; } >"$work/canaries.csv"
add "1 thread, 1,000 canaries" "$metaleak replay --quiet --threads 1 --format json -o $work/canaries.json --canary-file $work/canaries.csv $quoted"
if command -v ndpiReader >/dev/null; then add "ndpiReader -q" "ndpiReader -q -i $quoted"; else echo "ndpiReader is not installed (scripts/setup.sh test)"; fi
if command -v tshark >/dev/null; then add "tshark conv,tcp" "tshark -q -z conv,tcp -r $quoted"; else echo "tshark is not installed (scripts/setup.sh test)"; fi

for round in 1 2 3; do
  for name in "${order[@]}"; do
    started=${EPOCHREALTIME/[.,]/}
    if ! bash -c "exec ${command[$name]}" >"$work/said" 2>&1; then
      tail -n 5 "$work/said" >&2
      echo "bench.sh: '${command[$name]}' failed" >&2
      exit 1
    fi
    took=$((${EPOCHREALTIME/[.,]/} - started))
    [ -n "${best[$name]}" ] && [ "${best[$name]}" -le "$took" ] || best[$name]=$took
  done
done

# Anonymous memory: what the program itself holds, without the pages of a mapped file. A run of its own, watched.
$metaleak replay --quiet --threads 2 --format json -o "$work/two.json" "$file" >/dev/null 2>&1 &
pid=$!
peak=0
while read -r kib < <(awk '/^RssAnon:/ { print $2 }' "/proc/$pid/status" 2>/dev/null) && [ -n "$kib" ]; do
  [ "$kib" -le "$peak" ] || peak=$kib
  sleep 0.01
done
wait "$pid"

bytes=$(stat -c %s "$file")
frames=$(python3 -c 'import json,sys; print(sum(i["frames"] for i in json.load(open(sys.argv[1]))["inputs"]))' "$work/one.json")
printf '\n%s: %d MiB, %d frames\n\n' "$file" $((bytes >> 20)) "$frames"
printf '%-26s %9s %9s %12s %14s %14s\n' program seconds MiB/s packets/s "to 1 thread" "to 2 threads"
one=${best["metaleak, 1 thread"]} two=${best["metaleak, 2 threads"]}
for name in "${order[@]}"; do
  awk -v name="$name" -v us="${best[$name]}" -v bytes="$bytes" -v frames="$frames" -v one="$one" -v two="$two" 'BEGIN {
    s = us / 1e6
    printf "%-26s %9.2f %9.1f %12.0f %13.2fx %13.2fx\n", name, s, bytes / 1048576 / s, frames / s, us / one, us / two
  }'
done
awk -v with="${best["1 thread, 1,000 canaries"]}" -v without="${best["1 thread, report.json"]}" 'BEGIN {
  printf "\n1,000 canaries: %.2f times the run with report.json and none (wanted: less than 2)\n", with / without
}'
printf '\nReference data: look-ups on a warm cache, and loading.\n'
{ METALEAK_PERF=1 cargo test --release --locked --quiet --test performance -- --ignored --nocapture looking_up 2>/dev/null || true; } | grep -E ', (ns|ms): '
printf '\n"to 1 thread": how many times as long as metaleak on one thread. Peak anonymous memory of metaleak: %d MiB.\n' $((peak >> 10))
cmp -s "$work/one.json" "$work/two.json" && echo "One and two threads wrote the same bytes." || { echo "bench.sh: one and two threads wrote different reports" >&2; exit 1; }
