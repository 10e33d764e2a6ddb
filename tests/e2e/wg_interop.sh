#!/usr/bin/env bash
# aqmesh-wg against other WireGuard implementations, each in a network namespace, over a veth pair.
#   sudo tests/e2e/wg_interop.sh [--long] [BUILD]       BUILD defaults to build/release
# Prints "ok NAME", "FAIL NAME why" or "skipped: why"; exit 1 if anything failed, 77 if nothing could run.
# --long adds what takes minutes: the rekey after 120 s.
set -u
umask 077
LONG=0
BUILD=build/release
for a; do case $a in --long) LONG=1 ;; *) BUILD=$a ;; esac; done
cd "$(dirname "$0")/../.." || exit 1
OURS=$(readlink -f "$BUILD/apps/aqmesh-wg")
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/aqmesh-e2e
export WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD=1   # else Debian's wireguard-go hesitates

skip() { echo "skipped: $*"; exit 77; }
[ "$(id -u)" = 0 ] || skip "needs root"
[ -c /dev/net/tun ] || skip "no /dev/net/tun"
for tool in ip wg ping python3; do command -v $tool >/dev/null || skip "no $tool"; done
[ -x "$OURS" ] || { echo "FAIL build no $BUILD/apps/aqmesh-wg; build it first"; exit 1; }

TAG=aqw$$
A=$TAG-a B=$TAG-b          # namespaces
IA=wa$$ IB=wb$$            # interfaces
TMP=$(mktemp -d)
FAILED=0
PIDS=()
ok() { echo "ok $1"; }
fail() { echo "FAIL $1 ${2:-}"; FAILED=1; }
check() { local name=$1; shift; if "$@" >"$TMP/out" 2>&1; then ok "$name"; else fail "$name" "$(tail -n 1 "$TMP/out" | tr -d '\n')"; fi; }
inA() { ip netns exec $A "$@"; }
inB() { ip netns exec $B "$@"; }
stop_devices() {
  rm -f /var/run/wireguard/$IA.sock /var/run/wireguard/$IB.sock
  for p in "${PIDS[@]}"; do kill "$p" 2>/dev/null; wait "$p" 2>/dev/null; done
  PIDS=()
}
cleanup() {
  stop_devices
  ip netns del $A 2>/dev/null
  ip netns del $B 2>/dev/null
  rm -rf "$TMP"
}
trap cleanup EXIT
trap 'exit 1' INT TERM
ip netns add $A && ip netns add $B || skip "network namespaces are not allowed here"
ip link add va$$ netns $A type veth peer name vb$$ netns $B || skip "no veth"
inA sh -c "ip link set lo up; ip link set va$$ up; ip addr add 192.0.2.1/24 dev va$$; ip addr add 2001:db8::1/64 dev va$$ nodad"
inB sh -c "ip link set lo up; ip link set vb$$ up; ip addr add 192.0.2.2/24 dev vb$$; ip addr add 2001:db8::2/64 dev vb$$ nodad"

wg genkey >"$TMP/ka"; wg genkey >"$TMP/kb"; wg genpsk >"$TMP/psk"
PA=$(wg pubkey <"$TMP/ka") PB=$(wg pubkey <"$TMP/kb")

