#!/usr/bin/env bash
# Trust at work between real daemons: sessions count for who stands behind them; an issuer that gives more than it
# holds takes its machines down with it, at the next frame, wherever the proof gets to; a restart forgets none of it.
#   standing_e2e.sh BUILD_DIR
set -euo pipefail
HERE=$(dirname "$(readlink -f "$0")")
. "$HERE/lib.sh"
e2e_begin standing "${1:?usage: standing_e2e.sh BUILD_DIR}"
[ -x "$TOOLS/overreach" ] || { echo "standing_e2e: no overreach in $TOOLS; build it first: ./dev build" >&2; exit 1; }
kill_on_refusal
machine atlas borealis cygnus draco ermine

answers() { [ "$(sql "$1" "$3")" = "$2" ] || { echo "not $2:"; sql "$1" "$3"; return 1; }; }
# Twenty packets a second, for good; and how many of them came through atlas' gate.
streams() { later "$1" python3 -c '
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while True:
    s.sendto(b"tick", (sys.argv[1], int(sys.argv[2])))
    time.sleep(0.05)' "$(address "$2")" "$3" >/dev/null 2>&1; }
came() { seen atlas "udp dst port $1"; }
runs() { local before; before=$(came "$1"); sleep 1; [ "$(came "$1")" -gt "$before" ]; }
# From now on nothing: the capture has a moment to write what came before.
stopped() { local before; sleep 0.3; before=$(came "$1"); sleep 2; [ "$(came "$1")" = "$before" ]; }

aq atlas init home --machine atlas --no-passphrase --endpoint "${IP[atlas]}:41641" >"$T/init.out" 2>&1
claim "atlas is up" aq atlas up

title "Three machines, one of them by another's word"
claim "atlas lets borealis in" join borealis atlas
claim "borealis lets cygnus in" join cygnus borealis
claim "atlas lets draco in" join draco atlas
for m in borealis cygnus draco; do claim "$m is at ADMIT" until_true 20 stands atlas "$m" ADMIT; done
capture atlas
streams cygnus atlas 7000
streams draco atlas 7001
claim "cygnus' packets come through" until_true 10 runs 7000
claim "draco's packets come through" until_true 10 runs 7001

title "borealis signs a grant of a subnet that is not its own"
"$TOOLS/overreach" "$T/borealis" 10.9.0.0/16 >"$T/proof.aq"
claim "the grant reads" aq atlas inspect "$T/proof.aq"
aq atlas authority export grant -o "$T/fine.aq"
claim "atlas does not take it, and says what it is good for" refuses 1 "trust report" aq atlas import "$T/proof.aq"
claim "a grant that is in order is no proof" refuses 1 "proves nothing" aq atlas trust report "$T/fine.aq"
claim "atlas is shown it" aq atlas trust report "$T/proof.aq"
claim "not one more packet of cygnus comes through" stopped 7000
claim "draco's go on" runs 7001
claim "borealis is at PROBATION" stands atlas borealis PROBATION
claim "and so is cygnus, which it let in" stands atlas cygnus PROBATION
claim "draco is not" stands atlas draco ADMIT
claim "draco found the same for itself" until_true 10 stands draco cygnus PROBATION
claim "what was weighed names its proof" some atlas \
  "SELECT count(*) AS n FROM records WHERE kind = 'weighted' AND subject_name = 'borealis' AND evidence IS NOT NULL"
claim "the decision after it names the gate" some atlas \
  "SELECT count(*) AS n FROM decisions WHERE subject_name = 'cygnus' AND outcome = 'PROBATION' AND held_by = 'trust'"
claim "every decision is made again from its record" aq atlas lineage verify --decisions

title "What docs/governance.md says of this"
mkdir "$T/page"
printf '#!/bin/sh\nexec ip netns exec %q %q --state %q --socket %q "$@"\n' \
  "$TAG-atlas" "$BIN/aqmesh" "$T/atlas" "$T/atlas.sock" >"$T/page/aqmesh"
chmod 755 "$T/page/aqmesh"
claim "each answer is the page's" env PATH="$T/page:$PATH" python3 "$HERE/doc_answers.py" "$HERE/../../docs/governance.md" \
  "## Asked of a running machine" ${REWRITE:+--rewrite}
[ "$FAILED" = 0 ] || tail -80 "$T/last"

title "How far each is trusted"
claim "the list says that borealis fell" says 'borealis .*broken' aq atlas trust list
claim "its page names the proof" says '10.9.0.0/16' aq atlas trust show borealis
claim "its plot falls" says ' ' aq atlas trust plot borealis --since 1h
claim "the same as a picture" aq atlas trust plot borealis --since 1h --svg "$T/plot.svg"
claim "which is one" python3 -c 'import sys, xml.dom.minidom as m; m.parse(sys.argv[1])' "$T/plot.svg"
claim "a key that nobody knows" refuses 1 "nobody" aq atlas trust show nobody

title "A person who knows better"
waits() { aq "$1" escalations list --json | jq -e --arg who "$2" '.items[] | select(.name == $who and .cause == "trust")'; }
claim "what fell waits at atlas" waits atlas cygnus
claim "it is shown with its answer" says 'escalations approve cygnus' aq atlas escalations show cygnus
claim "an item that is not there" refuses 1 "nothing waits" aq atlas escalations approve nobody
claim "a rung that is none" refuses 2 "ADMIT, CONSTRAIN" aq atlas escalations approve cygnus --ceiling HIGH
claim "who is not above it cannot say it" refuses 1 "not above the subject" aq draco escalations approve cygnus
claim "cygnus is approved for an hour" aq atlas escalations approve cygnus --ceiling ADMIT --for 1h
claim "it is back at ADMIT" stands atlas cygnus ADMIT
claim "its packets come through again" until_true 5 runs 7000
claim "draco heard of it" until_true 10 stands draco cygnus ADMIT
claim "nothing waits for cygnus any more" not waits atlas cygnus
claim "borealis is denied" aq atlas escalations deny borealis --for 1h
claim "and has no session" until_true 5 not stands atlas borealis PROBATION
claim "the answers are in the log" some atlas \
  "SELECT count(*) AS n FROM records WHERE kind = 'approved' AND outcome = 'ADMIT' AND subject_name = 'cygnus'"
claim "every decision is made again with them" aq atlas lineage verify --decisions

title "A machine that asks, and a person who takes his time"
aq atlas invite -o "$T/ermine.line" >/dev/null 2>&1
later ermine "$BIN/aqmesh" --state "$T/ermine" --socket "$T/ermine.sock" join "$T/ermine.line" --name ermine \
  --endpoint "${IP[ermine]}:41641" >"$T/ermine.join" 2>&1 </dev/null
asks() { aq atlas escalations list --json | jq -e '.items[] | select(.cause == "join" and .name == "ermine")'; }
alive() { [ -n "$(pids_of "$1" aqmeshd)" ] || { cat "$T/$1/aqmeshd.log"; return 1; }; }
claim "ermine waits in the same list" until_true 15 asks
sleep 12  # more than a tick of either end
claim "both are still there" all alive atlas ermine
claim "it is let in from the list" aq atlas escalations approve ermine
claim "and is there, with less at first: atlas pays for whom it let enroll others" until_true 20 stands atlas ermine CONSTRAIN

title "After a crash"
claim "atlas is killed" kill_daemon atlas
claim "and is up again" aq atlas up
claim "cygnus is back, by what was said" until_true 30 stands atlas cygnus ADMIT
claim "borealis stays out" not stands atlas borealis PROBATION
claim "draco is back" until_true 30 stands atlas draco ADMIT
claim "the log still holds" aq atlas lineage verify --decisions
verdict
