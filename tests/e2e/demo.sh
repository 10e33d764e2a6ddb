#!/usr/bin/env bash
# The main job, shown: machines that are network namespaces form a tailnet with no coordinator, and what may
# not pass does not. Captures on the TUN devices decide, not the daemons' own words.
#   demo.sh BUILD_DIR      exits 0 only if every claim held; cleans up after itself in any case
set -u
HERE=$(dirname "$(readlink -f "$0")")
. "$HERE/lib.sh"
e2e_begin demo "${1:-build/release}"
kill_on_refusal
machine atlas borealis cygnus draco ermine mallory
WG=wg$$  # mallory's: its socket's name is the machine's, whatever the namespace

echo "aqmesh demo: six machines on one network, no coordinator anywhere"

title "1. Three machines form a tailnet; the second and third type one line each"
aq atlas init home --machine atlas --no-passphrase --endpoint 192.168.77.10:41641 >"$T/init.out" 2>&1 || { cat "$T/init.out"; exit 1; }
aq atlas fragment create --root --rule "tag:guest -> tag:member tcp:80" --rule "tag:guest -> tag:member tcp:82 escalate" --rule "tag:guest -> tag:member icmp" >"$T/guest.fragment" 2>"$T/frag.err" || cat "$T/frag.err"
aq atlas import "$T/guest.fragment" >/dev/null 2>&1
aq atlas up >"$T/up.out" 2>&1 || { cat "$T/up.out"; exit 1; }
claim "borealis joins through atlas" join borealis atlas
claim "cygnus joins through borealis, which enrolls because atlas let it" join cygnus borealis
A4=$(address atlas); B4=$(address borealis); C4=$(address cygnus)
for h in atlas borealis cygnus; do capture $h; done
later atlas python3 -m http.server 80 --bind "$A4" --directory "$T" >/dev/null 2>&1
later atlas python3 -m http.server 81 --bind "$A4" --directory "$T" >/dev/null 2>&1
until_true 5 on atlas curl -s -m 1 -o /dev/null "http://$A4:81/"
claim "atlas and borealis ping each other ($A4, $B4)" pings borealis "$A4"
claim "cygnus and atlas meet, introduced by borealis, and ping ($C4)" until_true 15 pings cygnus "$A4"
claim "curl through the tunnel" fetches cygnus "$A4" 80
claim "atlas's TUN really carried them" reached 0 atlas "icmp and src $C4"
printf '        (both screens: %s)\n' "$(sed -n 's/.*Words: \([a-z ]*\)\..*/\1/p' "$T/cygnus.join" | head -1)"

title "2. What the fragment does not allow is refused, and says so"
claim "draco joins as a guest: tag:guest -> tag:member tcp:80" join draco atlas --tags guest --no-enroll
D4=$(address draco); capture draco
claim "draco fetches port 80" until_true 10 fetches draco "$A4" 80
N=$(seen atlas "src $D4 and dst port 81")
claim "draco is refused port 81" not fetches draco "$A4" 81
claim "and not one packet of it reached atlas's TUN" not reached "$N" atlas "src $D4 and dst port 81"
names_what_is_missing() { [ "$(aq draco can draco "$A4:81")" = no ] && aq draco explain draco "$A4:81" | grep 'NO MATCH'; }
claim "explain names what is missing" names_what_is_missing

title "3. Who has no credential gets nothing, not even an answer"
later mallory tcpdump -i eth0 -n -U --immediate-mode -w "$T/mallory.pcap" 'udp and src 192.168.77.10' >/dev/null 2>&1
until_true 5 test -s "$T/mallory.pcap"
# The worst case: mallory knows the public key too.
ATLAS_KEY=$(python3 -c 'import base64, re, sys; print(base64.b64encode(bytes.fromhex(re.search("public (.*)", open(sys.argv[1]).read())[1])).decode())' "$T/atlas/keys/static.key")
later mallory "$BIN/aqmesh-wg" -f $WG >/dev/null 2>&1
until_true 5 on mallory wg show $WG
on mallory sh -c "wg genkey > $T/mallory.key; wg set $WG private-key $T/mallory.key peer $ATLAS_KEY endpoint 192.168.77.10:41641 allowed-ips 100.64.0.0/10 persistent-keepalive 1; ip addr add 100.64.0.9/32 dev $WG; ip link set $WG up; ip route add 100.64.0.0/10 dev $WG" >/dev/null 2>&1
claim "a stock WireGuard that knows port and public key gets no ping through" not pings mallory "$A4"
claim "and no answer at all" sh -c "sleep 1; [ \$(tcpdump -r $T/mallory.pcap 2>/dev/null | wc -l) = 0 ]"
claim "a spent invitation lets nobody in" not timeout 12 ip netns exec "$TAG-mallory" env "PATH=$BIN:$PATH" "$BIN/aqmesh" --state "$T/mallory" --socket "$T/mallory.sock" join "$T/borealis.line" --name mallory --endpoint 192.168.77.14:41641

title "4. Each frame carries its authority: one altered in its tag alone is not delivered"
claim "a frame held back and delivered by hand arrives; with its tag altered it does not" \
  ip netns exec "$TAG-net" python3 "$HERE/alter_frame.py" "$TAG" borealis atlas "$B4" "$A4" "$T/atlas.pcap"

