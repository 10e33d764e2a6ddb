#!/usr/bin/env bash
# Whole tunnels, measured side by side: each contender has a pair of network namespaces over a veth, all stand at
# once, and the turns go A B C A B C, so that what disturbs the machine disturbs them alike.
#   e2e.sh BUILD_DIR OUT.jsonl [--rounds N] [--seconds S] [--only "NAME NAME"]
# Writes one JSON object a measurement to OUT.jsonl. Needs root. A measurement without traffic ends the run.
set -euo pipefail
export LC_ALL=C WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD=1   # else Debian's wireguard-go hesitates
BUILD=$(readlink -f "$1"); OUT=$2; shift 2
umask 077
ROUNDS=4 SECONDS_EACH=3 ONLY=""
while [ $# -gt 0 ]; do case $1 in
  --rounds) ROUNDS=$2; shift 2 ;; --seconds) SECONDS_EACH=$2; shift 2 ;; --only) ONLY=$2; shift 2 ;;
  *) printf 'e2e.sh: unknown argument %s\n' "$1" >&2; exit 2 ;;
esac; done
BIN=$BUILD/apps
PEERS=$BUILD/peers
TAG=aqb$$
T=$(mktemp -d /tmp/aqmesh-bench.XXXXXX)
HZ=$(getconf CLK_TCK)
CONTENDERS=(veth aqmesh-wg aqmeshd wireguard-go-debian wireguard-go-newest)
UP=()
PAIRS=0

say() { printf '    %s\n' "$*" >&2; }
die() { printf 'e2e.sh: %s\n' "$*" >&2; exit 1; }
note() { jq -nc "$@" >>"$OUT"; }

cleanup() {
  trap - EXIT INT TERM
  local name end p
  for name in "${CONTENDERS[@]}"; do for end in a b; do
    for p in $(ip netns pids "$TAG-$name-$end" 2>/dev/null || true); do kill "$p" 2>/dev/null || true; done
  done; done
  sleep 0.5
  for name in "${CONTENDERS[@]}"; do for end in a b; do
    for p in $(ip netns pids "$TAG-$name-$end" 2>/dev/null || true); do kill -9 "$p" 2>/dev/null || true; done
    ip netns del "$TAG-$name-$end" 2>/dev/null || true
  done; done
  if [ "${KEEP:-0}" = 1 ]; then say "kept: $T"; else rm -rf "$T"; fi
}
trap cleanup EXIT
trap 'exit 130' INT TERM

[ "$(id -u)" = 0 ] || die "network namespaces need root"
[ -c /dev/net/tun ] || die "no /dev/net/tun here"
for tool in ip wg iperf3 ping jq ss; do command -v "$tool" >/dev/null || die "no $tool; run it by ./dev bench"; done
for app in aqmesh aqmeshd aqmesh-net aqmesh-wg; do [ -x "$BIN/$app" ] || die "no $app in $BIN; run it by ./dev bench"; done
mkdir -p "$PEERS"
: >"$OUT"

on() { local end=$1 name=$2; shift 2; ip netns exec "$TAG-$name-$end" "$@"; }
until_true() {  # until_true SECONDS command...
  local end=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do [ $SECONDS -lt $end ] || return 1; sleep 0.1; done
}

# ---- bringing up. Each leaves pids in $T/NAME.{a,b}.pids and b's inner address in $T/NAME.to

namespaces() {
  local name=$1 end host=1
  for end in a b; do ip netns add "$TAG-$name-$end"; : >"$T/$name.$end.pids"; done
  ip link add eth0 netns "$TAG-$name-a" type veth peer name eth0 netns "$TAG-$name-b"
  for end in a b; do
    ip -n "$TAG-$name-$end" addr add "192.0.2.$host/24" dev eth0
    ip -n "$TAG-$name-$end" link set eth0 up; ip -n "$TAG-$name-$end" link set lo up
    host=$((host + 1))
  done
}

up_veth() { echo 192.0.2.2 >"$T/veth.to"; note --arg v "$(uname -r)" '{version: "veth", is: ("kernel " + $v)}'; }