start() { # start NAMESPACE PROGRAM INTERFACE: in the foreground of a job, so that we hold its process id
  WG_PROCESS_FOREGROUND=1 LOG_LEVEL=error ip netns exec "$1" "$2" "$3" >"$TMP/log.$3" 2>&1 &
  PIDS+=($!)
  for _ in $(seq 50); do [ -S /var/run/wireguard/"$3".sock ] && return 0; sleep 0.1; done
  return 1
}
peer_a() { inA wg set $IA peer "$PB" "$@"; }   # what A knows of B
peer_b() { inB wg set $IB peer "$PA" "$@"; }
addresses() {
  inA sh -c "ip addr add 10.77.0.1/24 dev $IA; ip addr add fd77::1/64 dev $IA nodad; ip link set $IA up"
  inB sh -c "ip addr add 10.77.0.2/24 dev $IB; ip addr add fd77::2/64 dev $IB nodad; ip link set $IB up"
}
# pair PROGRAM_A PROGRAM_B: two fresh devices, no endpoint known yet
pair() {
  stop_devices
  for _ in $(seq 30); do inA ip link show $IA >/dev/null 2>&1 || inB ip link show $IB >/dev/null 2>&1 || break; sleep 0.1; done
  start $A "$1" $IA && start $B "$2" $IB || return 1
  inA wg set $IA private-key "$TMP/ka" listen-port 5001 peer "$PB" allowed-ips 10.77.0.2/32,fd77::2/128
  inB wg set $IB private-key "$TMP/kb" listen-port 5002 peer "$PA" allowed-ips 10.77.0.1/32,fd77::1/128
  addresses
}
ping_a() { inA ping -q -c 2 -i 0.2 -W 3 "$1"; }
ping_b() { inB ping -q -c 2 -i 0.2 -W 3 "$1"; }
endpoint_at_b() { inB wg show $IB endpoints | cut -f2; }
handshake_at_a() { inA wg show $IA latest-handshakes | awk -v p="$PB" '$1 == p { print $2 }'; }
rx_at_b() { inB wg show $IB transfer | cut -f2; }

bulk() { # bulk NAME: TCP both ways for 2 s, UDP of odd sizes
  if ! command -v iperf3 >/dev/null; then echo "skipped: $1 no iperf3"; return; fi
  inB iperf3 -s -1 -B 10.77.0.2 >/dev/null 2>&1 & local s=$!
  sleep 0.4
  check "$1 tcp out" inA iperf3 -c 10.77.0.2 -t 2 -P 2; wait $s 2>/dev/null
  inB iperf3 -s -1 -B fd77::2 >/dev/null 2>&1 & s=$!
  sleep 0.4
  check "$1 tcp in, over v6" inA iperf3 -c fd77::2 -t 2 -R; wait $s 2>/dev/null
}

psk_mismatch() { ! inA ping -q -c 1 -W 2 10.77.0.2; }
roamed_port() { # A moves to another port while B keeps sending
  inA wg set $IA listen-port 5011
  ping_a 10.77.0.2 && [ "$(endpoint_at_b)" = 192.0.2.1:5011 ] || { echo "endpoint at B: $(endpoint_at_b)"; return 1; }
  ping_b 10.77.0.1
}
roamed_address() {
  inA sh -c "ip addr del 192.0.2.1/24 dev va$$; ip addr add 192.0.2.3/24 dev va$$"
  # Some peers keep the address that is gone until their 15 s new-handshake timer: wait for them, not for us.
  local end=$((SECONDS + ${ROAM_WAIT:-5}))
  until ping_a 10.77.0.2 || [ $SECONDS -gt $end ]; do :; done
  local got; got=$(endpoint_at_b)
  inA sh -c "ip addr del 192.0.2.3/24 dev va$$; ip addr add 192.0.2.1/24 dev va$$"
  end=$((SECONDS + ${ROAM_WAIT:-5}))
  until ping_a 10.77.0.2 || [ $SECONDS -gt $end ]; do :; done
  [ "${got%:*}" = 192.0.2.3 ] || { echo "endpoint at B: $got"; return 1; }
}
keepalive() {
  peer_a persistent-keepalive 1
  local before after; before=$(rx_at_b); sleep 3.5; after=$(rx_at_b)
  peer_a persistent-keepalive off
  [ $((after - before)) -ge 64 ] || { echo "received $((after - before)) bytes in 3.5 s"; return 1; }
}
outer_v6() {
  peer_a endpoint '[2001:db8::2]:5002'
  # wireguard-go of 2026 sends its first packet after a change of family to a wrong address: hence the second try.
  { ping_a 10.77.0.2 || ping_a 10.77.0.2; } && [[ $(endpoint_at_b) == "[2001:db8::1]:"* ]] || { echo "endpoint at B: $(endpoint_at_b)"; return 1; }
}
rekey() {
  local first second end
  inA wg set $IA listen-port 5001; ping_a 10.77.0.2; first=$(handshake_at_a); end=$((SECONDS + 140))
  while [ $SECONDS -lt $end ]; do inA ping -q -c 1 -W 2 10.77.0.2 || return 1; sleep 1; done
  second=$(handshake_at_a)
  [ "$second" -gt "$first" ] || { echo "handshakes at $first and $second"; return 1; }
}

