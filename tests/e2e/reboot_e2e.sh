#!/usr/bin/env bash
# All machines go down at once, one of them for good, and it is eight days later when the others start again. They find
# each other; two that had never met connect; a new machine joins; traffic flows; and a revocation, by an enroller and
# by a machine that only keeps the other's self-revocation, cuts a live session.
#   reboot_e2e.sh BUILD_DIR            the first machine, the one that made the mesh, is the one that is gone
#   reboot_e2e.sh BUILD_DIR --long     each of them in turn
set -euo pipefail
HERE=$(dirname "$(readlink -f "$0")")
. "$HERE/lib.sh"
MEMBERS="atlas borealis cygnus draco"  # each let in by the one before, and met nobody else
BUILD=${1:?usage: reboot_e2e.sh BUILD_DIR [--long]}

apart() {  # two machines that cannot reach each other, until their next start
  on "$1" ip route add blackhole "${IP[$2]}/32"
  on "$2" ip route add blackhole "${IP[$1]}/32"
}
knows() { aq "$1" peers --json | jq -e --arg n "$2" 'any(.peers[]; .name == $n)'; }
met() { aq "$1" wait --peer "$2" --timeout 1s; }
never_met() { ! is_committed "$1" "$2" && ! is_committed "$2" "$1"; }
is_committed() { aq "$1" peers --json | jq -e --arg n "$2" 'any(.peers[]; .name == $n and .committed)' >/dev/null; }
serves() { later "$1" iperf3 -s -B "$(address "$1")" >/dev/null 2>&1; until_true 5 listens "$1"; }
listens() { on "$1" ss -ltn | grep -q :5201; }
flows() {  # flows FROM TO: a second of TCP through the tunnel
  on "$1" iperf3 -c "$2" -t 1 -J >"$T/iperf.json" && jq -e '.end.sum_received.bytes > 100000' "$T/iperf.json"
}
clock_of() { local t; t=$(shifted date +%s); [ "$t" -gt $(($(date +%s) + 690000)) ]; }
# From the moment that the order has been answered on, nothing of the revoked one comes out of the TUN.
cut_off() {  # cut_off BY WHOM AT [revoke flags]
  local by=$1 whom=$2 at=$3 from before; shift 3
  from=$(address "$whom")
  capture "$at" "$whom-at-$at"
  later "$whom" ping -i 0.1 "$(address "$at")" >/dev/null 2>&1
  until_true 5 reached 0 "$whom-at-$at" "icmp and src $from" || { echo "no live session to cut"; return 1; }
  aq "$by" revoke "$whom" "$@" >"$T/revoke.out" || return 1
  until_true 10 not is_committed "$at" "$whom" || { echo "$whom is still in force at $at"; return 1; }
  sleep 0.5
  before=$(seen "$whom-at-$at" "icmp and src $from")
  sleep 3
  [ "$(seen "$whom-at-$at" "icmp and src $from")" = "$before" ] || { echo "packets of $whom still reach $at"; return 1; }
}

make_mesh() {
  # shellcheck disable=SC2086
  machine $MEMBERS
  aq atlas init home --machine atlas --no-passphrase --endpoint "${IP[atlas]}:41641" >"$T/init.out" 2>&1
  aq atlas up >/dev/null 2>&1
  apart atlas cygnus; apart atlas draco; apart borealis draco
  claim "borealis joins by atlas" join borealis atlas
  claim "cygnus joins by borealis" join cygnus borealis
  claim "draco joins by cygnus" join draco cygnus
  claim "word of each reaches the others, though they cannot" until_true 20 all_known
}
all_known() { knows atlas draco && knows draco atlas && knows borealis draco && knows draco borealis && knows atlas cygnus; }

# What a turn needs to know: two that never met, who lets the new one in, and who keeps whose self-revocation.
story() {
  local gone=$1 left="" h one two sponsor keeper kept flag=""
  case $gone in
    atlas) one=borealis two=draco sponsor=borealis keeper=cygnus kept=borealis ;;
    borealis) one=atlas two=draco sponsor=atlas keeper=draco kept=cygnus ;;
    cygnus) one=atlas two=draco sponsor=borealis keeper=atlas kept=borealis flag=--key ;;
    draco) one=atlas two=cygnus sponsor=borealis keeper=cygnus kept=borealis ;;
  esac
  for h in $MEMBERS; do [ "$h" = "$gone" ] || left="$left $h"; done

  title "Before: $MEMBERS, each let in by the one before"
  make_mesh
  claim "$one and $two have never met" never_met "$one" "$two"

  title "All go down; $gone for good; it is eight days later"
  for h in $MEMBERS; do unplug "$h"; done
  rm -rf "${T:?}/$gone"
  CLOCK=8
  claim "the clocks of the others show it" clock_of
  # shellcheck disable=SC2086
  machine $left
  for h in $left; do aq "$h" up >"$T/up.out" 2>&1 || cat "$T/up.out"; done
  for h in $left; do
    for other in $left; do
      [ "$h" = "$other" ] || claim "$h finds $other" until_true 30 met "$h" "$other"
    done
  done
  claim "$one and $two, who had never met, ping" until_true 10 pings "$one" "$(address "$two")"
  serves "$two"
  claim "and move data" until_true 10 flows "$one" "$(address "$two")"

  title "A new machine"
  machine elara
  claim "elara joins by $sponsor" join elara "$sponsor"
  claim "elara meets $two, which heard of it" until_true 20 met "$two" elara
  claim "elara moves data to $two" until_true 10 flows elara "$(address "$two")"

  title "Revocation, with $gone gone"
  claim "by the enroller: $sponsor revokes elara, and its session with $two is cut" cut_off "$sponsor" elara "$two"
  # shellcheck disable=SC2086
  claim "by a custodian: $keeper ends the key of $kept by what $kept left there" cut_off "$keeper" "$kept" "$keeper" $flag
  claim "$keeper says that it was that" grep -q 'for good' "$T/revoke.out"
  for h in $left; do
    for other in $left; do
      if [ "$h" = "$other" ] || [ "$h" = "$kept" ] || [ "$other" = "$kept" ]; then continue; fi
      claim "$h and $other still talk" until_true 10 pings "$h" "$(address "$other")"
    done
  done
  # shellcheck disable=SC2086
  for h in $left; do claim "$h: its log holds together" aq "$h" lineage verify; done
  for h in $left elara; do unplug "$h"; done
  rm -rf "${T:?}"/*
  CLOCK=0
}

case ${2:-} in
  --long) TURNS=$MEMBERS ;;
  "") TURNS=atlas ;;
  *) echo "reboot_e2e: what is $2? It takes --long" >&2; exit 2 ;;
esac
e2e_begin reboot "$BUILD"
kill_on_refusal
[ -e "$TOOLS/libwall_shift.so" ] || { echo "reboot_e2e: no libwall_shift.so in $TOOLS; build it first: ./dev build" >&2; exit 1; }
for gone in $TURNS; do story "$gone"; done
verdict