wireguard() {  # wireguard NAME PROGRAM: a plain pair
  local name=$1 program=$2 end key other host=1 interface
  PAIRS=$((PAIRS + 1))
  for end in a b; do
    interface=w$end$PAIRS$$   # its socket's name is the machine's, whatever the namespace
    WG_PROCESS_FOREGROUND=1 LOG_LEVEL=error ip netns exec "$TAG-$name-$end" "$program" -f "$interface" >"$T/$name.$end.log" 2>&1 &
    echo $! >>"$T/$name.$end.pids"   # ip becomes the program
    until_true 10 test -S "/var/run/wireguard/$interface.sock" || { cat "$T/$name.$end.log" >&2; die "$name did not start"; }
    echo "$interface" >"$T/$name.$end.interface"
    wg genkey >"$T/$name.$end.key"
  done
  for end in a b; do
    other=b; [ $end = a ] || other=a
    interface=$(cat "$T/$name.$end.interface")
    key=$(wg pubkey <"$T/$name.$other.key")
    on $end "$name" wg set "$interface" listen-port 5001 private-key "$T/$name.$end.key" peer "$key" \
      allowed-ips "10.77.0.$((3 - host))/32" endpoint "192.0.2.$((3 - host)):5001"
    on $end "$name" ip addr add "10.77.0.$host/24" dev "$interface"
    on $end "$name" ip link set "$interface" mtu 1420 up
    host=$((host + 1))
  done
  echo 10.77.0.2 >"$T/$name.to"
}
up_aqmesh-wg() {
  wireguard aqmesh-wg "$BIN/aqmesh-wg"
  note --arg v "$("$BIN/aqmesh-wg" --version | tail -1)" '{version: "aqmesh-wg", is: $v}'
}
up_wireguard-go-debian() {
  command -v wireguard-go >/dev/null || return 1
  wireguard wireguard-go-debian "$(command -v wireguard-go)"
  note --arg v "$(dpkg-query -W -f '${Version}' wireguard-go)" '{version: "wireguard-go-debian", is: $v}'
}
up_wireguard-go-newest() {
  if [ ! -x "$PEERS/wireguard" ]; then
    command -v go >/dev/null || return 1
    GOBIN=$PEERS go install golang.zx2c4.com/wireguard@latest >"$T/go.log" 2>&1 || return 1
  fi
  wireguard wireguard-go-newest "$PEERS/wireguard"
  note --arg v "$(go version -m "$PEERS/wireguard" 2>/dev/null | awk '$1 == "mod" {print $3}')" \
    '{version: "wireguard-go-newest", is: $v}'
}

aq() { local end=$1; shift; PATH=$BIN:$PATH timeout 40 ip netns exec "$TAG-aqmeshd-$end" "$BIN/aqmesh" --state "$T/$end" --socket "$T/$end.sock" "$@"; }
up_aqmeshd() {
  aq a init bench --machine a --no-passphrase --endpoint 192.0.2.1:41641 >"$T/init.log" 2>&1 || { cat "$T/init.log" >&2; return 1; }
  aq a up >"$T/up.log" 2>&1 || { cat "$T/up.log" >&2; return 1; }
  aq a invite -o "$T/line" --wait --yes >"$T/invite.log" 2>&1 &
  local sponsor=$!
  until_true 10 test -s "$T/line"
  aq b join "$T/line" --name b --endpoint 192.0.2.2:41641 >"$T/join.log" 2>&1 </dev/null ||
    { cat "$T/join.log" "$T"/?/aqmeshd.log >&2; return 1; }
  until_true 20 aq b wait --peer a --timeout 1s
  aq b ip -4 | head -1 >"$T/aqmeshd.to"
  wait "$sponsor"
  local end p
  for end in a b; do for p in $(ip netns pids "$TAG-aqmeshd-$end"); do
    case $(cat "/proc/$p/comm") in aqmeshd | aqmesh-net) echo "$p" >>"$T/aqmeshd.$end.pids" ;; esac
  done; done
  note --arg v "$("$BIN/aqmeshd" --version | tail -1)" '{version: "aqmeshd", is: $v}'
}

# ---- measuring

ticks() {  # ticks NAME END: CPU time of that end's programs
  local p sum=0 x
  while read -r p; do
    x=$(awk '{sub(/.*\) /, ""); print $12 + $13}' "/proc/$p/stat") || die "$1: a program of end $2 is gone"
    sum=$((sum + x))
  done <"$T/$1.$2.pids"
  echo $sum
}
rss_kib() {
  local p sum=0 x
  while read -r p; do x=$(awk '/^VmRSS/ {print $2}' "/proc/$p/status"); sum=$((sum + x)); done <"$T/$1.$2.pids"
  echo $sum
}
machine() { awk '/^cpu / {print $2 + $3 + $4 + $7 + $8}' /proc/stat; }
listening() { on b "$1" ss -Hltn "sport = :5201" | grep -q .; }

