#!/usr/bin/env bash
# aqmesh-wg as a program: `wg` and wg-quick configure it, strangers hear nothing, it goes to the background when it is
# ready, and ends on a signal or when its interface or its socket is deleted, leaving nothing.
# Usage: wg_device_e2e.sh BUILD_DIR [--long]
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/e2e/wg_lib.sh
. tests/e2e/wg_lib.sh
wg_begin wg_device_e2e "$@"

# ---- `wg`
shows() { inA wg show interfaces | tr ' ' '\n' | grep -qx "$IA" && inA wg show "$IA" dump | grep -q "$PB"; }
showconf_round_trip() {
  inA wg showconf "$IA" >"$W/one.conf"
  inA wg setconf "$IA" "$W/one.conf"
  inA wg showconf "$IA" >"$W/two.conf"
  diff "$W/one.conf" "$W/two.conf"
}
syncconf_keeps_the_session() {
  # setconf made the peer anew; an initiation less than 20 ms after the last is refused, the next comes in 5 s.
  eventually 12 ping_a 10.77.0.2 || return 1
  local before
  before=$(handshake_at_a)
  inA wg showconf "$IA" >"$W/s.conf"
  printf '[Peer]\nPublicKey = %s\nAllowedIPs = 10.99.0.0/16\n' "$(wg genkey | wg pubkey)" >>"$W/s.conf"
  inA wg syncconf "$IA" "$W/s.conf" && [ "$(inA wg show "$IA" peers | wc -l)" = 2 ] &&
    [ "$(handshake_at_a)" = "$before" ] && ping_a 10.77.0.2
}
addconf_adds() {
  local n
  printf '[Peer]\nPublicKey = %s\nAllowedIPs = 10.98.0.0/16\n' "$(wg genkey | wg pubkey)" >"$W/add.conf"
  n=$(inA wg show "$IA" peers | wc -l)
  inA wg addconf "$IA" "$W/add.conf" && [ "$(inA wg show "$IA" peers | wc -l)" = $((n + 1)) ]
}
set_moves_and_removes() { # an allowed ip has one owner; remove takes a peer away
  local other
  other=$(wg genkey | wg pubkey)
  inA wg set "$IA" peer "$other" allowed-ips 10.97.0.0/16
  inA wg set "$IA" peer "$PB" allowed-ips 10.77.0.2/32,fd77::2/128,10.97.0.0/16
  inA wg show "$IA" allowed-ips | grep -q "^$other.(none)" || return 1
  inA wg set "$IA" peer "$PB" allowed-ips 10.77.0.2/32,fd77::2/128
  inA wg set "$IA" peer "$other" remove && ! inA wg show "$IA" peers | grep -q "$other"
}
keys_come_and_go() { # no private key: nothing works and `wg` says (none); given again: it does
  inA wg set "$IA" private-key /dev/null && [ "$(inA wg show "$IA" private-key)" = "(none)" ] || return 1
  inA wg set "$IA" private-key "$T/ka" && [ "$(inA wg show "$IA" public-key)" = "$PA" ] && eventually 12 ping_a 10.77.0.2
}
port_taken() {
  ip netns exec "$A" python3 -c 'import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", 6000)); print("bound", flush=True); time.sleep(20)' >"$W/bound" &
  local p=$! said rc=0
  eventually 15 grep -q bound "$W/bound"
  said=$(inA wg set "$IA" listen-port 6000 2>&1) || rc=$?
  kill $p
  wait $p || true
  [ $rc != 0 ] && [[ $said == *"in use"* ]] && inA wg set "$IA" listen-port 6000 && inA wg set "$IA" listen-port 5001
}
fwmark() { inA wg set "$IA" fwmark 0x1234 && [ "$(inA wg show "$IA" fwmark)" = 0x1234 ] && inA wg set "$IA" fwmark 0; }

