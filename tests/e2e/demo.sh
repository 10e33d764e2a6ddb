#!/usr/bin/env bash
# The main job, shown: machines that are network namespaces form a tailnet with no coordinator, and what may
# not pass does not. Captures on the TUN devices decide, not the daemons' own words.
#   demo.sh BUILD_DIR      exits 0 only if every claim held; cleans up after itself in any case
set -u
HERE=$(dirname "$(readlink -f "$0")")
BIN=$(readlink -f "${1:-build/release}")/apps
TAG=aqd$$
T=$(mktemp -d /tmp/aqmesh-demo.XXXXXX)
HOSTS="atlas borealis cygnus draco mallory"
FAILED=0
CLAIMS=0

cleanup() {
  trap - EXIT INT TERM
  local h
  for h in $HOSTS; do
    [ -f "$T/$h.pids" ] && while read -r p; do kill "$p" 2>/dev/null; done <"$T/$h.pids"
    for p in $(ip netns pids "$TAG-$h" 2>/dev/null); do kill "$p" 2>/dev/null; done
  done
  sleep 0.3
  for h in $HOSTS; do
    for p in $(ip netns pids "$TAG-$h" 2>/dev/null); do kill -9 "$p" 2>/dev/null; done
    ip netns del "$TAG-$h" 2>/dev/null
  done
  ip netns del "$TAG-net" 2>/dev/null
  if [ "${KEEP:-0}" = 1 ]; then echo "kept: $T" >&2; else rm -rf "$T"; fi
}
trap cleanup EXIT
trap 'exit 130' INT TERM

[ -c /dev/net/tun ] || { echo "skipped: no /dev/net/tun here"; exit 77; }
[ "$(id -u)" = 0 ] || { echo "skipped: network namespaces need root"; exit 77; }
[ -x "$BIN/aqmesh" ] || { echo "demo: no aqmesh in $BIN; build it first: ./dev build" >&2; exit 1; }

on() { local h=$1; shift; ip netns exec "$TAG-$h" "$@"; }
aq() { local h=$1; shift; PATH=$BIN:$PATH on "$h" "$BIN/aqmesh" --state "$T/$h" --socket "$T/$h.sock" "$@"; }
later() { local h=$1; shift; on "$h" "$@" & echo $! >>"$T/$h.pids"; }

title() { printf '\n%s\n' "$*"; }
claim() {  # claim "what" command...
  local what=$1; shift
  CLAIMS=$((CLAIMS + 1))
  if "$@" >"$T/last" 2>&1; then printf '  ok    %s\n' "$what"
  else printf '  FAIL  %s\n' "$what"; FAILED=$((FAILED + 1)); sed 's/^/        | /' "$T/last" | tail -5; fi
}
not() { ! "$@"; }
until_true() {  # until_true SECONDS command...
  local end=$((SECONDS + $1)); shift
  while ! "$@" >/dev/null 2>&1; do [ $SECONDS -lt $end ] || return 1; sleep 0.2; done
}

# ---- the underlay: a bridge, and one host each
ip netns add "$TAG-net"
ip -n "$TAG-net" link add br0 type bridge && ip -n "$TAG-net" link set br0 up
i=10
for h in $HOSTS; do
  ip netns add "$TAG-$h"
  ip link add "v$i$$" netns "$TAG-net" type veth peer name eth0 netns "$TAG-$h"
  ip -n "$TAG-net" link set "v$i$$" name "p-$h" master br0 up
  ip -n "$TAG-$h" addr add "192.168.77.$i/24" dev eth0
  ip -n "$TAG-$h" link set eth0 up; ip -n "$TAG-$h" link set lo up
  i=$((i + 1))
done

address() { aq "$1" ip -4 | head -1; }
capture() {  # what really reaches this machine's TUN
  later "$1" tcpdump -i aq0 -n -U --immediate-mode -w "$T/$1.pcap" >/dev/null 2>&1
  until_true 5 test -s "$T/$1.pcap"
}
seen() { tcpdump -r "$T/$1.pcap" -n "$2" 2>/dev/null | wc -l; }
reached() { local before=$1 host=$2 filter=$3; sleep 0.8; [ "$(seen "$host" "$filter")" -gt "$before" ]; }
pings() { on "$1" ping -c 2 -i 0.2 -W 2 "$2"; }
fetches() { on "$1" curl -s -f -m 3 -o /dev/null "http://$2:$3/"; }

echo "aqmesh demo: five machines on one network, no coordinator anywhere"

