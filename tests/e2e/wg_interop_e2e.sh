#!/usr/bin/env bash
# aqmesh-wg against other WireGuard implementations, in both roles: handshake, preshared key, IPv4 and IPv6 inside and
# outside, bulk, roaming of either side under traffic, keepalives and cookies as they are seen on the wire.
# Peers: Debian's wireguard-go, the newest one (a Go module, built once), and ourselves.
# Usage: wg_interop_e2e.sh BUILD_DIR [--long]     --long adds the rekey by time under load, floods
# for every pair, and roamers that need more than 15 s
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/e2e/wg_lib.sh
. tests/e2e/wg_lib.sh
wg_begin wg_interop_e2e "$@"
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/aqmesh-e2e
WIREGUARD_GO=$(command -v wireguard-go || true)

bulk() {
  command -v iperf3 >/dev/null || { echo "missing: iperf3 (apt-get install iperf3)"; return; }
  inB iperf3 -s -1 -B 10.77.0.2 >/dev/null 2>&1 &
  eventually 15 tcp_listens
  check "tcp out" inA iperf3 -c 10.77.0.2 -t 1 -P 2
  wait $! || true
  inB iperf3 -s -1 -B fd77::2 >/dev/null 2>&1 &
  eventually 15 tcp_listens
  check "tcp in, over v6" inA iperf3 -c fd77::2 -t 1 -R
  wait $! || true
}
tcp_listens() { inB ss -ltnH 'sport = 5201' | grep -q .; }

# ---- roaming, while both sides send
traffic() { # traffic on|off
  if [ "$1" = on ]; then
    ip netns exec "$A" ping -q -i 0.1 10.77.0.2 >/dev/null 2>&1 & TRAFFIC=$! # not inA: a function's $! is a shell
    ip netns exec "$B" ping -q -i 0.1 10.77.0.1 >/dev/null 2>&1 & TRAFFIC="$TRAFFIC $!"
  else
    # shellcheck disable=SC2086
    kill $TRAFFIC 2>/dev/null || true
    # shellcheck disable=SC2086
    wait $TRAFFIC 2>/dev/null || true
  fi
}
meets() { [ "$($1)" = "$2" ]; }
both_ways() { ping_a 10.77.0.2 && ping_b 10.77.0.1; }
port_of_a() { inA wg set "$IA" listen-port 5011; eventually 15 meets endpoint_at_b 192.0.2.1:5011 && both_ways; }
port_of_b() { inB wg set "$IB" listen-port 5012; eventually 15 meets endpoint_at_a 192.0.2.2:5012 && both_ways; }
# A peer whose address goes away may keep it until its 15 s new-handshake timer; ours finds out by its first packet.
address_of() { # address_of a|b SECONDS
  local ns=$A v=$VA old=192.0.2.1 new=192.0.2.3 where=endpoint_at_b port=5011
  [ "$1" = a ] || { ns=$B v=$VB old=192.0.2.2 new=192.0.2.4 where=endpoint_at_a port=5012; }
  ip netns exec "$ns" sh -c "ip addr add $new/24 dev $v; ip addr del $old/24 dev $v; ip addr add $new/24 dev $v 2>/dev/null || true"
  eventually "$2" meets $where $new:$port || { echo "endpoint: $($where)"; return 1; }
  both_ways
}

