#!/usr/bin/env bash
# Measures, prints tables and keeps bench/results.json. Run it by ./dev bench.
#   run.sh BUILD_DIR [NAME] [--rounds N]
#   run.sh BUILD_DIR e2e [--rounds N] [--seconds S] [--only "NAME NAME"] [--one-core] [--check]
#   run.sh BUILD_DIR lineage [--rounds N] [--records N] [--check]
#   AQMESH_BENCH_COMMIT=ID: what BUILD_DIR was built from, where that is not this checkout
#   NAME: micro, e2e, lineage, or a regular expression of micro benchmarks (then only those are measured); none: all
#   --check: exits 0 if every base holds, by the best of three rounds, else 1. What is measured in part is not kept.
set -euo pipefail
export LC_ALL=C
HERE=$(dirname "$(readlink -f "$0")")
BUILD=$(readlink -f "$1"); shift
NAME="" ROUNDS="" RECORDS="" CHECK=0 WHOLE=1 E2E_FLAGS=()
while [ $# -gt 0 ]; do case $1 in
  --rounds) ROUNDS=${2:-}; shift 2 || true ;;
  --records) RECORDS=${2:-}; WHOLE=0; shift 2 || true ;;
  --seconds) E2E_FLAGS+=(--seconds "${2:-}"); shift 2 || true ;;
  --only) E2E_FLAGS+=(--only "${2:-}"); WHOLE=0; shift 2 || true ;;
  --one-core) E2E_FLAGS+=(--one-core); WHOLE=0; shift ;;
  --check) CHECK=1; shift ;;
  -*) printf 'bench: unknown flag %s; it takes [NAME] [--rounds N], e2e also [--seconds S] [--only "NAME NAME"] [--one-core] [--check], lineage [--records N] [--check]\n' "$1" >&2; exit 2 ;;
  *) NAME=$1; shift ;;
