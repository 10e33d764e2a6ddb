#!/usr/bin/env bash
# A stock WireGuard device, served on the governed port by its PLAIN grant and by nothing else.
#   plain_e2e.sh BUILD_DIR
set -u
HERE=$(dirname "$(readlink -f "$0")")
. "$HERE/lib.sh"
e2e_begin plain "${1:-build/release}"
kill_on_refusal
machine atlas phone
WG=wg$$  # its socket's name is the machine's, whatever the namespace

title "A phone with Debian's wireguard-go"
aq atlas init home --machine atlas --no-passphrase --endpoint 192.168.77.10:41641 >/dev/null 2>&1
claim "atlas is up" aq atlas up
A4=$(address atlas)
(umask 077; wg genkey >"$T/phone.key")
ATLAS_KEY=$(python3 -c 'import base64, re, sys; print(base64.b64encode(bytes.fromhex(re.search("public (.*)", open(sys.argv[1]).read())[1])).decode())' "$T/atlas/keys/static.key")
later phone wireguard-go -f $WG >/dev/null 2>&1
until_true 5 on phone wg show $WG
connect() {  # connect ADDRESS
  on phone sh -c "wg set $WG private-key $T/phone.key peer $ATLAS_KEY endpoint 192.168.77.10:41641 allowed-ips 100.64.0.0/10
    ip addr replace $1/32 dev $WG; ip link set $WG up; ip route replace 100.64.0.0/10 dev $WG"
}
connect 100.64.0.9
claim "without a grant it gets no answer at all" sh -c "! ip netns exec $TAG-phone ping -c 2 -i 0.3 -W 1 $A4 && [ \"\$(ip netns exec $TAG-phone wg show $WG latest-handshakes | cut -f2)\" = 0 ]"
grants_it() { aq atlas grant create "$(wg pubkey <"$T/phone.key")" --class PLAIN --root --tag member --name phone -o "$T/phone.grant" 2>"$T/grant.err"; }
claim "the root grants it, by the key that wg pubkey prints" grants_it
claim "the same grant imported again is known, and no error" aq atlas import "$T/phone.grant"
P4=$(sed -n 's/^address \(100[^/]*\).*/\1/p' "$T/grant.err")
on phone ip addr flush dev $WG
connect "$P4"
claim "it pings atlas from the address that the grant gives ($P4)" until_true 15 pings phone "$A4"
claim "atlas shows it, held at CONSTRAIN" sh -c "ip netns exec $TAG-atlas $BIN/aqmesh --state $T/atlas --socket $T/atlas.sock peers | grep -q 'phone .*CONSTRAIN'"
on phone ip addr flush dev $WG
connect 100.64.0.9
claim "nothing passes from another address" not pings phone "$A4"
on phone ip addr flush dev $WG
connect "$P4"
claim "and again from its own" until_true 5 pings phone "$A4"
claim "the root revokes it" aq atlas revoke phone --root
claim "and it is cut" not pings phone "$A4"
claim "the lineage has both" sh -c "ip netns exec $TAG-atlas $BIN/aqmesh --state $T/atlas --socket $T/atlas.sock lineage query --subject phone --json | grep -q CONSTRAIN && ip netns exec $TAG-atlas $BIN/aqmesh --state $T/atlas --socket $T/atlas.sock lineage query --subject phone --outcome REFUSE --json | grep -qi revoked"

verdict