# ---- what is on the wire
keepalives() { # A speaks every second though nobody asks; 32 bytes each
  watch_wire 5
  peer_a persistent-keepalive 1
  wait $WATCH
  peer_a persistent-keepalive off
  local n; n=$(seen "^[0-9.]+ 192.0.2.[13] .* type=4 len=32 ")
  [ "$n" -ge 3 ] || { echo "$n keepalives in 5 s"; return 1; }
}
# A's first handshake and data: sizes, mac2 zero, the marks that a handshake carries, padding to 16.
shapes() {
  local bad
  grep -q ' type=1 len=148 mac2=0 ' "$W/wire" && grep -q ' type=2 len=92 mac2=0 ' "$W/wire" || { echo "no handshake seen"; return 1; }
  bad=$(grep -E ' 5001 .* type=[12] ' "$W/wire" | grep -v 'tos=0x88' | head -n 1 || true)
  [ "$2" != ours ] || [ -z "$bad" ] || { echo "a handshake of ours without AF41: $bad"; return 1; }
  # The wire shows what leaves at once as one (GSO): those are longer than the MTU lets a message be.
  bad=$(awk '{ split($7, l, "=") } $6 == "type=4" && l[2] < 1452 && l[2] % 16 { print; exit }' "$W/wire")
  [ -z "$bad" ] || { echo "data not padded: $bad"; return 1; }
}
outer_v6() {
  peer_a endpoint '[2001:db8::2]:5002'
  # wireguard-go of 2026 sends its first packets after a change of family to a wrong address: hence the other tries.
  eventually 20 speaks_v6 || { echo "endpoint at B: $(endpoint_at_b)"; return 1; }
}
speaks_v6() { ping_a 10.77.0.2 && [[ $(endpoint_at_b) == "[2001:db8::1]:"* ]]; }
psk_on_one_side() { ! inA ping -q -c 1 -W 2 10.77.0.2; }

# A flood of initiations with a right mac1 makes B ask for cookies; A's next initiation carries one, and gets through.
# B may lose any single initiation in the flood, and A tries every 5 s: so this has half a minute, and mostly needs 6 s.
cookie() {
  local flood ping rc=0
  peer_a endpoint 192.0.2.2:5002
  watch_wire 60 5001
  ip netns exec "$A" python3 "$HERE/wg_flood.py" 192.0.2.2 5002 "$PB" 60 >"$W/flood" & flood=$!
  eventually 30 grep -q 'under load' "$W/flood" || { kill $flood $WATCH; echo "B never asked for a cookie"; return 1; }
  ip netns exec "$A" ping -i 0.2 -w 40 10.77.0.2 >"$W/ping" & ping=$!
  eventually 35 cookie_answered || rc=1
  kill $ping $flood $WATCH
  wait $ping || true
  wait $WATCH || true
  wait $flood || rc=1
  [ $rc = 0 ] || { echo "$(tail -n 1 "$W/flood"); A: $(seen ' 5001 .* type=1 ') initiations, $(seen ' 5001 type=3 ') cookies"; return 1; }
}
cookie_answered() {
  grep -q ' 5001 type=3 len=64 ' "$W/wire" && grep -q ' 5001 .* type=1 len=148 mac2=1 ' "$W/wire" &&
    grep -q 'bytes from' "$W/ping"
}

# ---- the rekey by time: 130 s of traffic over a session that is renewed after 120 s
rekey() {
  pair "$1" "$2"
  peer_a endpoint 192.0.2.2:5002
  ping_a 10.77.0.2
  watch_wire 131
  local first second ping
  first=$(handshake_at_a)
  inA ping -i 0.1 -c 1290 10.77.0.2 >"$W/ping" & ping=$!
  if command -v iperf3 >/dev/null; then
    inB iperf3 -s -1 -B 10.77.0.2 >/dev/null 2>&1 &
    eventually 15 tcp_listens
    inA iperf3 -c 10.77.0.2 -t 126 -b 5M >/dev/null || { echo "the TCP stream broke"; return 1; }
  fi
  wait $ping || true
  wait $WATCH
  second=$(handshake_at_a)
  [ "$second" -ge $((first + 115)) ] || { echo "handshakes at $first and $second"; return 1; }
  [ "$(seen ' 5001 .* type=1 len=148 ')" -ge 1 ] || { echo "the initiator did not rekey"; return 1; }
  # A hole at the rekey would be a run of missing answers; single ones are a busy machine's.
  local hole
  hole=$(awk -F 'icmp_seq=' 'NF > 1 { n = $2 + 0; if (n - last - 1 > most) most = n - last - 1; last = n } END { print most + 0 + (last < 1280) * 1290 }' "$W/ping")
  [ "$hole" -le 5 ] || { echo "$hole pings in a row got no answer: $(grep loss "$W/ping")"; return 1; }
}
rekey_suite() { world "$1"; check "rekeys by time under load, without a hole" rekey "$2" "$3"; }