tcp() {  # tcp NAME ROUND STREAMS fwd|rev
  local name=$1 round=$2 streams=$3 way=$4 to server before_a before_b before_all reverse=()
  to=$(cat "$T/$name.to")
  [ "$way" = fwd ] || reverse=(-R)
  on b "$name" iperf3 -s -1 -B "$to" >"$T/server.log" 2>&1 & server=$!
  until_true 5 listening "$name" || die "$name: iperf3 does not listen: $(cat "$T/server.log")"
  before_a=$(ticks "$name" a); before_b=$(ticks "$name" b); before_all=$(machine)
  timeout $((SECONDS_EACH + 15)) ip netns exec "$TAG-$name-a" \
    iperf3 -c "$to" -t "$SECONDS_EACH" -P "$streams" -C cubic -J "${reverse[@]}" >"$T/iperf.json" ||
    die "$name: iperf3 failed: $(jq -r '.error // "no answer"' "$T/iperf.json" 2>/dev/null || true)"
  local after_a after_b after_all
  after_a=$(ticks "$name" a); after_b=$(ticks "$name" b); after_all=$(machine)
  wait "$server" || true
  jq -e '.end.sum_received.bytes > 1000000' "$T/iperf.json" >/dev/null || die "$name: TCP $streams $way carried nothing"
  local sender=$((after_a - before_a)) receiver=$((after_b - before_b)) t
  [ "$way" = fwd ] || { t=$sender; sender=$receiver; receiver=$t; }
  jq -c --arg who "$name" --argjson round "$round" --arg what "tcp${streams}_$way" --argjson hz "$HZ" \
    --argjson s "$sender" --argjson r "$receiver" --argjson all "$((after_all - before_all))" \
    '(.end.sum_received.bytes / 1e9) as $gb | {who: $who, round: $round, what: $what,
      gbit_s: (.end.sum_received.bits_per_second / 1e9), retransmits: .end.sum_sent.retransmits,
      cpu_sender_s_gb: ($s / $hz / $gb), cpu_receiver_s_gb: ($r / $hz / $gb),
      cpu_both_s_gb: (($s + $r) / $hz / $gb), cpu_machine_s_gb: ($all / $hz / $gb)}' \
    "$T/iperf.json" >>"$OUT"
}

idle_ping() {  # idle_ping NAME ROUND: 200 of them, 10 ms apart
  local name=$1 round=$2
  on a "$name" ping -n -c 200 -i 0.01 -W 2 "$(cat "$T/$name.to")" >"$T/ping" || die "$name: ping failed: $(tail -2 "$T/ping" | head -1)"
  sed -n 's/.*time=\([0-9.]*\) ms/\1/p' "$T/ping" | jq -sc --arg who "$name" --argjson round "$round" \
    'if length < 150 then error("too few answers: \(length)") else . end | sort |
     {who: $who, round: $round, what: "ping", p50_us: (.[length / 2 | floor] * 1000), p99_us: (.[length * 0.99 | floor] * 1000)}' >>"$OUT" ||
    die "$name: ping lost too much"
}

turn() {  # turn NAME ROUND
  local name=$1 round=$2 before after end way
  before=$(machine); sleep 0.5; after=$(machine)
  note --arg who "$name" --argjson round "$round" --argjson t "$((after - before))" --argjson hz "$HZ" --argjson n "$(nproc)" \
    '{who: $who, round: $round, what: "busy_before", share: ($t / $hz / 0.5 / $n)}'
  idle_ping "$name" "$round"
  for way in fwd rev; do tcp "$name" "$round" 1 $way; tcp "$name" "$round" 4 $way; done
  [ "$name" = veth ] || for end in a b; do
    note --arg who "$name" --argjson round "$round" --arg at $end --argjson k "$(rss_kib "$name" $end)" \
      '{who: $who, round: $round, what: "rss", at: $at, mib: ($k / 1024)}'
  done
}

# ---- the run

for name in "${CONTENDERS[@]}"; do
  [ -z "$ONLY" ] || [[ " $ONLY " == *" $name "* ]] || continue
  namespaces "$name"
  if ! "up_$name"; then
    case $name in
      wireguard-go-*) say "missing: $name"; note --arg v "$name" '{missing: $v}'; continue ;;
      *) die "$name did not come up" ;;
    esac
  fi
  until_true 15 on a "$name" ping -n -c 1 -W 1 "$(cat "$T/$name.to")" || die "$name: no ping gets through"
  UP+=("$name")
done
for round in $(seq "$ROUNDS"); do
  for i in $(seq 0 $((${#UP[@]} - 1))); do
    name=${UP[$(((i + round - 1) % ${#UP[@]}))]}   # another one begins each round
    turn "$name" "$round"
  done
  say "round $round of $ROUNDS done"
done