suite() { # suite NAME PROGRAM_A PROGRAM_B
  local n=$1 ROAM_WAIT=5
  [ "$2" = "$OURS" ] || ROAM_WAIT=30
  pair "$2" "$3" || { fail "$n starts" "$(cat "$TMP"/log.*)"; return; }
  peer_a endpoint 192.0.2.2:5002
  check "$n A initiates, ping v4" ping_a 10.77.0.2
  check "$n ping v6" ping_a fd77::2
  check "$n ping back" ping_b 10.77.0.1
  check "$n ping fragments of 4000 bytes" inA ping -q -c 2 -i 0.2 -W 3 -s 4000 10.77.0.2
  bulk "$n"
  check "$n roams to another port" roamed_port
  check "$n roams to another address" roamed_address
  check "$n persistent keepalive" keepalive
  check "$n outer v6" outer_v6
  [ $LONG = 1 ] && check "$n rekeys by time under traffic" rekey

  pair "$2" "$3" || { fail "$n starts again"; return; }
  peer_a preshared-key "$TMP/psk"
  peer_b preshared-key "$TMP/psk" endpoint 192.0.2.1:5001
  check "$n B initiates, with a preshared key" ping_b 10.77.0.1
  pair "$2" "$3" || { fail "$n starts a third time"; return; }
  peer_a preshared-key "$TMP/psk" endpoint 192.0.2.2:5002
  check "$n a preshared key on one side only does not connect" psk_mismatch
}

# ---- the configuration interface, as `wg` uses it ----
shows() { wg show interfaces | tr ' ' '\n' | grep -qx $IA && wg show $IA dump | grep -q "$PB"; }
showconf_round_trip() {
  inA wg showconf $IA >"$TMP/one.conf" && inA wg setconf $IA "$TMP/one.conf" && inA wg showconf $IA >"$TMP/two.conf" &&
    diff "$TMP/one.conf" "$TMP/two.conf"
}
syncconf_keeps_the_session() {
  # setconf made the peer anew; an initiation less than 20 ms after the last is refused, the next comes in 5 s.
  ping_a 10.77.0.2 || ping_a 10.77.0.2 || ping_a 10.77.0.2 || return 1
  local before; before=$(handshake_at_a)
  inA wg showconf $IA >"$TMP/s.conf"
  printf '[Peer]\nPublicKey = %s\nAllowedIPs = 10.99.0.0/16\n' "$(wg genkey | wg pubkey)" >>"$TMP/s.conf"
  inA wg syncconf $IA "$TMP/s.conf" && [ "$(inA wg show $IA peers | wc -l)" = 2 ] && [ "$(handshake_at_a)" = "$before" ] &&
    ping_a 10.77.0.2
}
addconf_adds() {
  printf '[Peer]\nPublicKey = %s\nAllowedIPs = 10.98.0.0/16\n' "$(wg genkey | wg pubkey)" >"$TMP/add.conf"
  local n; n=$(inA wg show $IA peers | wc -l)
  inA wg addconf $IA "$TMP/add.conf" && [ "$(inA wg show $IA peers | wc -l)" = $((n + 1)) ]
}
port_taken() {
  ip netns exec $A python3 -c 'import socket,time
s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.bind(("",6000)); print("bound",flush=True); time.sleep(20)' >"$TMP/bound" &
  local p=$!
  for _ in $(seq 50); do [ -s "$TMP/bound" ] && break; sleep 0.1; done
  local said; said=$(inA wg set $IA listen-port 6000 2>&1); local rc=$?
  kill $p; wait $p 2>/dev/null
  [ $rc != 0 ] && [[ $said == *"in use"* ]] && inA wg set $IA listen-port 6000
}
fwmark() { inA wg set $IA fwmark 0x1234 && [ "$(inA wg show $IA fwmark)" = 0x1234 ] && inA wg set $IA fwmark 0; }
second_is_refused() { ! inA "$OURS" $IA; }
ends_with_its_socket() {
  "$OURS" $TAG && [ -S /var/run/wireguard/$TAG.sock ] && ip link show $TAG && rm /var/run/wireguard/$TAG.sock || return 1
  for _ in $(seq 50); do ip link show $TAG >/dev/null 2>&1 || return 0; sleep 0.1; done
  ip link del $TAG
  return 1
}
ends_with_its_interface() {
  "$OURS" $TAG && ip link del $TAG || return 1
  for _ in $(seq 50); do [ -e /var/run/wireguard/$TAG.sock ] || return 0; sleep 0.1; done
  return 1
}
down_and_up() {
  inA ip link set $IA down; sleep 0.3
  inA ping -c 1 -W 1 10.77.0.2 && return 1
  inA sh -c "ip link set $IA up; ip addr add fd77::1/64 dev $IA nodad"
  ping_a 10.77.0.2
}
moves_to_another_namespace() { # the usual container pattern: sockets stay behind, packets still flow
  ip netns add $TAG-c && inA ip link set $IA netns $TAG-c &&
    ip netns exec $TAG-c sh -c "ip addr add 10.77.0.1/24 dev $IA; ip link set $IA up" && sleep 0.3 &&
    ip netns exec $TAG-c ping -q -c 2 -i 0.3 -W 3 10.77.0.2
  local rc=$?
  ip netns exec $TAG-c ip link set $IA netns $A
  ip netns del $TAG-c
  return $rc
}
config_suite() {
  pair "$OURS" "$OURS" || { fail "config starts" "$(cat "$TMP"/log.*)"; return; }
  peer_a endpoint 192.0.2.2:5002 persistent-keepalive 25 preshared-key "$TMP/psk"
  peer_b preshared-key "$TMP/psk"
  check "wg show lists the interface" shows
  check "wg showconf and setconf round trip" showconf_round_trip
  check "wg syncconf keeps the session" syncconf_keeps_the_session
  check "wg addconf adds a peer" addconf_adds
  check "wg set fwmark" fwmark
  check "a taken port is said so" port_taken
  check "a second program for the interface is refused" second_is_refused
  check "the interface goes down and up" down_and_up
  check "the interface moves to another namespace" moves_to_another_namespace
  check "ends when its socket is deleted" ends_with_its_socket
  check "ends when its interface is deleted" ends_with_its_interface
}