# ---- the socket itself: errors are numbers, and a request that is not understood changes nothing
uapi() { python3 "$HERE/wg_uapi.py" "$IA" "$@"; }
hex() { head -c "$2" /dev/zero | tr '\0' "$1"; }
uapi_errors() {
  local before after
  before=$(uapi get=1 | grep -v -e handshake -e _bytes)
  expect errno=-22 "private_key=$(hex a 63)z"
  expect errno=-22 "private_key=$(hex a 62)"
  expect errno=-22 fwmark=7 replace_peers=true "public_key=$(hex b 64)" "public_key=nonsense"
  expect errno=-22 fwmark=7 "public_key=$(hex b 64)" endpoint=example.org:5
  expect errno=-22 fwmark=7 "public_key=$(hex b 64)" allowed_ip=10.0.0.0/33
  expect errno=-22 fwmark=7 colour=red
  expect errno=-71 fwmark=7 fwmark
  expect errno=0 "public_key=$(hex b 64)" update_only=true allowed_ip=10.77.0.2/32
  after=$(uapi get=1 | grep -v -e handshake -e _bytes)
  [ "$before" = "$after" ] || { diff <(echo "$before") <(echo "$after") | head -n 3 | tr '\n' ' '; return 1; }
}
expect() {
  local want=$1 got
  shift
  got=$(uapi set=1 "$@")
  [ "$got" = "$want" ] || { echo "$* gave $got, not $want"; exit 1; }
}

# ---- its life
down_and_up() {
  inA ip link set "$IA" down
  inA ping -q -c 1 -W 1 10.77.0.2 && return 1
  inA sh -c "ip link set $IA up; ip addr add fd77::1/64 dev $IA nodad"
  eventually 12 ping_a 10.77.0.2
}
moves_to_another_namespace() { # the usual container pattern: sockets stay behind, packets still flow
  local rc=0
  ip netns add "$TAG-c"
  inA ip link set "$IA" netns "$TAG-c"
  ip netns exec "$TAG-c" sh -c "ip addr add 10.77.0.1/24 dev $IA; ip link set $IA up"
  eventually 15 ip netns exec "$TAG-c" ping -q -c 1 -W 3 10.77.0.2 || rc=1
  ip -n "$TAG-c" link set "$IA" netns "$A"
  ip netns del "$TAG-c"
  return $rc
}
second_is_refused() { ! inA "$OURS" "$IA"; }

I2() { echo "wc$$x0"; }
left_nothing() { gone "$A" "$(I2)" && ! [ -e "/var/run/wireguard/$(I2).sock" ]; }
pid_of() { ip netns pids "$A" | while read -r p; do tr '\0' ' ' <"/proc/$p/cmdline" | grep -q "aqmesh-wg .*$(I2)" && echo "$p"; done; }
runs_in_background() { # it has returned, and all is there; the one that stays has no terminal and no parent of ours
  inA "$OURS" "$(I2)" && [ -S "/var/run/wireguard/$(I2).sock" ] && inA ip link show "$(I2)" >/dev/null || return 1
  local pid
  pid=$(pid_of)
  [ "$(ps -o sid= -p "$pid" | tr -d ' ')" = "$pid" ] || { echo "no session of its own"; return 1; }
  [ "/proc/$pid/fd/1" -ef /dev/null ]
}
ends_with_its_socket() { rm "/var/run/wireguard/$(I2).sock"; eventually 15 left_nothing; }
ends_with_its_interface() { inA "$OURS" "$(I2)" && inA ip link del "$(I2)" && eventually 15 left_nothing; }
ends_by_signal() { # status 0, nothing left, and one line that says why
  LOG_LEVEL=verbose ip netns exec "$A" "$OURS" -f "$(I2)" 2>"$W/log" &
  local p=$! rc=0
  eventually 15 test -S "/var/run/wireguard/$(I2).sock" || return 1
  kill "-$1" $p
  wait $p || rc=$?
  [ $rc = 0 ] || { echo "exit status $rc"; return 1; }
  left_nothing || { echo "something was left"; return 1; }
  [ "$(cat "$W/log")" = "aqmesh-wg $(I2): stopping: told by a signal" ] || { cat "$W/log"; return 1; }
}
logs_are_lines() { # verbose: one event a line, in one form, keys only as a public prefix
  LOG_LEVEL=verbose ip netns exec "$A" "$OURS" -f "$(I2)" 2>"$W/log" &
  local p=$!
  eventually 15 test -S "/var/run/wireguard/$(I2).sock" || return 1
  wg genkey >"$W/k"
  inA wg set "$(I2)" private-key "$W/k" listen-port 5003 peer "$PB" allowed-ips 10.66.0.2/32 endpoint 192.0.2.2:5002 preshared-key "$T/psk"
  inA ip link set "$(I2)" up
  eventually 15 grep -q 'interface up, listening on UDP port 5003' "$W/log" || { cat "$W/log"; return 1; }
  kill $p
  wait $p || return 1
  ! grep -vE "^aqmesh-wg $(I2): [a-z].*[^ ]$" "$W/log" && ! grep -qF -e "$(cat "$W/k")" -e "$(cat "$T/psk")" "$W/log"
}
takes_a_tun() { # a TUN and a listening socket that somebody else opened
  ip netns exec "$A" python3 - "$OURS" "$(I2)" <<'PY' &
import fcntl, os, socket, struct, sys
program, name = sys.argv[1:]
tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH22x", name.encode(), 0x5001))
s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
os.makedirs("/var/run/wireguard", exist_ok=True)
s.bind(f"/var/run/wireguard/{name}.sock")
s.listen()
for fd in (tun, s.fileno()):
    os.set_inheritable(fd, True)
os.execve(program, [program, "-f", name], os.environ | {"WG_TUN_FD": str(tun), "WG_UAPI_FD": str(s.fileno())})
PY
  local p=$!
  eventually 15 inA wg show "$(I2)" || return 1
  kill $p
  wait $p || return 1
  eventually 15 left_nothing
}
quick() { # wg-quick, as an administrator would
  if inA ip link add "$(I2)" type wireguard 2>/dev/null; then
    inA ip link del "$(I2)"
    echo "missing: wg-quick in userspace (this kernel has its own WireGuard)"
    return 0
  fi
  cat >"$W/$(I2).conf" <<CONF
[Interface]
PrivateKey = $(cat "$T/ka")
Address = 10.55.0.1/24, fd55::1/64
ListenPort = 5004
[Peer]
PublicKey = $PB
PresharedKey = $(cat "$T/psk")
AllowedIPs = 10.55.0.2/32, fd55::2/128
Endpoint = 192.0.2.2:5002
PersistentKeepalive = 25
CONF
  inA env WG_QUICK_USERSPACE_IMPLEMENTATION="$OURS" wg-quick up "$W/$(I2).conf" || return 1
  [ "$(inA wg show "$(I2)" listen-port)" = 5004 ] && inA ip route get 10.55.0.2 | grep -q "dev $(I2)" || return 1
  inA wg-quick down "$W/$(I2).conf" && eventually 15 left_nothing
}