# suite N PROGRAM_A PROGRAM_B KIND_A KIND_B
suite() {
  world "$1"
  local a=$2 b=$3 kind_a=$4 kind_b=$5
  pair "$a" "$b" || { fail "starts" "$(cat "$W"/log.*)"; return; }
  watch_wire 3
  peer_a endpoint 192.0.2.2:5002
  check "A initiates, ping v4" ping_a 10.77.0.2
  check "ping v6" ping_a fd77::2
  check "ping back" ping_b 10.77.0.1
  check "ping fragments of 4000 bytes" inA ping -q -c 2 -i 0.2 -W 3 -s 4000 10.77.0.2
  wait "$WATCH"
  check "sizes, marks and padding on the wire" shapes "$VA" "$kind_a"
  bulk
  traffic on
  check "A moves to another port" port_of_a
  check "B moves to another port" port_of_b
  if [ "$kind_a" = ours ] || [ $LONG = 1 ]; then check "A moves to another address" address_of a 40; fi
  if [ "$kind_b" = ours ] || [ $LONG = 1 ]; then check "B moves to another address" address_of b 40; fi
  traffic off
  check "persistent keepalives on the wire" keepalives

  pair "$a" "$b" || { fail "starts again"; return; }
  ip -n "$A" addr replace 192.0.2.1/24 dev "$VA"
  ip -n "$B" addr replace 192.0.2.2/24 dev "$VB"
  peer_a preshared-key "$T/psk"
  peer_b preshared-key "$T/psk" endpoint 192.0.2.1:5001
  check "B initiates, with a preshared key" ping_b 10.77.0.1
  check "outer v6" outer_v6

  pair "$a" "$b" || { fail "starts a third time"; return; }
  peer_a preshared-key "$T/psk" endpoint 192.0.2.2:5002
  check "a preshared key on one side only does not connect" psk_on_one_side
}
cookie_suite() { # cookie_suite N PROGRAM_A PROGRAM_B
  world "$1"
  pair "$2" "$3" || { fail "starts"; return; }
  check "cookies under a flood, and who answers them gets in" cookie
}

newest() { # the newest wireguard-go, built once
  [ -x "$CACHE/wireguard" ] && return 0
  command -v go >/dev/null || { echo "missing: newest wireguard-go (no go)"; return 1; }
  mkdir -p "$CACHE"
  GOBIN=$CACHE go install golang.zx2c4.com/wireguard@latest >"$T/go.log" 2>&1 && return 0
  echo "missing: newest wireguard-go ($(tail -n 1 "$T/go.log"))"
  return 1
}

PAIRS=("ours-ours $OURS $OURS ours ours")
if [ -n "$WIREGUARD_GO" ]; then
  PAIRS+=("ours-debian $OURS $WIREGUARD_GO ours other" "debian-ours $WIREGUARD_GO $OURS other ours")
else
  echo "missing: Debian's wireguard-go (apt-get install wireguard-go)"
fi
if newest; then
  PAIRS+=("ours-newest $OURS $CACHE/wireguard ours other" "newest-ours $CACHE/wireguard $OURS other ours")
fi

n=0
for p in "${PAIRS[@]}"; do
  read -r name rest <<<"$p"
  n=$((n + 1))
  # shellcheck disable=SC2086
  in_background "$name" suite $n $rest
done
suites_end
if [ $LONG = 1 ]; then
  JOBS_MAX=${#PAIRS[@]}
  for p in "${PAIRS[@]}"; do
    read -r name rest <<<"$p"
    n=$((n + 1))
    # shellcheck disable=SC2086
    in_background "$name" rekey_suite $n $rest
  done
  suites_end
fi
JOBS_MAX=1 # a flood takes the machine
for p in "${PAIRS[@]}"; do
  read -r name a b _ <<<"$p"
  [[ $name == *debian* ]] || [ $LONG = 1 ] || continue
  n=$((n + 1))
  in_background "$name" cookie_suite $n "$a" "$b"
done
suites_end
exit $FAILED
