#!/usr/bin/env bash
# The standard profile between real daemons: a newcomer is held at PROBATION until others speak for it, is let in
# where it was never seen with whoever spoke switched off, and falls at the next frame with who spoke for it.
# Two things are shortened, by the charter's own parameters: a member is eligible after 20 s, not 7 days (25), and a
# machine's prior is enough for ADMIT (1, 2), which else takes it half a day of use. Words live as long as ever.
#   attest_e2e.sh BUILD_DIR
set -euo pipefail
HERE=$(dirname "$(readlink -f "$0")")
. "$HERE/lib.sh"
e2e_begin attest "${1:?usage: attest_e2e.sh BUILD_DIR}"
kill_on_refusal
machine atlas borealis cygnus draco

none() { [ "$(sql "$1" "$2")" = 0 ] || { sql "$1" "$2"; return 1; }; }
# What explain says of a node as JSON, asked by a jq expression.
words() { aq "$1" explain "$2" --json | jq -e ".corroboration | $3"; }
holds() { aq "$1" attest list "$2" --json | jq -e ".words[] | select($3)"; }
streams() { later "$1" python3 -c '
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while True:
    s.sendto(b"tick", (sys.argv[1], int(sys.argv[2])))
    time.sleep(0.05)' "$(address "$2")" "$3" >/dev/null 2>&1; }
came() { seen atlas "udp dst port $1"; }
runs() { local before; before=$(came "$1"); sleep 1; [ "$(came "$1")" -gt "$before" ]; }
stopped() { local before; sleep 0.3; before=$(came "$1"); sleep 2; [ "$(came "$1")" = "$before" ]; }

title "Day 0 of a mesh of the standard profile"
claim "a profile that is none" not aq atlas init home --machine atlas --no-passphrase --profile strict
claim "a parameter that is none" not aq atlas init home --machine atlas --no-passphrase --profile standard --param 26=1
claim "atlas makes one" aq atlas init home --machine atlas --no-passphrase --endpoint "${IP[atlas]}:41641" \
  --profile standard --param 1=37000 --param 2=33000 --param 25=20
claim "atlas is up" aq atlas up
claim "borealis joins" join borealis atlas
claim "cygnus joins" join cygnus atlas
claim "the first machines are not held up" until_true 20 stands atlas borealis ADMIT
claim "none of them" until_true 20 stands borealis cygnus ADMIT

title "They speak for each other"
claim "borealis has the word of atlas" until_true 20 holds borealis borealis '.held == "own" and .by_name == "atlas"'
claim "and of cygnus" until_true 20 holds borealis borealis '.held == "own" and .by_name == "cygnus"'
claim "and shows them to atlas" until_true 20 holds atlas borealis '.held == "shown" and .by_name == "cygnus"'
claim "the list is for people too" says 'borealis *cygnus *home *KEY_SEEN' aq atlas attest list borealis
claim "it is in the log of who said it" some cygnus \
  "SELECT count(*) AS n FROM records WHERE kind = 'attested' AND subject_name = 'borealis'"
claim "once they are known long enough, words are asked for" until_true 60 words atlas borealis '.needed.votes == 500'
claim "and are there" words atlas borealis '.votes >= 500 and .attesters == 1'
claim "so borealis stays where it is" stands atlas borealis ADMIT

title "A newcomer for whom nobody speaks"
claim "borealis is switched off" kill_daemon borealis
claim "cygnus is switched off" kill_daemon cygnus
claim "draco joins" join draco atlas
claim "it is held at PROBATION" until_true 10 stands atlas draco PROBATION
claim "explain names the gate" mentions 'corroboration PROBATION' aq atlas explain draco
claim "and what would lift it" mentions '500 more would lift it' aq atlas explain draco
claim "the log says the same" some atlas \
  "SELECT count(*) AS n FROM decisions WHERE subject_name = 'draco' AND outcome = 'PROBATION' AND held_by = 'corroboration'"
capture atlas
streams draco atlas 7000
claim "its packets stay outside" stopped 7000

title "Somebody speaks"
claim "borealis is back" aq borealis up
claim "it meets draco, and atlas hears of it" until_true 60 stands atlas draco ADMIT
claim "by borealis' word" words atlas draco '.votes >= 500 and .voices[0].name == "borealis"'
claim "its packets come through" until_true 10 runs 7000
claim "the record says how many votes" some atlas \
  "SELECT count(*) AS n FROM decisions WHERE subject_name = 'draco' AND outcome = 'ADMIT'"
claim "every decision is made again from its record" aq atlas lineage verify --decisions

title "Who spoke is revoked"
claim "borealis is revoked" aq atlas revoke borealis
claim "not one more packet of draco comes through" stopped 7000
claim "draco is at PROBATION again" stands atlas draco PROBATION
claim "its word is shown, and does not count" mentions 'does not count' aq atlas explain draco
claim "the log still holds" aq atlas lineage verify --decisions

title "Everybody who spoke is switched off"
claim "atlas goes" kill_daemon atlas
claim "borealis goes" kill_daemon borealis
claim "cygnus, who never saw draco, comes" aq cygnus up
claim "what draco carries is enough" until_true 60 stands cygnus draco ADMIT
claim "it is atlas' word" words cygnus draco '.votes >= 500 and ([.voices[] | select(.why == null)][0].name == "atlas")'
claim "cygnus' decisions are made again" aq cygnus lineage verify --decisions

title "After the crash"
claim "atlas is back" aq atlas up
claim "and has not forgotten what was said" holds atlas draco '.held == "shown"'
claim "cygnus spoke meanwhile" until_true 60 stands atlas draco ADMIT
claim "every decision of atlas is made again" aq atlas lineage verify --decisions
claim "every decision of draco is made again" aq draco lineage verify --decisions
verdict