# ---- strangers
silent_to_strangers() {
  inA python3 "$HERE/wg_stranger.py" "$1" 5002 "$PB" || return 1
  # A real WireGuard with a key that B does not know.
  watch_wire 3 5009
  inA wg set "$IA" private-key <(wg genkey) listen-port 5009 || return 1
  inA ping -q -c 1 -W 1 10.77.0.2 && return 1
  wait "$WATCH"
  inA wg show "$IA" dump >"$W/dump"
  inA wg set "$IA" private-key "$T/ka" listen-port 5001 || return 1
  [ "$(seen ' 5009 .* type=1 ')" -gt 0 ] || { echo "the stranger said nothing: $(tr '\n\t' '  ' <"$W/dump")"; return 1; }
  [ "$(seen ' 192.0.2.2 5002 192')" = 0 ] || { echo "answered: $(grep ' 5002 192' "$W/wire")"; return 1; }
}

suite() {
  world 0
  pair "$OURS" "$OURS" || { fail "starts" "$(cat "$W"/log.*)"; return; }
  peer_a endpoint 192.0.2.2:5002 persistent-keepalive 25 preshared-key "$T/psk"
  peer_b preshared-key "$T/psk"
  check "wg show lists the interface" shows
  check "wg showconf and setconf round trip" showconf_round_trip
  check "wg syncconf keeps the session" syncconf_keeps_the_session
  check "wg addconf adds a peer" addconf_adds
  check "wg set moves an allowed ip, and removes a peer" set_moves_and_removes
  check "wg set private-key takes away and gives back" keys_come_and_go
  check "wg set fwmark" fwmark
  check "a taken port is said so" port_taken
  check "a bad line is an errno, and nothing is half applied" uapi_errors
  check "strangers hear nothing" silent_to_strangers 192.0.2.2
  check "strangers hear nothing over v6" silent_to_strangers 2001:db8::2
  check "a second program for the interface is refused" second_is_refused
  check "the interface goes down and up" down_and_up
  check "the interface moves to another namespace" moves_to_another_namespace
  check "goes to the background when it is ready" runs_in_background
  check "ends when its socket is deleted" ends_with_its_socket
  check "ends when its interface is deleted" ends_with_its_interface
  check "ends on SIGTERM" ends_by_signal TERM
  check "ends on SIGINT" ends_by_signal INT
  check "logs lines, and no secret" logs_are_lines
  check "takes a TUN and a socket by descriptor" takes_a_tun
  check "wg-quick up and down" quick
}
in_background wg "suite"
suites_end
exit $FAILED