title "1. Three machines form a tailnet; the second and third type one line each"
aq atlas init home --machine atlas --no-passphrase --endpoint 192.168.77.10:41641 >"$T/init.out" 2>&1 || { cat "$T/init.out"; exit 1; }
aq atlas fragment create --root --rule "tag:guest -> tag:member tcp:80" >"$T/guest.fragment" 2>"$T/frag.err" || cat "$T/frag.err"
aq atlas import "$T/guest.fragment" >/dev/null 2>&1
aq atlas up >"$T/up.out" 2>&1 || { cat "$T/up.out"; exit 1; }
join() {  # join HOST SPONSOR IP [invite flags]
  local host=$1 sponsor=$2 ip=$3; shift 3
  aq "$sponsor" invite -o "$T/$host.line" --wait --yes "$@" >"$T/$host.sponsor" 2>&1 &
  until_true 10 test -s "$T/$host.line" || return 1
  aq "$host" join "$T/$host.line" --name "$host" --endpoint "$ip:41641" >"$T/$host.join" 2>&1 </dev/null || { cat "$T/$host.join"; return 1; }
  until_true 20 aq "$host" wait --peer "$sponsor" --timeout 1s
}
claim "borealis joins through atlas" join borealis atlas 192.168.77.11
claim "cygnus joins through borealis, which enrolls because atlas let it" join cygnus borealis 192.168.77.12
A4=$(address atlas); B4=$(address borealis); C4=$(address cygnus)
for h in atlas borealis cygnus; do capture $h; done
later atlas python3 -m http.server 80 --bind "$A4" --directory "$T" >/dev/null 2>&1
later atlas python3 -m http.server 81 --bind "$A4" --directory "$T" >/dev/null 2>&1
until_true 5 on atlas curl -s -m 1 -o /dev/null "http://$A4:81/"
claim "atlas and borealis ping each other ($A4, $B4)" pings borealis "$A4"
claim "cygnus and atlas meet, introduced by borealis, and ping ($C4)" until_true 15 pings cygnus "$A4"
claim "curl through the tunnel" fetches cygnus "$A4" 80
claim "atlas's TUN really carried them" reached 0 atlas "icmp and src $C4"
W=$(grep -o 'words[: ]*.*' "$T/cygnus.join" | head -1); [ -z "$W" ] || printf '        (both screens: %s)\n' "$W"

title "2. What the fragment does not allow is refused, and says so"
claim "draco joins as a guest: tag:guest -> tag:member tcp:80" join draco atlas 192.168.77.13 --tags guest --no-enroll
D4=$(address draco); capture draco
claim "draco fetches port 80" until_true 10 fetches draco "$A4" 80
N=$(seen atlas "src $D4 and dst port 81")
claim "draco is refused port 81" not fetches draco "$A4" 81
claim "and not one packet of it reached atlas's TUN" not reached "$N" atlas "src $D4 and dst port 81"
claim "explain names what is missing" sh -c "$(declare -f on aq); TAG=$TAG BIN=$BIN T=$T; aq draco can draco $A4:81 && exit 1; true"

title "3. Who has no credential gets nothing, not even an answer"
on mallory tcpdump -i eth0 -n -U --immediate-mode -w "$T/mallory.pcap" 'src 192.168.77.10' >/dev/null 2>&1 & echo $! >>"$T/mallory.pids"
ATLAS_KEY=$(aq atlas status --json 2>/dev/null | jq -r '.static_key // empty' | head -1)
later mallory "$BIN/aqmesh-wg" -f wgm >/dev/null 2>&1
until_true 5 on mallory wg show wgm
on mallory sh -c "wg genkey > $T/mallory.key; wg set wgm private-key $T/mallory.key peer ${ATLAS_KEY:-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=} endpoint 192.168.77.10:41641 allowed-ips 100.64.0.0/10 persistent-keepalive 1; ip addr add 100.64.0.9/32 dev wgm; ip link set wgm up; ip route add 100.64.0.0/10 dev wgm" >/dev/null 2>&1
claim "a stock WireGuard that knows the port gets no ping through" not pings mallory "$A4"
claim "and no answer at all" sh -c "sleep 1; [ \$(tcpdump -r $T/mallory.pcap 2>/dev/null | wc -l) = 0 ]"
claim "a spent invitation lets nobody in" not timeout 12 ip netns exec "$TAG-mallory" env "PATH=$BIN:$PATH" "$BIN/aqmesh" --state "$T/mallory" --socket "$T/mallory.sock" join "$T/borealis.line" --name mallory --endpoint 192.168.77.14:41641

title "4. Each frame carries its authority: one altered in its tag alone is not delivered"
claim "a frame held back and delivered by hand arrives; with its tag altered it does not" \
  ip netns exec "$TAG-net" python3 "$HERE/alter_frame.py" "$TAG" borealis atlas "$B4" "$A4" "$T/atlas.pcap"

title "5. Revocation cuts a live session"
later draco sh -c "while :; do curl -s -m 1 -o /dev/null http://$A4:80/; sleep 0.1; done"
sleep 1
claim "draco is being served" reached "$(seen atlas "tcp and src $D4")" atlas "tcp and src $D4"
claim "borealis revokes nothing that is not its own, atlas revokes draco" aq atlas revoke draco
sleep 1; N=$(seen atlas "tcp and src $D4")
claim "from then on not one packet of draco reaches atlas" not reached "$N" atlas "tcp and src $D4"
sleep 6
claim "nor after draco has tried again" not reached "$N" atlas "tcp and src $D4"
claim "the others still talk" pings cygnus "$A4"

title "6. The lineage explains each of these"
claim "who was let in, by whose authority" sh -c "ip netns exec $TAG-atlas $BIN/aqmesh --state $T/atlas --socket $T/atlas.sock lineage query --subject borealis --json | grep -q ADMIT"
claim "who was refused, and why" sh -c "ip netns exec $TAG-atlas $BIN/aqmesh --state $T/atlas --socket $T/atlas.sock lineage query --subject draco --outcome REFUSE --json | grep -qi revoked"
ip netns exec "$TAG-atlas" "$BIN/aqmesh" --state "$T/atlas" --socket "$T/atlas.sock" lineage query --limit 5 2>/dev/null | sed 's/^/        /'

title "$((CLAIMS - FAILED)) of $CLAIMS claims held"
[ $FAILED = 0 ]
