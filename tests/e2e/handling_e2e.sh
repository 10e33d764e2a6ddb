#!/usr/bin/env bash
# What a rule may demand beside "yes", obeyed by real daemons on real packets: marks, segment sizes, rates, logs, and
# flows that wait for a person. And what PROBATION leaves of a peer.
#   handling_e2e.sh BUILD_DIR
set -euo pipefail
HERE=$(dirname "$(readlink -f "$0")")
. "$HERE/lib.sh"
e2e_begin handling "${1:?usage: handling_e2e.sh BUILD_DIR}"
kill_on_refusal
machine atlas borealis

send() {  # send PORT [FROM]: one datagram from borealis
  on borealis python3 -c '
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
if len(sys.argv) > 3: s.bind(("", int(sys.argv[3])))
s.sendto(b"tick", (sys.argv[1], int(sys.argv[2])))' "$A4" "$@"; }
gets() { on borealis curl -s -f -m 30 -o /dev/null "http://$A4:$1/blob"; }
came() { seen atlas "$1"; }
arrives() {  # arrives FILTER COMMAND...: the capture at atlas' TUN grows by it
  local before filter=$1; shift
  before=$(came "$filter"); "$@"; sleep 0.5
  [ "$(came "$filter")" -gt "$before" ] || { tcpdump -r "$T/atlas.pcap" -n -v 2>/dev/null | tail -5; return 1; }
}

aq atlas init home --machine atlas --no-passphrase --endpoint "${IP[atlas]}:41641" >"$T/init.out" 2>&1
claim "atlas is up" aq atlas up
A4=$(address atlas)

title "Rules that ask for more than yes or no"
cat >"$T/rules" <<'RULES'
tag:guest -> tag:member udp:7000 transform:dscp-46-v1
tag:guest -> tag:member tcp:8001 transform:mss-1000-v1
tag:guest -> tag:member tcp:8002 rate:5
tag:guest -> tag:member tcp:8003
tag:guest -> tag:member udp:7004 escalate
tag:guest -> tag:member udp:7005 log
tag:guest -> tag:member udp:7006 log-headers
tag:guest -> tag:member udp:7007
tag:guest -> tag:member icmp
RULES
claim "a transform that is none is named, with those that are" refuses 1 "mss-N-v1" \
  aq atlas fragment create --root --rule "tag:guest -> tag:member any transform:rot13-v1"
claim "nor is one out of its range" refuses 1 "dscp-64-v1" \
  aq atlas fragment create --root --rule "tag:guest -> tag:member any transform:dscp-64-v1"
claim "the fragment is signed" aq atlas fragment create --root --file "$T/rules"
claim "borealis joins as a guest" join borealis atlas --tags guest --no-enroll
capture atlas
head -c 600000 /dev/zero >"$T/blob"
for port in 8001 8002 8003; do later atlas python3 -m http.server "$port" --bind "$A4" --directory "$T" >/dev/null 2>&1; done
claim "a rule without more" until_true 10 gets 8003

title "Marks"
claim "what a rule marks arrives marked" arrives 'udp dst port 7000 and ip[1] & 0xfc == 184' send 7000
claim "what none marks does not" arrives 'udp dst port 7007 and ip[1] & 0xfc == 0' send 7007
claim "the fetch works" gets 8001
segments() { on borealis python3 -c '
import socket, sys
c = socket.create_connection((sys.argv[1], int(sys.argv[2])), 3)
print(c.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG))' "$A4" "$1"; }
claim "its SYN offers atlas segments of 1000 bytes" says 'mss 1000' tcpdump -r "$T/atlas.pcap" -n 'tcp dst port 8001 and tcp[tcpflags] & tcp-syn != 0'
claim "and atlas' answer offers as much" test "$(segments 8001)" -le 1000
claim "elsewhere they are larger" test "$(segments 8003)" -gt 1000

title "Rates"
seconds() { local from=$EPOCHREALTIME; gets "$1"; python3 -c "print(int($EPOCHREALTIME - $from))"; }
claim "600 kB at 1 Mbit/s take their time" test "$(seconds 8002)" -ge 3
claim "beside it they do not" test "$(seconds 8003)" -lt 3

title "Logs"
for source in 5001 5002 5003; do send 7005 $source; send 7007 $source; done
send 7006 5001
logged() { some atlas "SELECT count(*) = $2 FROM attempts WHERE subject_name = 'borealis' AND port = $1 AND $3"; }
claim "each flow has a line, with its source port" until_true 20 logged 7005 3 "logged AND src_port BETWEEN 5001 AND 5003 AND headers IS NULL"
claim "first headers where a rule asks for them" until_true 15 logged 7006 1 "logged AND headers LIKE '45%'"
claim "others are summed up" until_true 5 some atlas "SELECT count(*) FROM attempts WHERE port = 7007 AND count >= 3 AND NOT logged AND src_port IS NULL"

title "A flow that waits for a person"
waits() { aq atlas escalations list --json | jq -e '.items[] | select(.name == "borealis" and .cause == "action")'; }
claim "its packet does not arrive" not arrives 'udp dst port 7004' send 7004
claim "somebody is asked" until_true 5 waits
claim "explain says so" mentions 'holds it until a person' aq atlas explain borealis "$A4:7004/udp"
claim "the item says how to answer" says 'escalations approve borealis' aq atlas escalations show borealis
claim "others of the same machine arrive" arrives 'udp dst port 7007' send 7007
claim "what waited is in the log" until_true 15 some atlas "SELECT count(*) FROM attempts WHERE port = 7004 AND reason = 'held for a person'"
claim "a no" aq atlas escalations deny borealis --for 1m
claim "and it stays out" not arrives 'udp dst port 7004' send 7004
claim "which asks again" until_true 5 waits
claim "a yes" aq atlas escalations approve borealis --for 1h
claim "and it arrives" arrives 'udp dst port 7004' send 7004
claim "borealis stands where it stood" says 'borealis .*ADMIT' aq atlas peers
claim "atlas is killed" kill_daemon atlas
claim "and up again" aq atlas up
capture atlas
claim "borealis is back" until_true 20 pings borealis "$A4"
claim "the yes was kept" until_true 10 arrives 'udp dst port 7004' send 7004
claim "the answer is in the log" some atlas "SELECT count(*) FROM records WHERE kind = 'approved' AND subject_name = 'borealis'"

title "What explain says"
claim "the rule's demands" mentions 'at most 1 Mbit/s' aq atlas explain borealis "$A4:8002"
claim "whom it comes from" mentions 'by atlas ENROLLER' aq atlas explain borealis "$A4:8002"
claim "why no rule matches, one by one" mentions '7005.*log: tcp is not udp' aq atlas explain borealis "$A4:22"
claim "the same for programs" sh -c 'jq -e ".rules | length >= 9" >/dev/null' <<<"$(aq atlas explain borealis "$A4:22" --json || true)"

title "PROBATION"
printf 'default_rung = "PROBATION"\n' >"$T/atlas/policy.toml"
kill -HUP "$(pids_of atlas aqmeshd | head -1)"
claim "borealis is at PROBATION" until_true 10 stands atlas borealis PROBATION
claim "it may ping" pings borealis "$A4"
claim "and nothing else" not gets 8003
on borealis ping -f -c 400 -W 1 "$A4" >"$T/flood" 2>&1 || true
loses() { cat "$T/flood"; grep -q 'packet loss' "$T/flood" && ! grep -q ' 0% packet loss' "$T/flood"; }
claim "not more than 64 times a second" loses
claim "every flow of it is logged" until_true 20 some atlas \
  "SELECT count(*) FROM attempts WHERE subject_name = 'borealis' AND port = 8003 AND logged AND NOT allowed"
claim "explain says what that means" mentions '256 kbit/s, 64 packets a second' aq atlas explain borealis

title "Obligations"
claim "a grant may owe" says 'log_flow' sh -c "$(printf 'PATH=%q:$PATH; %q --state %q --socket %q grant create %064d --root --must log_flow --must rate:3 -o - | %q inspect -' "$BIN" "$BIN/aqmesh" "$T/atlas" "$T/atlas.sock" 7 "$BIN/aqmesh")"
claim "one that is none is named" refuses 2 "escalate_first_use" aq atlas grant create "$(printf '%064d' 7)" --root --must need_tea
claim "every decision is made again from its record" aq atlas lineage verify --decisions
verdict