# A flood of initiations with a right mac1 and junk behind: B must stay answerable, and silent but for cookies.
flood() {
  inA python3 tests/e2e/wg_flood.py 192.0.2.2 5002 "$PB" 4 >"$TMP/flood" & local p=$!
  sleep 1
  inA wg set $IA listen-port 5021
  inA ping -q -c 10 -i 0.3 -W 3 10.77.0.2; local rc=$?
  wait $p
  cat "$TMP/flood"
  return $rc
}
flood_suite() { # flood_suite NAME PROGRAM_A
  pair "$2" "$OURS" || { fail "$1 starts"; return; }
  peer_a endpoint 192.0.2.2:5002
  check "$1 answers while flooded with initiations" flood
}

newest() { # the newest wireguard-go, built once
  [ -x "$CACHE/wireguard" ] && return 0
  if ! command -v go >/dev/null; then echo "missing: newest wireguard-go (no go)"; return 1; fi
  mkdir -p "$CACHE"
  GOBIN=$CACHE go install golang.zx2c4.com/wireguard@latest >"$TMP/go.log" 2>&1 && return 0
  echo "missing: newest wireguard-go ($(tail -n 1 "$TMP/go.log"))"
  return 1
}

config_suite
suite "ours-ours" "$OURS" "$OURS"
if command -v wireguard-go >/dev/null; then
  suite "ours-debian" "$OURS" "$(command -v wireguard-go)"
  suite "debian-ours" "$(command -v wireguard-go)" "$OURS"
else
  echo "missing: Debian's wireguard-go (apt-get install wireguard-go)"
fi
if newest; then
  suite "ours-newest" "$OURS" "$CACHE/wireguard"
  suite "newest-ours" "$CACHE/wireguard" "$OURS"
  flood_suite "flood, newest as client" "$CACHE/wireguard"
fi
flood_suite "flood, ours as client" "$OURS"
exit $FAILED
