#!/usr/bin/env bash
# aqmesh-wg where a drop-in is put to the test: its interface is renamed, resized, moved, downed and deleted under
# traffic; its sockets change port, mark and family under traffic; 10,000 peers come by one setconf, and their answer is
# read slowly or not to the end; it is stopped, killed, started again; wg-quick does all that it can.
# Usage: wg_corners_e2e.sh BUILD_DIR [--long]     --long: longer, where luck has a say
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=tests/e2e/wg_lib.sh
. tests/e2e/wg_lib.sh
wg_begin wg_corners_e2e "$@"
CORNERS="$HERE/wg_corners.py"
PEERS=10000

# ---- traffic: a ping each way, every 50 ms. A test says how long a silence may last.
PERIOD_MS=50
flow_begin() {
  ip netns exec "$A" ping -n -i 0.05 10.77.0.2 >"$W/flow.a" 2>&1 & FLOW_A=$! # not inA: a function's $! is a shell
  ip netns exec "$B" ping -n -i 0.05 10.77.0.1 >"$W/flow.b" 2>&1 & FLOW_B=$!
  eventually 15 answers a && eventually 15 answers b
}
answers() { grep -q 'bytes from' "$W/flow.$1"; }
answered() { grep -c 'bytes from' "$W/flow.$1" || true; }
more_answers() { [ "$(answered "$1")" -gt "$2" ]; }
flows_on() { # it goes on now, both ways
  local a b
  a=$(answered a) b=$(answered b)
  eventually "${1:-5}" more_answers a $((a + 5)) && eventually 5 more_answers b $((b + 5)) || { echo "no more answers"; return 1; }
}
flow_end() { # flow_end SILENCE_MAX_MS [WHOSE]: both flows are judged, or only a's or b's
  local which silence
  kill -INT "$FLOW_A" "$FLOW_B" 2>/dev/null || true
  wait "$FLOW_A" "$FLOW_B" 2>/dev/null || true
  for which in ${2:-a b}; do
    silence=$(awk -F 'icmp_seq=' -v period=$PERIOD_MS '
      /bytes from/ { n = $2 + 0; if (n - last - 1 > most) most = n - last - 1; last = n }
      /packets transmitted/ { if ($0 + 0 - last - 1 > most) most = $0 + 0 - last - 1 }
      END { print most * period }' "$W/flow.$which")
    [ "$silence" -le "$1" ] || { echo "$silence ms without an answer at ${which^^}: $(tail -n 2 "$W/flow.$which" | tr '\n' ' ')"; return 1; }
  done
}
under_traffic() { # under_traffic SILENCE_MAX_MS COMMAND...
  local rc=0 most=$1
  shift
  flow_begin || { echo "no traffic to begin with"; flow_end 999999; return 1; }
  "$@" && flows_on || rc=1
  flow_end "$most" && return $rc
}

echo_begin() { # TCP in B that gives back what it gets
  (ip netns exec "$B" python3 "$CORNERS" echo 7000 >"$W/echo" 2>&1 &) # it ends with the namespace
  eventually 15 grep -q listening "$W/echo"
}
carries() { inA python3 "$CORNERS" carry "$1" 7000 "$2"; }

# ---- the interface
both_up() {
  inA sh -c "ip addr replace fd77::1/64 dev $IA nodad"
  inB sh -c "ip addr replace fd77::2/64 dev $IB nodad"
}
renamed() { # as wireguard-go: the socket keeps the name that the program was started with
  local new=wr$$x0
  ip -n "$A" link set "$IA" name $new 2>/dev/null || {
    ip -n "$A" link set "$IA" down
    ip -n "$A" link set "$IA" name $new
    ip -n "$A" link set $new up
  }
  flows_on || return 1
  [ "$(inA wg show "$IA" listen-port)" = 5001 ] || { echo "wg show OLDNAME does not answer"; return 1; }
  ! inA wg show $new || { echo "wg show NEWNAME answers"; return 1; }
  # What follows the interface follows it under its new name.
  ip -n "$A" link set $new mtu 1300
  inA ping -q -c 1 -W 3 -s 1272 -M do 10.77.0.2 && ip -n "$A" link set $new down && ip -n "$A" link set $new up && flows_on || return 1
  ip -n "$A" link set $new mtu 1420
  ip -n "$A" link set $new down
  ip -n "$A" link set $new name "$IA"
  ip -n "$A" link set "$IA" up
}
resized() { # every MTU, while a TCP flow runs and changes with it
  local mtu rc=0 stream size
  inB iperf3 -s -1 -B 10.77.0.2 >/dev/null 2>&1 &
  eventually 15 listens_5201
  ip netns exec "$A" iperf3 -c 10.77.0.2 -t 60 -b 20M -i 1 --forceflush >"$W/stream" 2>&1 & stream=$!
  for mtu in 576 1280 9000 65535 577 1420; do
    ip -n "$A" link set "$IA" mtu $mtu
    ip -n "$B" link set "$IB" mtu $mtu
    carries 10.77.0.2 1500000 || { echo "at MTU $mtu over v4"; rc=1; }
    size=$((mtu > 65472 ? 65472 : mtu)) # the longest that one datagram outside can hold
    inA ping -q -c 2 -i 0.2 -W 3 -s $((size - 28)) -M do 10.77.0.2 >/dev/null || { echo "no ping of $size bytes at MTU $mtu"; rc=1; }
    if [ $mtu -ge 1280 ]; then
      both_up
      carries fd77::2 1500000 || { echo "at MTU $mtu over v6"; rc=1; }
    fi
    size=$(wc -l <"$W/stream")
    eventually 10 stream_has $((size + 1)) || { echo "the stream ended at MTU $mtu"; rc=1; }
  done
  kill -INT $stream 2>/dev/null || { echo "the stream ended: $(tail -n 1 "$W/stream")"; rc=1; }
  wait $stream || true
  # The first second is whole, and so is every one after the last change.
  awk '/ sec / && !/sender|receiver/ { n++; if ($5 + 0 == 0) zero++ } END { exit !(n > 1 && zero <= n / 2) }' "$W/stream" || { echo "the stream stood: $(tail -n 3 "$W/stream")"; rc=1; }
  return $rc
}
listens_5201() { inB ss -ltnH 'sport = 5201' | grep -q .; }
stream_has() { [ "$(wc -l <"$W/stream")" -ge "$1" ]; }
too_long_is_said() { # what no datagram can hold is answered, so that its sender learns
  local said
  ip -n "$A" link set "$IA" mtu 65535
  ip -n "$B" link set "$IB" mtu 65535
  both_up
  said=$(inA ping -c 2 -i 0.3 -W 2 -s 65500 -M do 10.77.0.2 2>&1 || true)
  [[ $said == *"mtu = 65472"* || $said == *"mtu=65472"* ]] || { echo "v4: $said"; return 1; }
  said=$(inA ping -c 2 -i 0.3 -W 2 -s 65480 -M do fd77::2 2>&1 || true)
  [[ $said == *"mtu = 65472"* || $said == *"mtu=65472"* ]] || { echo "v6: $said"; return 1; }
  ip -n "$A" link set "$IA" mtu 1420
  ip -n "$B" link set "$IB" mtu 1420
}
down_and_up() { # both ends, one after the other
  local n
  for n in "$A $IA" "$B $IB"; do
    ip -n "${n% *}" link set "${n#* }" down
    sleep 0.3
    ip -n "${n% *}" link set "${n#* }" up
    flows_on 10 || { echo "after ${n#* }"; return 1; }
  done
  both_up
}
flickers() { # down and up faster than anybody follows
  local i
  for i in 1 2 3 4 5 6 7 8; do
    ip -n "$A" link set "$IA" down
    ip -n "$A" link set "$IA" up
  done
  flows_on 10
}
moved_and_back() { # B's flow goes on to wherever A's interface is; there it is resized, downed and upped, too
  ip netns add "$TAG-c"
  ip -n "$A" link set "$IA" netns "$TAG-c"
  local n rc=0
  # The move took it down, and its session with it. Its first packet makes a new one: B, which still has the old one,
  # would wait 15 s for an answer before it did.
  ip netns exec "$TAG-c" sh -c "ip addr add 10.77.0.1/24 dev $IA; ip link set $IA up; ping -q -c 1 -W 3 10.77.0.2" || rc=1
  n=$(answered b)
  eventually 10 more_answers b $((n + 5)) || { echo "no answers from the other namespace"; rc=1; }
  ip -n "$TAG-c" link set "$IA" mtu 1300
  ip netns exec "$TAG-c" ping -q -c 1 -W 3 -s 1272 -M do 10.77.0.2 || rc=1
  # Down there, it is down for the other side, too: within the second in which it is noticed, and while packets come.
  ip -n "$TAG-c" link set "$IA" down
  eventually 5 no_port_5001 || { echo "down was not noticed under traffic"; rc=1; }
  ip netns exec "$TAG-c" sh -c "ip link set $IA up; ping -q -c 1 -W 3 10.77.0.2" || rc=1
  n=$(answered b)
  eventually 10 more_answers b $((n + 5)) || { echo "no answers after down and up there"; rc=1; }
  inA wg set "$IA" listen-port 5051 # the sockets are still here
  ip netns exec "$TAG-c" ping -q -c 1 -W 3 10.77.0.2 && [ "$(endpoint_at_b)" = 192.0.2.1:5051 ] || { echo "no new port from there"; rc=1; }
  inA wg set "$IA" listen-port 5001
  ip -n "$TAG-c" link set "$IA" netns "$A"
  inA sh -c "ip addr add 10.77.0.1/24 dev $IA; ip link set $IA mtu 1420 up; ping -q -c 1 -W 3 10.77.0.2" || rc=1
  ip netns del "$TAG-c"
  flows_on 10 || rc=1
  both_up
  return $rc
}
no_port_5001() { ! inA ss -lunH 'sport = 5001' | grep -q .; }
moved_under_traffic() { # only B's flow outlives A's move; what is A's was bound to its routes
  local rc=0
  flow_begin || return 1
  moved_and_back || rc=1
  flow_end 6000 b || rc=1
  return $rc
}
link_suite() {
  world 0
  pair "$OURS" "$OURS" || { fail "starts" "$(cat "$W"/log.*)"; return; }
  peer_a endpoint 192.0.2.2:5002
  check "traffic to begin with" ping_a 10.77.0.2
  echo_begin
  check "a rename under traffic; the socket keeps its name" under_traffic 3000 renamed
  check "MTU 576 to 65535 under a TCP flow, contents intact" resized
  check "what no datagram can hold is answered with its limit" too_long_is_said
  check "down and up of either end under traffic" under_traffic 4000 down_and_up
  check "flickering down and up" under_traffic 4000 flickers
  check "to another namespace and back under traffic" moved_under_traffic
  check "contents intact after all that" carries 10.77.0.2 1500000
}

# ---- the sockets
port_changes() {
  inA wg set "$IA" listen-port 5011 && flows_on && [ "$(endpoint_at_b)" = 192.0.2.1:5011 ] || { echo "A on 5011"; return 1; }
  inB wg set "$IB" listen-port 5012 && flows_on && [ "$(endpoint_at_a)" = 192.0.2.2:5012 ] || { echo "B on 5012"; return 1; }
  inA wg set "$IA" listen-port 0 && flows_on && [ "$(endpoint_at_b)" != 192.0.2.1:5011 ] || { echo "A on any"; return 1; }
  inA wg set "$IA" listen-port 5001 && flows_on && inB wg set "$IB" listen-port 5002 && flows_on && no_old_port
}
no_old_port() { ! inA ss -lunH 'sport = 5011' | grep -q . && ! inB ss -lunH 'sport = 5012' | grep -q .; }
port_taken_at_up() { # said by `wg`, and mended without another word once the port is free
  ip -n "$A" link set "$IA" down
  inA wg set "$IA" listen-port 5021 || return 1
  ip netns exec "$A" python3 -c 'import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("", 5021)); print("bound", flush=True); time.sleep(20)' >"$W/bound" &
  local p=$! said rc=0
  eventually 15 grep -q bound "$W/bound"
  ip -n "$A" link set "$IA" up
  said=$(inA wg set "$IA" listen-port 5021 2>&1) && rc=1
  [[ $said == *"in use"* ]] || { echo "wg said: $said"; rc=1; }
  kill $p
  wait $p || true
  eventually 5 port_5021 || { echo "not bound though it is free"; rc=1; }
  inA wg set "$IA" listen-port 5001
  both_up
  return $rc
}
port_5021() { inA ss -lunH 'sport = 5021' | grep -q .; }
marks() { inA nft list counter inet aqm "$1" | awk '/packets/ { print $2 }'; }
# Every outer packet of either family carries it, from the first after `wg set` to the last before. Two that leave together
# count as one.
marked() {
  inA nft -f - <<NFT || return 1
table inet aqm {
  counter with { }
  counter without { }
  chain out {
    type filter hook output priority 0;
    udp dport 5002 meta mark 0x1234 counter name with
    udp dport 5002 meta mark != 0x1234 counter name without
  }
}
NFT
  local rc=0 to
  for to in 192.0.2.2:5002 '[2001:db8::2]:5002'; do
    peer_a endpoint "$to"
    inA wg set "$IA" fwmark 0x1234
    inA nft reset counters >/dev/null
    flows_on 10 || rc=1
    [ "$(marks with)" -ge 5 ] && [ "$(marks without)" = 0 ] || { echo "$to: $(marks with) marked, $(marks without) not"; rc=1; }
    inA wg set "$IA" listen-port 5031 && flows_on || rc=1 # and the sockets of a new port carry it, too
    [ "$(marks without)" = 0 ] || { echo "$to: $(marks without) without a mark after a new port"; rc=1; }
    inA wg set "$IA" fwmark 0
    inA nft reset counters >/dev/null
    flows_on || rc=1
    [ "$(marks with)" = 0 ] || { echo "$to: still marked"; rc=1; }
    inA wg set "$IA" listen-port 5001
  done
  inA nft delete table inet aqm
  peer_a endpoint 192.0.2.2:5002
  return $rc
}
link_local() { # either side first, zone by name and by number; a zone that is none is refused
  local zone
  inA ip addr add fe80::a:1/64 dev "$VA" nodad
  inB ip addr add fe80::b:1/64 dev "$VB" nodad
  zone=$(ip -n "$B" -o link show "$VB" | cut -d: -f1)
  pair "$OURS" "$OURS" || return 1
  peer_a endpoint "[fe80::b:1%$VA]:5002"
  ping_a 10.77.0.2 || { echo "A first"; return 1; }
  [ "$(endpoint_at_a) $(endpoint_at_b)" = "[fe80::b:1%$VA]:5002 [fe80::a:1%$VB]:5001" ] || { echo "endpoints: $(endpoint_at_a) $(endpoint_at_b)"; return 1; }
  inA wg showconf "$IA" >"$W/zone.conf"
  grep -qF "Endpoint = [fe80::b:1%$VA]:5002" "$W/zone.conf" && inA wg setconf "$IA" "$W/zone.conf" || return 1
  eventually 12 ping_a 10.77.0.2 || { echo "after setconf"; return 1; }
  pair "$OURS" "$OURS" || return 1
  inB python3 "$HERE/wg_uapi.py" "$IB" set=1 "public_key=$(base64 -d <<<"$PA" | od -An -tx1 | tr -d ' \n')" "endpoint=[fe80::a:1%$zone]:5001" | grep -qx errno=0 || { echo "a zone by its number is refused"; return 1; }
  ping_b 10.77.0.1 || { echo "B first"; return 1; }
  [ "$(endpoint_at_a)" = "[fe80::b:1%$VA]:5002" ] || { echo "endpoint at A: $(endpoint_at_a)"; return 1; }
  [ "$(inA python3 "$HERE/wg_uapi.py" "$IA" set=1 "public_key=$(head -c 64 /dev/zero | tr '\0' b)" 'endpoint=[fe80::1%nozone]:1')" = errno=-22 ] || { echo "a zone that is none is taken"; return 1; }
  under_traffic 2000 link_local_port
}
link_local_port() { inA wg set "$IA" listen-port 5041 && flows_on && [ "$(endpoint_at_b)" = "[fe80::a:1%$VB]:5041" ] && inA wg set "$IA" listen-port 5001; }
allowed_ips_move() { # away, and nothing passes in either direction; back, and it goes on; twenty times fast
  local other i n
  other=$(wg genkey | wg pubkey)
  inA wg set "$IA" peer "$other" allowed-ips 10.77.0.2/32
  [ "$(inA wg show "$IA" allowed-ips | awk -v p="$PB" '$1 == p { print $2, $3 }')" = "fd77::2/128 " ] || { echo "not moved"; return 1; }
  sleep 0.2
  n=$(answered a)
  sleep 0.5
  [ "$(answered a)" = "$n" ] || { echo "answers though it was moved away"; return 1; }
  peer_a allowed-ips 10.77.0.2/32,fd77::2/128
  flows_on || return 1
  for ((i = 0; i < 20; ++i)); do
    inA wg set "$IA" peer "$other" allowed-ips 10.77.0.2/32
    peer_a allowed-ips 10.77.0.2/32,fd77::2/128
  done
  flows_on || return 1
  # A wider prefix of another leaves the narrow one where it is; taken away, it is the wider one's.
  inA wg set "$IA" peer "$other" allowed-ips 10.77.0.0/24 && flows_on || return 1
  inA python3 "$HERE/wg_uapi.py" "$IA" set=1 "public_key=$(base64 -d <<<"$PB" | od -An -tx1 | tr -d ' \n')" allowed_ip=-10.77.0.2/32 | grep -qx errno=0 || return 1
  n=$(answered a)
  sleep 0.5
  [ "$(answered a)" -le $((n + 1)) ] || { echo "answers though it was taken away"; return 1; }
  peer_a allowed-ips 10.77.0.2/32,fd77::2/128
  inA wg set "$IA" peer "$other" remove
}
bulk_through_changes() { # as fast as it goes, both ways, while everything is changed again and again
  local stream i rc=0
  inB iperf3 -s -1 -B 10.77.0.2 >/dev/null 2>&1 &
  eventually 15 listens_5201
  ip netns exec "$A" iperf3 -c 10.77.0.2 -t $((4 + LONG * 20)) --bidir -P 2 >"$W/stream" 2>&1 & stream=$!
  for ((i = 0; i < 12 + LONG * 80; ++i)); do
    inA wg set "$IA" listen-port $((5061 + i % 2)) fwmark $((i % 3)) || rc=1
    sleep 0.1 # a packet must get across: two that move at once lose each other
    inB wg set "$IB" listen-port $((5063 + i % 2)) || rc=1
    ip -n "$A" link set "$IA" mtu $((1280 + i * 37 % 8000))
    ip -n "$B" link set "$IB" mtu $((1280 + i * 91 % 8000))
    inA wg showconf "$IA" >"$W/bulk.conf" && inA wg syncconf "$IA" "$W/bulk.conf" || rc=1
    sleep 0.1
  done
  wait $stream || { echo "the streams ended: $(tail -n 1 "$W/stream")"; rc=1; }
  inA wg set "$IA" listen-port 5001 fwmark 0
  flows_on || rc=1
  inB wg set "$IB" listen-port 5002
  ip -n "$A" link set "$IA" mtu 1420
  ip -n "$B" link set "$IB" mtu 1420
  [ $rc = 0 ] && awk '/SUM/ && /receiver/ { n++; if ($6 + 0 == 0 || ($7 !~ /[MG]bits/)) bad = $0 } END { if (n != 2 || bad) { print "sums: " n " " bad; exit 1 } }' "$W/stream"
}
socket_suite() {
  world 1
  pair "$OURS" "$OURS" || { fail "starts" "$(cat "$W"/log.*)"; return; }
  peer_a endpoint 192.0.2.2:5002
  check "traffic to begin with" ping_a 10.77.0.2
  check "new ports on either end under traffic" under_traffic 1500 port_changes
  check "two streams each way at full speed through every change" under_traffic 3000 bulk_through_changes
  check "a port that is taken when the interface comes up" port_taken_at_up
  check "an allowed ip moves away and back under traffic" under_traffic 4000 allowed_ips_move
  if command -v nft >/dev/null && inA nft list ruleset >/dev/null 2>&1; then
    check "the fwmark is on every packet outside" under_traffic 3000 marked
  else
    echo "missing: the fwmark on the wire (no nft)"
  fi
  check "link-local endpoints with a zone, both ways" link_local
}

# ---- ten thousand peers
rss_kb() { awk '/^VmRSS/ { print $2 }' "/proc/${PIDS[0]}/status"; }
real_peer() { printf '[Interface]\nPrivateKey = %s\nListenPort = 5001\n[Peer]\nPublicKey = %s\nAllowedIPs = 10.77.0.2/32, fd77::2/128\nEndpoint = 192.0.2.2:5002\n' "$(cat "$T/ka")" "$PB"; }
told() { inA wg show "$IA" dump | tail -n +2 | cut -f1-4 | grep -v "^$PB" | sort; }
one_setconf() {
  local before took
  before=$(rss_kb)
  took=$(date +%s%N)
  inA wg setconf "$IA" "$W/many.conf" || return 1
  took=$((($(date +%s%N) - took) / 1000000))
  told | diff - "$W/many.dump" >"$W/diff" || { echo "differs: $(head -n 2 "$W/diff")"; return 1; }
  echo "$PEERS peers: setconf ${took} ms, $((($(rss_kb) - before) * 1024 / PEERS)) bytes a peer" >"$W/figures"
  [ $took -lt 20000 ]
}
many_round_trip() {
  inA wg showconf "$IA" >"$W/one.conf" && inA wg setconf "$IA" "$W/one.conf" && inA wg showconf "$IA" >"$W/two.conf" || return 1
  cmp "$W/one.conf" "$W/two.conf" && [ "$(grep -c '^\[Peer\]' "$W/two.conf")" = $((PEERS + 1)) ]
}
again_and_less() { # the same again changes nothing and costs no more; then all go, and the memory is used again
  local before
  before=$(rss_kb)
  inA wg setconf "$IA" "$W/many.conf" && told | cmp - "$W/many.dump" || return 1
  inA wg setconf "$IA" <(real_peer) && [ "$(inA wg show "$IA" peers | wc -l)" = 1 ] || return 1
  inA wg setconf "$IA" "$W/many.conf" && told | cmp - "$W/many.dump" || return 1
  [ "$(rss_kb)" -lt $((before + 12000)) ] || { echo "grew from $before to $(rss_kb) kB"; return 1; }
}
added_under_traffic() { # the peers come and go while packets flow
  inA wg setconf "$IA" <(real_peer) && eventually 12 ping_a 10.77.0.2 || return 1
  under_traffic 1000 added
}
added() { inA wg addconf "$IA" "$W/many.peers" && flows_on && inA wg syncconf "$IA" "$W/many.conf" && told | cmp - "$W/many.dump"; }
read_slowly() { # three megabytes over three seconds by each of three
  local p pids=() i
  for i in 1 2 3; do
    python3 "$CORNERS" slowly "$IA" 3 >"$W/slow.$i" 2>&1 &
    pids+=($!)
  done
  for i in 1 2 3 4; do [ "$(inA wg show "$IA" listen-port)" = 5001 ] || return 1; done
  flows_on || return 1
  for p in "${pids[@]}"; do wait "$p" || { cat "$W"/slow.*; return 1; }; done
  for i in 1 2 3; do
    [[ $(cat "$W/slow.$i") =~ ^[0-9]{7}" errno=0"$ ]] || { echo "got $(cat "$W/slow.$i")"; return 1; }
  done
}
gone_in_the_middle() { python3 "$CORNERS" leave "$IA" 20 && inA wg show "$IA" listen-port | grep -qx 5001; }
asked_greedily() { # forty answers asked for at once and not read cost no more than one
  local before most p
  before=$(rss_kb)
  python3 "$CORNERS" greedy "$IA" 40 1.5 >"$W/greedy" 2>&1 & p=$!
  eventually 10 grep -q asked "$W/greedy"
  sleep 1
  most=$(rss_kb)
  flows_on && [ "$(inA wg show "$IA" listen-port)" = 5001 ] || { echo "others get no answer"; return 1; }
  wait $p || { cat "$W/greedy"; return 1; }
  [ "$most" -lt $((before + 20000)) ] || { echo "grew from $before to $most kB"; return 1; }
}
many_suite() {
  world 2
  python3 "$CORNERS" peers $PEERS 20000 >"$W/many.peers"
  { real_peer; cat "$W/many.peers"; } >"$W/many.conf"
  python3 "$CORNERS" dump <"$W/many.peers" | sort >"$W/many.dump"
  pair "$OURS" "$OURS" || { fail "starts" "$(cat "$W"/log.*)"; return; }
  check "$PEERS peers by one setconf, and all of them are told" one_setconf
  [ ! -s "$W/figures" ] || cat "$W/figures"
  check "showconf and setconf of $PEERS round trip" many_round_trip
  check "the same again, less, and more again" again_and_less
  check "$PEERS peers added and synced under traffic" added_under_traffic
  check "a megabyte reply read slowly, under traffic" under_traffic 1000 read_slowly
  check "readers that go away in the middle, under traffic" under_traffic 1000 gone_in_the_middle
  check "many replies asked for at once and not read" under_traffic 1000 asked_greedily
}

# ---- its life
I2() { echo "wc$$x3"; }
left_nothing() { gone "$A" "$(I2)" && ! [ -e "/var/run/wireguard/$(I2).sock" ]; }
ended() { ! kill -0 "$1" 2>/dev/null; }
stopped_and_continued() { # three seconds asleep, in which the interface changed
  kill -STOP "${PIDS[0]}"
  ip -n "$A" link set "$IA" mtu 1300
  ip -n "$A" link set "$IA" down
  ip -n "$A" link set "$IA" up
  sleep 2
  kill -CONT "${PIDS[0]}"
  flows_on 10 && inA ping -q -c 1 -W 3 -s 1272 -M do 10.77.0.2 && ip -n "$A" link set "$IA" mtu 1420
}
pid_of_a() { # whoever serves A's interface now
  ip netns pids "$A" | while read -r p; do tr '\0' ' ' <"/proc/$p/cmdline" | grep -q "aqmesh-wg $IA" && echo "$p"; done
}
killed_and_started() { # its socket file is left behind, and is no obstacle
  local i
  for ((i = 0; i < 2 + LONG * 20; ++i)); do
    kill -9 "$(pid_of_a)"
    eventually 15 gone "$A" "$IA" || return 1
    [ -S "/var/run/wireguard/$IA.sock" ] || { echo "no stale socket to speak of"; return 1; }
    ! inA wg show "$IA" >/dev/null 2>&1 || { echo "somebody answers"; return 1; }
    inA "$OURS" "$IA" || return 1 # in the background: all is there when it returns
    inA wg set "$IA" private-key "$T/ka" listen-port 5001 peer "$PB" allowed-ips 10.77.0.2/32,fd77::2/128 endpoint 192.0.2.2:5002 || return 1
    inA sh -c "ip addr add 10.77.0.1/24 dev $IA; ip link set $IA up"
    eventually 15 ping_a 10.77.0.2 || { echo "no traffic after start $i"; return 1; }
  done
}
ends_with_its_namespace() { # ours, moved away, and that namespace is deleted: in either state of the interface
  local state p
  for state in up down; do
    ip netns exec "$A" "$OURS" -f "$(I2)" & p=$!
    eventually 15 inA wg show "$(I2)" || return 1
    ip netns add "$TAG-d"
    ip -n "$A" link set "$(I2)" netns "$TAG-d"
    ip -n "$TAG-d" link set "$(I2)" $state
    sleep 0.3
    ip netns del "$TAG-d"
    eventually 15 ended $p || { echo "still there ($state)"; kill $p; return 1; }
    wait $p || { echo "ended with $?"; return 1; }
    left_nothing || return 1
  done
}
logs_from_the_background() { # to where it was started, if a log was asked for by name
  LOG_LEVEL=verbose inA "$OURS" "$(I2)" 2>"$W/log.background" && ip -n "$A" link del "$(I2)" && eventually 15 left_nothing || return 1
  grep -qx "aqmesh-wg $(I2): stopping: the interface was deleted" "$W/log.background" || { echo "logged: $(cat "$W/log.background")"; return 1; }
}
ends_renamed() { # deleted under another name: the socket of the old name goes
  inA "$OURS" "$(I2)" && ip -n "$A" link set "$(I2)" name "wn$$x3" && ip -n "$A" link set "wn$$x3" up && ip -n "$A" link del "wn$$x3" || return 1
  eventually 15 left_nothing
}
ends_under_traffic() { # the interface, or the socket file, deleted while packets come in
  local what
  for what in interface socket; do
    pair "$OURS" "$OURS" || return 1
    peer_a endpoint 192.0.2.2:5002
    flow_begin || return 1
    if [ $what = interface ]; then ip -n "$A" link del "$IA"; else rm "/var/run/wireguard/$IA.sock"; fi
    eventually 15 ended "${PIDS[0]}" || { echo "$what deleted, and it goes on"; flow_end 99999; return 1; }
    flow_end 99999
    wait "${PIDS[0]}" || { echo "$what deleted: status $?"; return 1; }
    gone "$A" "$IA" && ! [ -e "/var/run/wireguard/$IA.sock" ] || { echo "$what deleted: something was left"; return 1; }
  done
}

# ---- wg-quick
quick() { inA env WG_QUICK_USERSPACE_IMPLEMENTATION="$OURS" wg-quick "$@"; }
quick_conf() { # quick_conf ADDRESS ALLOWED [LINE...]
  local address=$1 allowed=$2
  shift 2
  printf '%s\n' "[Interface]" "PrivateKey = $(cat "$T/ka")" "Address = $address" "ListenPort = 5004" "$@" \
    "[Peer]" "PublicKey = $PB" "AllowedIPs = $allowed" "Endpoint = 192.0.2.2:5002" >"$W/$(I2).conf"
}
quick_saves() { # hooks, a table of its own, save, strip, SaveConfig; and what was saved comes up again
  local conf other
  conf=$W/$(I2).conf other=$(wg genkey | wg pubkey)
  quick_conf 10.77.0.1/24 10.77.0.2/32 "Table = 1234" "MTU = 1380" "FwMark = 0x51" "SaveConfig = true" \
    "PreUp = touch $W/pre-up" "PostUp = ip rule add to 10.77.0.2 lookup 1234; echo %i >$W/post-up" \
    "PreDown = ip rule del to 10.77.0.2 lookup 1234" "PostDown = touch $W/post-down"
  quick up "$conf" || return 1
  [ -e "$W/pre-up" ] && [ "$(cat "$W/post-up")" = "$(I2)" ] && inA ip route show table 1234 | grep -q "10.77.0.2 dev $(I2)" || { echo "hooks or table"; return 1; }
  [ "$(inA cat "/sys/class/net/$(I2)/mtu" 2>/dev/null || inA ip -o link show "$(I2)" | sed 's/.*mtu \([0-9]*\).*/\1/')" = 1380 ] || { echo "MTU"; return 1; }
  [ "$(inA wg show "$(I2)" fwmark)" = 0x51 ] && eventually 12 ping_a 10.77.0.2 || { echo "no traffic"; return 1; }
  inA wg set "$(I2)" peer "$other" allowed-ips 10.76.0.0/16 persistent-keepalive 21 preshared-key "$T/psk"
  quick save "$conf" || return 1
  grep -qF "$other" "$conf" && grep -q '^Table = 1234' "$conf" && grep -q '^PersistentKeepalive = 21' "$conf" || { echo "save"; return 1; }
  quick strip "$conf" >"$W/stripped" && ! grep -qE 'Address|PostUp|Table|MTU' "$W/stripped" && inA wg syncconf "$(I2)" "$W/stripped" || { echo "strip"; return 1; }
  inA wg set "$(I2)" peer "$other" persistent-keepalive 22
  quick down "$conf" || return 1
  [ -e "$W/post-down" ] && eventually 15 left_nothing && grep -q '^PersistentKeepalive = 22' "$conf" || { echo "down does not save"; return 1; }
  quick up "$conf" && [ "$(inA wg show "$(I2)" persistent-keepalive | grep -F "$other" | cut -f2)" = 22 ] || { echo "what was saved does not come up"; return 1; }
  quick down "$conf" && eventually 15 left_nothing
}
quick_default() { # everything through the tunnel, its own packets around it by the mark
  local conf=$W/$(I2).conf mark
  command -v nft >/dev/null || command -v iptables-restore >/dev/null || { echo "no nft"; return 1; }
  quick_conf "10.77.0.1/32, fd77::1/128" "0.0.0.0/0, ::/0"
  inB sh -c "ip addr add 198.51.100.7/32 dev lo; ip addr add 2001:db8:7::7/128 dev lo nodad"
  quick up "$conf" || return 1
  mark=$(inA wg show "$(I2)" fwmark)
  [ "$mark" = 0xca6c ] || { echo "fwmark $mark"; return 1; }
  inA ip route get 198.51.100.7 | grep -q "dev $(I2)" || return 1
  eventually 12 ping_a 198.51.100.7 && ping_a 2001:db8:7::7 || { echo "not through the tunnel"; return 1; }
  ping_a 192.0.2.2 || { echo "the wire itself is lost"; return 1; }
  [ "$(inA wg show "$(I2)" endpoints | cut -f2)" = 192.0.2.2:5002 ] || return 1
  quick down "$conf" && eventually 15 left_nothing || return 1
  ! inA ip rule | grep -q 51820 || { echo "rules are left"; return 1; }
}
life_suite() {
  world 3
  pair "$OURS" "$OURS" || { fail "starts" "$(cat "$W"/log.*)"; return; }
  peer_a endpoint 192.0.2.2:5002
  check "traffic to begin with" ping_a 10.77.0.2
  check "SIGSTOP and SIGCONT under traffic" under_traffic 8000 stopped_and_continued
  disown "${PIDS[0]}" # bash would report its death
  check "kill -9, and started again beside the stale socket" killed_and_started
  kill "$(pid_of_a)" || true # what follows has A's keys in another interface
  eventually 15 gone "$A" "$IA" || fail "ends by SIGTERM"
  check "ends when the namespace it was moved to is deleted" ends_with_its_namespace
  check "ends when it is deleted under another name" ends_renamed
  check "logs from the background, if told to" logs_from_the_background
  if inA ip link add "$(I2)" type wireguard 2>/dev/null; then
    inA ip link del "$(I2)"
    echo "missing: wg-quick in userspace (this kernel has its own WireGuard)"
  else
    check "wg-quick up, save, strip and down with hooks and a table" quick_saves
    check "wg-quick with all traffic through the tunnel" quick_default
  fi
  check "ends under traffic, by its interface or its socket" ends_under_traffic
}

in_background link link_suite
in_background socket socket_suite
in_background many many_suite
in_background life life_suite
suites_end
exit $FAILED
