# Shared by wg_interop_e2e.sh, wg_device_e2e.sh and wg_corners_e2e.sh; sourced, not run. A pair is two WireGuard devices, A and B, each in
# a network namespace, over a veth pair (192.0.2.1 and .2, 2001:db8::1 and ::2).
#   wg_begin STORY [--long] BUILD_DIR   checks that the story can run here; sets OURS, LONG, T
#   in_background NAME COMMAND...       a suite in a job of its own; suites_end waits for all, prints what they said
#   world N                             in a suite: its namespaces and interface names; cleaned up when it ends
#   pair PROGRAM_A PROGRAM_B            two fresh devices; A and B know each other's key, no endpoint yet
# Prints "ok NAME", "FAIL NAME why", "missing: what" or "skipped: why".
# shellcheck shell=bash

export WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD=1 # else Debian's wireguard-go hesitates
HERE=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
JOBS_MAX=4
LONG=0
FAILED=0
SUITES=()

skip() { echo "skipped: $*"; exit 77; }

wg_begin() {
  local story=$1 build='' arg
  shift
  for arg in "$@"; do case $arg in --long) LONG=1 ;; *) build=$arg ;; esac; done
  [ -n "$build" ] || { echo "usage: $story.sh BUILD_DIR [--long]" >&2; exit 2; }
  OURS=$(readlink -f "$build/apps/aqmesh-wg")
  [ -c /dev/net/tun ] || skip "no /dev/net/tun"
  [ "$(id -u)" = 0 ] || skip "network namespaces need root"
  for arg in ip wg ping python3; do command -v "$arg" >/dev/null || skip "no $arg"; done
  [ -x "$OURS" ] || { echo "$story: no $build/apps/aqmesh-wg; build it first" >&2; exit 1; }
  T=$(mktemp -d "/tmp/aqmesh-$story.XXXXXX")
  trap 'trap - EXIT; kill "${SUITES[@]}" 2>/dev/null || true; wait; rm -rf "$T"' EXIT
  trap 'exit 130' INT TERM
  ip netns add "aqw$$" 2>/dev/null && ip netns del "aqw$$" || skip "network namespaces are not allowed here"
  umask 077
  wg genkey >"$T/ka"; wg genkey >"$T/kb"; wg genpsk >"$T/psk"
  PA=$(wg pubkey <"$T/ka") PB=$(wg pubkey <"$T/kb")
}

in_background() {
  local name=$1
  shift
  while [ "$(jobs -rp | wc -l)" -ge $JOBS_MAX ]; do sleep 0.1; done
  ( trap 'suite_end' EXIT; trap 'exit 130' INT TERM; SUITE=$name; "$@"; exit $FAILED ) >"$T/said.${#SUITES[@]}" 2>&1 &
  SUITES+=($!)
}
suites_end() {
  local i
  for i in "${!SUITES[@]}"; do
    wait "${SUITES[$i]}" || FAILED=1
    cat "$T/said.$i"
  done
  SUITES=()
  rm -f "$T"/said.*
}

ok() { echo "ok $SUITE: $1"; }
fail() { echo "FAIL $SUITE: $1 ${2:-}"; FAILED=1; }
check() {
  local name=$1 said
  shift
  if said=$("$@" 2>&1); then ok "$name"; else fail "$name" "$(tail -n 1 <<<"$said")"; fi
}

# ---- one suite's world
world() {
  local n=$1
  W=$T/w$n TAG=aqw$$-$n
  A=$TAG-a B=$TAG-b IA=wa$$x$n IB=wb$$x$n VA=va$$x$n VB=vb$$x$n
  PIDS=()
  mkdir "$W"
  ip netns add "$A"
  ip netns add "$B"
  ip link add "$VA" netns "$A" type veth peer name "$VB" netns "$B"
  inA sh -c "ip link set lo up; ip link set $VA up; ip addr add 192.0.2.1/24 dev $VA; ip addr add 2001:db8::1/64 dev $VA nodad"
  inB sh -c "ip link set lo up; ip link set $VB up; ip addr add 192.0.2.2/24 dev $VB; ip addr add 2001:db8::2/64 dev $VB nodad"
}
suite_end() {
  local rc=$?
  trap - EXIT
  set +e
  [ $rc = "$FAILED" ] || fail "ended early" "with status $rc" # its own failures have been said
  [ -n "${TAG:-}" ] || return
  stop_devices
  local ns p
  for ns in "$A" "$B"; do
    for p in $(ip netns pids "$ns" 2>/dev/null); do kill -9 "$p" 2>/dev/null; done
    ip netns del "$ns" 2>/dev/null
  done
}
inA() { ip netns exec "$A" "$@"; }
inB() { ip netns exec "$B" "$@"; }

start() { # start NAMESPACE PROGRAM INTERFACE: in the foreground of a job, so that we hold its process id
  WG_PROCESS_FOREGROUND=1 LOG_LEVEL=error ip netns exec "$1" "$2" "$3" >"$W/log.$3" 2>&1 &
  PIDS+=($!)
  eventually 30 test -S "/var/run/wireguard/$3.sock"
}
stop_devices() {
  local p
  rm -f "/var/run/wireguard/$IA.sock" "/var/run/wireguard/$IB.sock"
  for p in "${PIDS[@]}"; do kill "$p" 2>/dev/null || true; wait "$p" 2>/dev/null || true; done
  PIDS=()
}
gone() { ! ip -n "$1" link show "$2" >/dev/null 2>&1; }
pair() {
  stop_devices
  eventually 30 gone "$A" "$IA"
  eventually 30 gone "$B" "$IB"
  start "$A" "$1" "$IA" && start "$B" "$2" "$IB" || return 1
  inA wg set "$IA" private-key "$T/ka" listen-port 5001 peer "$PB" allowed-ips 10.77.0.2/32,fd77::2/128
  inB wg set "$IB" private-key "$T/kb" listen-port 5002 peer "$PA" allowed-ips 10.77.0.1/32,fd77::1/128
  inA sh -c "ip addr add 10.77.0.1/24 dev $IA; ip addr add fd77::1/64 dev $IA nodad; ip link set $IA up"
  inB sh -c "ip addr add 10.77.0.2/24 dev $IB; ip addr add fd77::2/64 dev $IB nodad; ip link set $IB up"
}
peer_a() { inA wg set "$IA" peer "$PB" "$@"; } # what A knows of B
peer_b() { inB wg set "$IB" peer "$PA" "$@"; }

# eventually SECONDS COMMAND...: until it succeeds, or not in that time
eventually() {
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.1
  done
}
ping_a() { inA ping -q -c 2 -i 0.2 -W 3 "$1"; }
ping_b() { inB ping -q -c 2 -i 0.2 -W 3 "$1"; }
endpoint_at_a() { inA wg show "$IA" endpoints | cut -f2; }
endpoint_at_b() { inB wg show "$IB" endpoints | cut -f2; }
handshake_at_a() { inA wg show "$IA" latest-handshakes | awk -v p="$PB" '$1 == p { print $2 }'; }

# watch_wire SECONDS [PORT]: A's end of the wire into $W/wire; seen PATTERN counts lines.
watch_wire() {
  rm -f "$W/wire" # an older one says that it is watching, too
  ip netns exec "$A" python3 "$HERE/wg_wire.py" "$VA" "$@" >"$W/wire" &
  WATCH=$!
  eventually 30 grep -q watching "$W/wire"
}
seen() { grep -Ec "$1" "$W/wire" || true; }