esac; done
[[ $ROUNDS =~ ^[1-9]?[0-9]*$ ]] || { printf 'bench: --rounds takes a number\n' >&2; exit 2; }
[[ $RECORDS =~ ^([1-9][0-9]*)?$ ]] || { printf 'bench: --records takes a number\n' >&2; exit 2; }
[ "$NAME" = e2e ] || [ ${#E2E_FLAGS[@]} = 0 ] || { printf 'bench: only e2e takes such flags\n' >&2; exit 2; }
[ "$NAME" = lineage ] || [ -z "$RECORDS" ] || { printf 'bench: only lineage takes --records\n' >&2; exit 2; }
[[ $NAME =~ ^(e2e|lineage)$ ]] || [ $CHECK = 0 ] || { printf 'bench: only e2e and lineage take --check\n' >&2; exit 2; }
RESULTS=$HERE/results.json
SCRATCH=$(mktemp -d "$BUILD/bench-scratch.XXXXXX")   # on the build's disk: /tmp may be memory
trap 'rm -rf "$SCRATCH"' EXIT
[ -s "$RESULTS" ] || echo '{}' >"$RESULTS"

say() { printf '==> %s\n' "$*" >&2; }
report() { jq -L "$HERE" "$@"; }

# What the figures belong to. No host name, no path: the file is committed.
about() {
  jq -n --arg when "$(date -u +%Y-%m-%dT%H:%MZ)" --arg kernel "$(uname -sr)" \
    --arg commit "${AQMESH_BENCH_COMMIT:-$(git -C "$HERE" -c safe.directory='*' describe --always --dirty 2>/dev/null || echo unknown)}" \
    --arg cpu "$(sed -n 's/^model name[[:space:]]*: //p' /proc/cpuinfo | head -1)" --argjson cores "$(nproc)" \
    --arg simd "$(grep -o -w -E 'avx2|avx512ifma|vaes|sha_ni' /proc/cpuinfo | sort -u | paste -sd' ')" \
    --arg system "$(. /etc/os-release && echo "$PRETTY_NAME")" --arg compiler "$(c++ -dumpfullversion)" \
    --arg load "$(cut -d' ' -f1 /proc/loadavg)" \
    '{when: $when, commit: $commit, cpu: $cpu, cores: $cores, simd: $simd, kernel: $kernel, system: $system,
      compiler: ("g++ " + $compiler), load_before: ($load | tonumber)}'
}

# keep SECTION FILE: puts the section into results.json in one step.
keep() {
  jq --slurpfile new "$2" ".$1 = \$new[0]" "$RESULTS" >"$RESULTS.tmp"
  chown --reference="$HERE" "$RESULTS.tmp"
  mv "$RESULTS.tmp" "$RESULTS"
}

micro() {  # micro FILTER
  say "micro benchmarks${1:+ matching $1}"
  about >"$SCRATCH/about.json"
  AQMESH_BENCH_DIR=$SCRATCH "$BUILD/bench/aqmesh-bench" --benchmark_filter="${1:-.}" --benchmark_min_time=0.05 \
    --benchmark_repetitions="${ROUNDS:-15}" --benchmark_enable_random_interleaving=true \
    --benchmark_format=json >"$SCRATCH/micro.raw" 2>"$SCRATCH/micro.log" || { cat "$SCRATCH/micro.log" >&2; exit 1; }
  [ -s "$SCRATCH/micro.raw" ] || { printf 'bench: no micro benchmark is called like "%s"\n' "$1" >&2; exit 1; }
  report --slurpfile about "$SCRATCH/about.json" 'import "report" as r; r::micro($about[0])' "$SCRATCH/micro.raw" >"$SCRATCH/micro.json"
  report -r 'import "report" as r; r::micro_table' "$SCRATCH/micro.json"
  [ -n "$1" ] || keep micro "$SCRATCH/micro.json"
}

# The few micro benchmarks that have a base, as measurements of three rounds.
micro_bases() {
  [ -x "$BUILD/bench/aqmesh-bench" ] || { say "no aqmesh-bench in $BUILD/bench: its bases cannot hold"; return 0; }
  AQMESH_BENCH_DIR=$SCRATCH "$BUILD/bench/aqmesh-bench" --benchmark_filter="$(report -nr 'import "report" as r; r::micro_filter')" \
    --benchmark_min_time=0.1 --benchmark_repetitions=3 --benchmark_enable_random_interleaving=true \
    --benchmark_format=json >"$SCRATCH/bases.raw" 2>"$SCRATCH/micro.log" || { cat "$SCRATCH/micro.log" >&2; exit 1; }
  report -c 'import "report" as r; r::micro_measurements[]' "$SCRATCH/bases.raw"
}

e2e() {
  say "tunnels between namespaces"
  about >"$SCRATCH/about.json"
  "$HERE/e2e.sh" "$BUILD" "$SCRATCH/e2e.jsonl" --rounds "${ROUNDS:-$((2 + CHECK))}" "${E2E_FLAGS[@]}"
  [ $CHECK = 0 ] || micro_bases >>"$SCRATCH/e2e.jsonl"
  report -s --slurpfile about "$SCRATCH/about.json" 'import "report" as r; r::e2e($about[0])' "$SCRATCH/e2e.jsonl" >"$SCRATCH/e2e.json"
  report -r 'import "report" as r; r::e2e_table' "$SCRATCH/e2e.json"
  if [ $WHOLE = 1 ]; then
    report '.bases |= map(select(.best))' "$SCRATCH/e2e.json" >"$SCRATCH/e2e.kept"
    keep e2e "$SCRATCH/e2e.kept"
    python3 "$HERE/chart.py" "$RESULTS" "$HERE/chart.svg"
    chown --reference="$HERE" "$HERE/chart.svg"
  fi
  [ $CHECK = 1 ] || return 0
  report -r 'import "report" as r; r::check_table' "$SCRATCH/e2e.json"
  report -e 'all(.bases[]; .holds)' "$SCRATCH/e2e.json" >/dev/null || exit 1
}

lineage() {
  say "the lineage, with a log of ${RECORDS:-10000000} records"
  about >"$SCRATCH/about.json"
  mkdir "$SCRATCH/lineage"
  "$BUILD/bench/aqmesh-lineage-load" "$SCRATCH/lineage" --rounds "${ROUNDS:-3}" --records "${RECORDS:-10000000}" >"$SCRATCH/lineage.jsonl"
  report -s --slurpfile about "$SCRATCH/about.json" 'import "report" as r; r::lineage($about[0])' "$SCRATCH/lineage.jsonl" >"$SCRATCH/lineage.json"
  report -r 'import "report" as r; r::lineage_table' "$SCRATCH/lineage.json"
  [ $WHOLE = 0 ] || keep lineage "$SCRATCH/lineage.json"
  report -r 'import "report" as r; r::check_table' "$SCRATCH/lineage.json"
  [ $CHECK = 0 ] || report -e 'all(.bases[]; .holds)' "$SCRATCH/lineage.json" >/dev/null || exit 1
}

case $NAME in
  "") micro ""; lineage; e2e ;;
  micro) micro "" ;;
  e2e) e2e ;;
  lineage) lineage ;;
  *) micro "$NAME" ;;
esac
