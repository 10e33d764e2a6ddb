#!/usr/bin/env bash
# Whole tunnels, measured side by side: each contender has a pair of network namespaces over a veth, all stand at
# once, and the turns go A B C A B C, so that what disturbs the machine disturbs them alike. Each turn is once over all
# cores and once more with a second pair of the same contender that lives on one core, its load too.
#   e2e.sh BUILD_DIR OUT.jsonl [--rounds N] [--seconds S] [--only "NAME NAME"] [--one-core]
# Writes one JSON object a measurement to OUT.jsonl. Needs root. A measurement without traffic ends the run.
set -euo pipefail
export LC_ALL=C WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD=1   # else Debian's wireguard-go hesitates
HERE=$(dirname "$(readlink -f "$0")")
BUILD=$(readlink -f "$1"); OUT=$2; shift 2
umask 077
ROUNDS=2 SECONDS_EACH=3 ONLY="" ALL_CORES=1
while [ $# -gt 0 ]; do case $1 in
  --rounds) ROUNDS=$2; shift 2 ;; --seconds) SECONDS_EACH=$2; shift 2 ;; --only) ONLY=$2; shift 2 ;;
  --one-core) ALL_CORES=0; shift ;;
  *) printf 'e2e.sh: unknown argument %s\n' "$1" >&2; exit 2 ;;
esac; done
BIN=$BUILD/apps
PEERS=$BUILD/peers
UDP_LOAD=$BUILD/bench/aqmesh-udp-load
HANDSHAKE_LOAD=$BUILD/bench/aqmesh-handshake-load
PATH=$PATH:/usr/local/go/bin:$HOME/.cargo/bin   # where their makers put them, which sudo leaves out
TAG=aqb$$
T=$(mktemp -d /tmp/aqmesh-bench.XXXXXX)
HZ=$(getconf CLK_TCK)
CORE=$(taskset -cp $$ | sed 's/.*: //; s/[,-].*//')
# aqmesh-wg-1380 has the governed tunnel's MTU: what governing costs. null is ours without ciphers: a ceiling.
CONTENDERS=(veth null aqmesh-wg aqmesh-wg-1380 aqmeshd wireguard-go-newest wireguard-go-debian boringtun gotatun nebula)
STANDING=()   # instances that have namespaces
UP=()         # those to measure
PIN=()        # what runs a program on the cores of this turn
PAIRS=0

say() { printf '    %s\n' "$*" >&2; }
die() { printf 'e2e.sh: %s\n' "$*" >&2; exit 1; }
note() { jq -nc "$@" >>"$OUT"; }

# down INSTANCE...: ends what runs in their namespaces, and removes these.
down() {
  local i end p try left
  for try in 1 2 3 4 5 6; do
    left=0
    for i in "$@"; do for end in a b; do
      for p in $(ip netns pids "$TAG-$i-$end" 2>/dev/null || true); do
        left=1
        if [ $try -lt 6 ]; then kill "$p" 2>/dev/null || true; else kill -9 "$p" 2>/dev/null || true; fi
      done
    done; done
    [ $left = 1 ] || break
    sleep 0.2
  done
  for i in "$@"; do
    for end in a b; do
      ip netns del "$TAG-$i-$end" 2>/dev/null || true
      if [ -s "$T/$i.$end.interface" ]; then rm -f "/var/run/wireguard/$(cat "$T/$i.$end.interface").sock"; fi   # some leave it
    done
  done
}
cleanup() {
  trap - EXIT INT TERM
  down "${STANDING[@]}"
  if [ "${KEEP:-0}" = 1 ]; then say "kept: $T"; else rm -rf "$T"; fi
}
trap cleanup EXIT
trap 'exit 130' INT TERM

[ "$(id -u)" = 0 ] || die "network namespaces need root"
[ -c /dev/net/tun ] || die "no /dev/net/tun here"
for tool in ip wg iperf3 ping jq ss taskset; do command -v "$tool" >/dev/null || die "no $tool; run it by ./dev bench"; done
for program in "$BIN"/{aqmesh,aqmeshd,aqmesh-net,aqmesh-wg} "$UDP_LOAD" "$HANDSHAKE_LOAD"; do
  [ -x "$program" ] || die "no $program; run it by ./dev bench"
done
[[ $SECONDS_EACH =~ ^[1-9][0-9]*$ && $ROUNDS =~ ^[1-9][0-9]*$ ]] || die "--seconds and --rounds take a number from 1 on"
mkdir -p "$PEERS"
: >"$OUT"

on() { local end=$1 instance=$2; shift 2; ip netns exec "$TAG-$instance-$end" "${PIN[@]}" "$@"; }
until_true() {  # until_true SECONDS command...
  local end=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do [ $SECONDS -lt $end ] || return 1; sleep 0.05; done
}
pin() { if [[ $1 == *.1core ]]; then PIN=(taskset -c "$CORE"); else PIN=(); fi; }

. "$HERE/e2e/contenders.sh"
. "$HERE/e2e/measure.sh"
. "$HERE/e2e/handshakes.sh"

bring_up() {  # bring_up INSTANCE
  local i=$1 name
  name=$(name_of "$i")
  pin "$i"
  namespaces "$i"
  if ! "up_$name" "$i"; then
    case $name in veth | null | aqmesh-wg | aqmesh-wg-1380 | aqmeshd) die "$name did not come up" ;; esac
    say "missing: $name"
    if [ -s "$T/build.log" ]; then tail -3 "$T/build.log" >&2; fi
    note --arg v "$name" '{missing: $v}'
    return 1
  fi
  until_true 15 on a "$i" ping -n -c 1 -W 1 "$(cat "$T/$i.to")" || die "$i: no ping gets through"
  UP+=("$i")
}

takes_wg() { case $1 in aqmesh-wg | wireguard-go-* | boringtun | gotatun) return 0 ;; *) return 1 ;; esac; }

turn() {  # turn INSTANCE ROUND
  local i=$1 round=$2 name way
  name=$(name_of "$i")
  pin "$i"
  busy_before "$i" "$round"
  if [[ $i == *.1core ]]; then
    tcp "$i" "$round" 1 fwd
    udp_flood "$i" "$round"
    return
  fi
  [ "$name" = aqmesh-wg-1380 ] || ping_idle "$i" "$round"
  for way in fwd rev; do tcp "$i" "$round" 1 $way; tcp "$i" "$round" 4 $way; done
  [ "$name" != aqmesh-wg-1380 ] || return 0   # TCP alone is its question
  udp_flood "$i" "$round"
  udp_lossless "$i" "$round"
  [ "$name" = veth ] || rss "$i" "$round"
  ! takes_wg "$name" || handshakes "$i" "$round"
}

for name in "${CONTENDERS[@]}"; do
  [ -z "$ONLY" ] || [[ " $ONLY " == *" $name "* ]] || continue
  if [ $ALL_CORES = 1 ]; then bring_up "$name" || continue; fi
  [ "$name" = aqmesh-wg-1380 ] || bring_up "$name.1core" || continue
done
[ ${#UP[@]} -gt 0 ] || die "no contender is called like '$ONLY'; there are ${CONTENDERS[*]}"
for round in $(seq "$ROUNDS"); do
  for n in $(seq 0 $((${#UP[@]} - 1))); do
    turn "${UP[$(((n + round - 1) % ${#UP[@]}))]}" "$round"   # another one begins each round
  done
  say "round $round of $ROUNDS done"
done