title "5. Revocation cuts a live session"
later draco sh -c "while :; do curl -s -m 1 -o /dev/null http://$A4:80/; sleep 0.1; done"
sleep 1
claim "draco is being served" reached "$(seen atlas "tcp and src $D4")" atlas "tcp and src $D4"
claim "atlas revokes draco" aq atlas revoke draco
sleep 1; N=$(seen atlas "tcp and src $D4")
claim "from then on not one packet of draco reaches atlas" not reached "$N" atlas "tcp and src $D4"
sleep 6
claim "nor after draco has tried again" not reached "$N" atlas "tcp and src $D4"
claim "the others still talk" pings cygnus "$A4"

title "6. The lineage explains each of these"
claim "who was let in, by whose authority" sh -c "ip netns exec $TAG-atlas $BIN/aqmesh --state $T/atlas --socket $T/atlas.sock lineage query --subject borealis --json | grep -q ADMIT"
claim "who was refused, and why" sh -c "ip netns exec $TAG-atlas $BIN/aqmesh --state $T/atlas --socket $T/atlas.sock lineage query --subject draco --outcome REFUSE --json | grep -qi revoked"
ip netns exec "$TAG-atlas" "$BIN/aqmesh" --state "$T/atlas" --socket "$T/atlas.sock" lineage query --limit 5 2>/dev/null | sed 's/^/        /'

title "7. Authority is delegated, and each link weighs"
explains() { aq atlas explain "$@" >"$T/why" 2>&1 || true; sed 's/^/        /' "$T/why"; }
hangs_on() { explains cygnus >/dev/null; grep -q 'by borealis ENROLLER' "$T/why" && grep -q 'by atlas ENROLLER' "$T/why"; }
claim "cygnus is here by borealis' word, which is here by atlas'" hangs_on
sed -n '/  who /,/ROOT/p' "$T/why" | sed 's/^/      /'

title "8. The charter asks third parties: a newcomer waits until others speak for it"
aq atlas charter draft >"$T/next.toml"
# Whoever may speak counts after 3 s here, after seven days else.
sed -i 's/^flags = .*/flags = ["single_domain", "corroborate"]/' "$T/next.toml"
printf '\n[[param]]\nid = 25\nvalue = 3\n' >>"$T/next.toml"
claim "the one voter signs the next charter, and it is in force" aq atlas charter propose "$T/next.toml"
spoken_for() { aq atlas explain "$1" --json | jq -e '.corroboration | .needed.votes == 500 and .votes >= 500'; }
claim "borealis, whom cygnus speaks for, stays" until_true 40 spoken_for borealis
claim "borealis and cygnus are switched off" all kill_daemon borealis cygnus
cp -a "$T/borealis" "$T/thief"; cp -a "$T/borealis" "$T/thief2"
claim "ermine joins as a guest" join ermine atlas --tags guest --no-enroll
E4=$(address ermine); capture ermine
claim "nobody has spoken for it: PROBATION" until_true 10 stands atlas ermine PROBATION
pings_only() { pings ermine "$A4" && ! fetches ermine "$A4" 80; }
claim "it may ping, and no more" pings_only
claim "borealis comes back" aq borealis up
claim "it meets ermine and speaks for it: ADMIT" until_true 40 stands atlas ermine ADMIT
claim "port 80 is open to it now" until_true 5 fetches ermine "$A4" 80

title "9. A flow that waits for a person"
later atlas python3 -m http.server 82 --bind "$A4" --directory "$T" >/dev/null 2>&1
claim "its rule says: port 82 waits" not fetches ermine "$A4" 82
waits() { aq atlas escalations list | grep ermine; }
claim "somebody is asked" until_true 5 waits
claim "and says yes, for an hour" aq atlas escalations approve ermine --for 1h
claim "port 82 is open to it" until_true 5 fetches ermine "$A4" 82

title "10. A stolen authority says two things under one number: it is over for it, everywhere, at the next packet"
claim "cygnus is back" aq cygnus up
claim "and talks to atlas" until_true 40 pings cygnus "$A4"
signs() { PATH=$BIN:$PATH "$BIN/aqmesh" --state "$1" --socket "$1.none" sign "$2" -o "$3" >"$T/signs" 2>&1 || { cat "$T/signs"; return 1; }; }
aq atlas authority export charter -o "$T/home.charter" >/dev/null 2>&1
for name in printer scanner; do
  PATH=$BIN:$PATH "$BIN/aqmesh" --state "$T/$name" request --name "$name" --mesh "$T/home.charter" \
    --endpoint 192.168.77.99:41641 -o "$T/$name.request" >/dev/null 2>&1
done
claim "a copy of borealis' keys lets a printer in" signs "$T/thief" "$T/printer.request" "$T/printer.grant"
claim "another copy a scanner" signs "$T/thief2" "$T/scanner.request" "$T/scanner.grant"
aq atlas import "$T/scanner.grant" >/dev/null 2>&1
aq atlas import "$T/printer.grant" >/dev/null 2>&1
claim "atlas is shown both: borealis is out" until_true 10 not stands atlas borealis ADMIT
claim "and so is cygnus, which hangs on it" not pings cygnus "$A4"
aq atlas lineage query --subject cygnus --limit 2 2>/dev/null | sed 's/^/        /'
has_proof() { aq atlas lineage query --kind escalated --json | grep equivocation; }
claim "the log has the proof" has_proof
claim "every decision is made again from its record" aq atlas lineage verify --decisions

verdict
