#!/usr/bin/env bash
# Three machines sign the heads of their logs and cosign each other's. A record leaves one of them as a file and is
# checked with nothing but the charter. Then a machine's disk is put back to an older state: the others notice, and it
# begins another log instead of a fork.
#   heads_e2e.sh BUILD_DIR [--long]
set -euo pipefail
HERE=$(dirname "$(readlink -f "$0")")
. "$HERE/lib.sh"
MEMBERS="atlas borealis cygnus"
BUILD=${1:?usage: heads_e2e.sh BUILD_DIR [--long]}

verify() { aq "$1" lineage verify --json >"$T/verify.json" && jq -e "$2" "$T/verify.json"; }
cosigned() { verify "$1" '.ok and .heads >= 1 and .cosignatures >= 2'; }
records() { aq "$1" lineage query --kind "$2" --limit 10000 --json | jq "${3:-.records | length}"; }
decision_of() { aq atlas lineage query --kind committed --subject borealis --json | jq -r '.records[0].seq'; }
# A checker that has the charter and the file, and no state.
check() { (cd "$T" && "$BIN/aqmesh" --state "$T/nobody" lineage check "$@"); }
refuses() {  # refuses WORDS check...: exit 1, one line, with these words
  local words=$1; shift
  ! check "$@" >"$T/refused" 2>&1 && [ "$(wc -l <"$T/refused")" = 1 ] && grep -q -- "$words" "$T/refused"
}
change() { sed "$1" "$T/record.evidence" >"$T/altered"; ! cmp -s "$T/altered" "$T/record.evidence"; }

e2e_begin heads "$BUILD"
kill_on_refusal
title "Three machines: $MEMBERS"
# shellcheck disable=SC2086
machine $MEMBERS
aq atlas init home --machine atlas --no-passphrase --endpoint "${IP[atlas]}:41641" >"$T/init.out" 2>&1
aq atlas up >/dev/null 2>&1
claim "borealis joins by atlas" join borealis atlas
claim "cygnus joins by borealis" join cygnus borealis
for h in $MEMBERS; do claim "$h has a head that both others cosigned" until_true 60 cosigned "$h"; done
claim "a CHECKPOINT record cites each head" [ "$(records atlas checkpoint)" -ge 1 ]

title "A record as evidence"

aq atlas authority export charter -o "$T/home.charter"
claim "prove writes a file" aq atlas lineage prove "$(decision_of)" -o "$T/record.evidence"
claim "it holds, with nothing but the charter" check record.evidence --charter home.charter --cosigners 2
claim "it says whose log it is" eval 'check record.evidence --charter home.charter --json | jq -e ".owner == \"atlas\" and .record.kind == \"committed\""'
claim "three cosigners are more than there are" refuses "cosigned by 2" record.evidence --charter home.charter --cosigners 3
change '2s/^record \(....\)./record \1Z/' || true
claim "an altered record is refused" refuses "" altered --charter home.charter
change '/^signed/d'
claim "without what says whose log it is, it is refused" refuses "" altered --charter home.charter
change 's/^index .*/index 0/'
claim "another place in the log is refused" refuses "" altered --charter home.charter
head -c 700 "$T/record.evidence" >"$T/altered"
claim "half a file is refused" refuses "" altered --charter home.charter
claim "a record that is not there is named" eval '! aq atlas lineage prove 99999999 2>"$T/refused" && grep -q "99999999" "$T/refused"'

title "A head that does not lie"
claim "verify recomputes all and finds it so" aq atlas lineage verify

title "borealis's disk is put back by an hour"
aq borealis down --stop >/dev/null
claim "its daemon is gone" until_true 10 gone borealis
cp -a "$T/borealis" "$T/backup"
aq borealis up >/dev/null 2>&1
LOG=$(aq borealis lineage query --limit 1 --json | jq -r '.records[0].log')
HAD=$(aq borealis lineage verify --json | jq .size)
BEFORE=$(aq borealis lineage verify --json | jq .cosignatures)
newer() { verify borealis ".covered > $HAD and .cosignatures >= $BEFORE + 2"; }
claim "it goes on, and others cosign what is new" until_true 60 newer
kill_daemon borealis
claim "its daemon is gone" until_true 10 gone borealis
# Of the counters the newest state stays: they are made so that no backup takes them back.
cp "$T"/borealis/keys/*counter* "$T/backup/keys/" 2>/dev/null || true
rm -rf "${T:?}/borealis"; mv "$T/backup" "$T/borealis"
aq borealis up >/dev/null 2>&1
begun() { [ "$(records borealis log_restart)" = 1 ]; }
claim "the others know of a longer log: it begins another" until_true 60 begun
claim "its first record says so" eval '[ "$(aq borealis lineage show 0 --json | jq -r .record.kind)" = log_restart ]'
claim "it names the old log" eval '[ "$(aq borealis lineage show 0 --json | jq -r .record.subject)" = "$LOG" ]'
claim "the new log has another key" eval '[ "$(aq borealis lineage show 0 --json | jq -r .record.log)" != "$LOG" ]'
claim "the others cosign the new log" until_true 60 cosigned borealis
stands() { aq borealis lineage state --json | jq -e '[.subjects[] | select(.rung == "ADMIT") | .name] | contains(["atlas", "cygnus"])'; }
claim "it stands by itself: who is in force is in it" until_true 20 stands
claim "and each decision in it can be made again" aq borealis lineage verify --decisions
aq borealis down --stop >/dev/null
claim "its daemon is gone" until_true 10 gone borealis
claim "a restart goes on with it" eval 'aq borealis up >/dev/null 2>&1 && aq borealis lineage verify >/dev/null'
claim "and there is still one LOG_RESTART" begun
for h in atlas cygnus; do
  claim "$h has seen no fork" eval "! aq $h lineage query --kind escalated --json | jq -e '.records | length > 0'"
done
verdict
