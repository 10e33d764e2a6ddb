#!/usr/bin/env bash
# The charter between real daemons: one owner shares it with three others; each signs where it is; what they agree on
# holds everywhere, also on machines that were killed, away, or not there yet.
#   charter_e2e.sh BUILD_DIR
set -euo pipefail
HERE=$(dirname "$(readlink -f "$0")")
. "$HERE/lib.sh"
e2e_begin charter "${1:?usage: charter_e2e.sh BUILD_DIR}"
kill_on_refusal
machine atlas borealis cygnus draco ermine

version() { [ "$(aq "$1" charter list --json | jq .version)" = "$2" ] || { aq "$1" charter list; return 1; }; }
everywhere() { local want=$1 m; shift; for m in "$@"; do version "$m" "$want" || return 1; done; }
proposed() { aq "$1" charter list --json | jq -r '.proposed[0].oid // empty' | cut -c1-8; }
hears() { [ -n "$(proposed "$1")" ]; }
said() { [ "$(aq "$1" charter list --json | jq '[.proposed[0].voters[] | select(.said)] | length')" = "$2" ]; }
voter() { aq "$1" authority create voter --no-passphrase --json 2>/dev/null | jq -r .key; }

aq atlas init home --machine atlas --no-passphrase --endpoint "${IP[atlas]}:41641" >"$T/init.out" 2>&1
claim "atlas is up" aq atlas up
claim "nothing of it concerns a mesh of one owner" says 'in force' aq atlas charter list
for m in borealis cygnus draco; do claim "atlas lets $m in" join "$m" atlas; done
for m in borealis cygnus draco; do claim "$m is at ADMIT" until_true 20 stands atlas "$m" ADMIT; done

title "Four voters, of whom three have to agree"
aq atlas charter draft >"$T/next.toml"
sed -i 's/^q_reg = 1/q_reg = 3/; s/^q_sens = 1/q_sens = 3/' "$T/next.toml"
for m in borealis cygnus draco; do
  printf '\n[[voter]]\nkey = "%s"\nweight = 1\ngroup = "%s"\n' "$(voter "$m")" "$m" >>"$T/next.toml"
done
claim "the owner proposes it" says 'is new' aq atlas charter propose "$T/next.toml"
for m in borealis cygnus draco; do claim "$m hears of it" until_true 10 hears "$m"; done
claim "version 1 is in force" everywhere 1 atlas borealis cygnus draco
for m in borealis cygnus; do claim "$m's owner signs" aq "$m" charter vote "$(proposed "$m")" --key voter; done
claim "draco hears who signed" until_true 10 said draco 3
claim "who is added has to sign too" everywhere 1 atlas borealis cygnus draco
claim "draco's owner signs" says 'It is in force' aq draco charter vote "$(proposed draco)" --key voter
claim "version 2 is in force everywhere" until_true 15 everywhere 2 atlas borealis cygnus draco
claim "nobody lost a session by it" stands atlas borealis ADMIT
claim "the log says what it rests on" some borealis \
  "SELECT count(*) AS n FROM records WHERE kind = 'approved' AND evidence IS NOT NULL AND inputs IS NOT NULL"

title "A stricter number, while one machine is away and another is killed"
claim "draco goes away" aq draco down
aq cygnus charter draft >"$T/strict.toml"
printf '\n[[param]]\nid = 1\nvalue = 65536\n\n[[param]]\nid = 2\nvalue = 65500\n' >>"$T/strict.toml"
claim "cygnus' owner proposes it" aq cygnus charter propose "$T/strict.toml" --key voter
claim "atlas hears of it" until_true 10 hears atlas
claim "the root signs" aq atlas charter vote "$(proposed atlas)"
claim "borealis hears of both" until_true 10 said borealis 2
claim "borealis is killed before it signed" kill_daemon borealis
claim "its owner signs offline" aq borealis charter vote "$(proposed borealis)" --key voter
claim "version 2 is in force at the others" everywhere 2 atlas cygnus
claim "borealis is up again" aq borealis up
claim "version 3 is in force" until_true 30 everywhere 3 atlas borealis cygnus
claim "atlas holds borealis lower" until_true 10 stands atlas borealis CONSTRAIN
claim "and borealis atlas" until_true 10 stands borealis atlas CONSTRAIN
claim "draco is back" aq draco up
claim "it heard what it missed" until_true 40 everywhere 3 draco
claim "and judges by it" until_true 20 stands draco atlas CONSTRAIN

title "Nobody says two things"
aq atlas charter draft >"$T/left.toml"
cp "$T/left.toml" "$T/right.toml"
printf '\n[[param]]\nid = 7\nvalue = 60\n' >>"$T/left.toml"
printf '\n[[param]]\nid = 7\nvalue = 61\n' >>"$T/right.toml"
claim "the root proposes one" aq atlas charter propose "$T/left.toml"
claim "and no other" refuses 1 'signs one answer' aq atlas charter propose "$T/right.toml"
claim "borealis' owner proposes the other" aq borealis charter propose "$T/right.toml" --key voter
two() { [ "$(aq "$1" charter list --json | jq '.proposed | length')" = 2 ]; }
claim "both are known" until_true 10 two atlas
other() { aq atlas charter list --json | jq -r --arg v "$(aq atlas charter list --json | jq -r '.in_force[0].oid')" \
  '.proposed[] | select(.changes[0] | contains("61")) | .oid' | cut -c1-8; }
claim "the root does not sign it" refuses 1 'signs one answer' aq atlas charter vote "$(other)"
claim "version 3 stays" everywhere 3 atlas borealis cygnus draco

title "A grant that needs its voters"
lab=$(aq atlas authority create lab --no-passphrase --json 2>/dev/null | jq -r .key)
claim "the root signs a SEGMENT" aq atlas grant create "$lab" --class SEGMENT --name lab --tag member --root -o "$T/lab.grant"
claim "which does not hold by that" says 'does not hold yet' aq borealis grant vote "$T/lab.grant" --key voter
heard() { aq "$1" authority export cosign -o - | aq "$1" inspect - --json | jq -s -e 'any(.slot == 1)'; }
claim "cygnus hears that borealis' owner signed" until_true 10 heard cygnus
claim "with cygnus' owner it does" says 'It holds' aq cygnus grant vote "$T/lab.grant" --key voter

title "Who comes later, and after a crash"
claim "ermine joins" join ermine atlas
claim "it has every version" everywhere 3 ermine
for m in atlas cygnus; do
  claim "$m is killed" kill_daemon "$m"
  claim "$m is up again" aq "$m" up
  claim "with the same charter" everywhere 3 "$m"
done
claim "they speak again" until_true 40 stands atlas cygnus CONSTRAIN
claim "what was proposed is still there" two atlas
for m in atlas borealis cygnus draco; do
  claim "$m's decisions are made again, each under its charter" aq "$m" lineage verify --decisions
done
verdict
