#!/usr/bin/env bash
# The past, asked of real daemons: the state that a log folds to is the one that its daemon holds, at this moment and
# after a crash; an instant before a revocation shows who was let in then; causes are followed across the logs of two
# machines; and every decision comes out again from what its record names.
#   history_e2e.sh BUILD_DIR
set -euo pipefail
HERE=$(dirname "$(readlink -f "$0")")
. "$HERE/lib.sh"
e2e_begin history "${1:?usage: history_e2e.sh BUILD_DIR}"
machine atlas borealis cygnus draco

# Whom the daemon holds at which rung, and whom the fold of its log does.
live() { aq "$1" peers --json | python3 -c '
import json, sys
for p in sorted(json.load(sys.stdin)["peers"], key=lambda p: p["kid"]):
    if p["rung"] in ("ADMIT", "CONSTRAIN", "PROBATION"): print(p["kid"], p["rung"])'; }
folded() { aq "$1" lineage state --json "${@:2}" | python3 -c '
import json, sys
for s in sorted(json.load(sys.stdin)["subjects"], key=lambda s: s["kid"]):
    if s["in_force"]: print(s["kid"], s["rung"])'; }
same_now() { live "$1" >"$T/live"; folded "$1" >"$T/folded"; [ -s "$T/live" ] && diff "$T/live" "$T/folded"; }
redecided() { aq "$1" lineage verify --decisions >"$T/verify"; cat "$T/verify"; grep -q "decisions, each the same" "$T/verify"; }
says() { local want=$1; shift; "$@" >"$T/said" 2>&1 || { cat "$T/said"; return 1; }; cat "$T/said"; grep -Eq -- "$want" "$T/said"; }
three_then() { [ "$(folded atlas --at "$BEFORE" | wc -l)" = 3 ]; }
no_dot() { { trace --svg 2>&1 || true; } | grep 'package graphviz'; }
is_json() { "$@" | python3 -c 'import json, sys; json.load(sys.stdin)'; }

aq atlas init home --machine atlas --no-passphrase --endpoint "${IP[atlas]}:41641" >"$T/init.out" 2>&1
aq atlas up >"$T/up.out" 2>&1

title "Three machines join; each log folds to what its daemon holds"
for h in borealis cygnus draco; do claim "$h joins" join "$h" atlas; done
for h in borealis cygnus; do until_true 15 pings draco "$(address "$h")"; done
for h in atlas borealis; do claim "$h: state is what its daemon holds" until_true 5 same_now "$h"; done
claim "state names nodes, rungs, signers and rules" says 'draco +ADMIT .*atlas' aq atlas lineage state
claim "and what their fragments let them reach" says 'any -> any|tag:' aq atlas lineage state --node draco
sleep 2.2
BEFORE=$(date -u +%Y-%m-%dT%H:%M:%SZ)
sleep 2.2

title "draco is revoked: the past keeps it"
claim "atlas revokes draco" aq atlas revoke draco
claim "atlas no longer shows it" says 'draco +REFUSE .*revoked' aq atlas lineage state
claim "but did at $BEFORE" says 'draco +ADMIT' aq atlas lineage state --at "$BEFORE"
claim "--json too" three_then
claim "diff says who is gone and why" says '^- draco .*revoked' aq atlas lineage diff "$BEFORE"
claim "borealis heard of it" until_true 10 says 'draco +REFUSE' aq borealis lineage state
for h in atlas borealis; do claim "$h: state is still what its daemon holds" until_true 5 same_now "$h"; done

title "Causes, across two machines"
REFUSED=$(aq borealis lineage query --subject draco --outcome REFUSE --kind decided --json | python3 -c '
import json, sys; print(json.load(sys.stdin)["records"][0]["id"])')
trace() { aq borealis lineage trace "$REFUSED" --with "$T/atlas" "$@"; }
claim "borealis's refusal is because of the restriction that it heard" says 'because of .*revoke_seen' trace
claim "which atlas had before it" says 'heard after  atlas' trace
claim "and was made from the grant of draco" says 'made from .*grant draco' trace
SEEN=$(aq atlas lineage query --kind revoke_seen --json | python3 -c '
import json, sys; print(json.load(sys.stdin)["records"][0]["id"])')
down_both() {
  aq atlas lineage trace "$SEEN" --down --with "$T/borealis" >"$T/down"; cat "$T/down"
  grep -q 'because of  atlas .*REFUSE' "$T/down" && grep -q 'because of  borealis .*REFUSE' "$T/down"
}
claim "down from atlas's own: both machines refused" down_both
OPENED=$(aq atlas lineage query --subject borealis --kind armed --json | python3 -c '
import json, sys; print(json.load(sys.stdin)["records"][-1]["id"])')
claim "an action leads to its decision and the other end of the handshake" says 'carries out' aq atlas lineage trace "$OPENED" --with "$T/borealis"
claim "as Graphviz's text" says 'digraph trace' trace --dot
claim "as JSON" is_json trace --json
if command -v dot >/dev/null; then claim "as SVG" says '</svg>' trace --svg
else claim "without Graphviz --svg names the package" no_dot; fi

title "Every decision, made again from its inputs"
for h in atlas borealis cygnus draco; do claim "$h" redecided "$h"; done

title "What was tried, until it is redacted"
tried() { aq borealis lineage sql "SELECT DISTINCT state, proto FROM attempts WHERE subject_name = 'draco'"; }
FLOW=0
flow_of_draco() {
  FLOW=$(aq borealis lineage sql --json "SELECT max(seq) AS seq FROM attempts WHERE subject_name = 'draco'" | jq .seq)
  aq borealis lineage show "$FLOW"
}
unasked() { local status=0; aq borealis lineage redact draco </dev/null >"$T/unasked" 2>&1 || status=$?; [ "$status" = 2 ]; }
claim "draco's pings are in borealis's log" until_true 12 says 'open +icmp' tried
claim "with the rule that let them through" says '^tried .*icmp .* by rule 1 of' flow_of_draco
FIRST=$(aq borealis lineage sql --json "SELECT min(seq) AS seq FROM attempts WHERE subject_name = 'draco'" | jq .seq)
disclosed() { rm -f "$T/flow.evidence"; aq borealis lineage prove "$FIRST" "$@" -o "$T/flow.evidence"; }
shown() { aq cygnus lineage check "$T/flow.evidence" --charter "$T/home.charter"; }
aq borealis authority export charter -o "$T/home.charter"
claim "borealis discloses it as evidence" until_true 70 disclosed --disclose
claim "which shows somebody else what was tried" says '^tried .*icmp' shown
claim "what is not disclosed is not shown" eval 'disclosed && ! shown | grep ^tried'
claim "without a terminal redact asks for --yes" unasked
claim "nobody is not redacted" says 'nobody here is called' not aq borealis lineage redact nobody --yes
claim "redact" aq borealis lineage redact draco --yes
claim "nobody reads it any more" says '^closed' tried
claim "nor by the record, which stands" says '^tried .*closed' flow_of_draco
claim "nor is it disclosed any more" says 'is closed' not disclosed --disclose
claim "its proof holds as before" eval 'disclosed && shown >/dev/null'
claim "twice there is nothing to redact" says 'nothing is kept' not aq borealis lineage redact draco --yes
claim "the log holds, and says how much is closed" says 'of [0-9]+ the key is not here' aq borealis lineage verify

title "After kill -9"
kill_daemon atlas
claim "the log of a dead daemon still says who was let in" says 'borealis +ADMIT' aq atlas lineage state
aq atlas up >"$T/up2.out" 2>&1
claim "borealis comes back" until_true 40 pings borealis "$(address atlas)"
claim "state is what the new daemon holds" until_true 20 same_now atlas
claim "the instant before the revocation is as it was" says 'draco +ADMIT' aq atlas lineage state --at "$BEFORE"
claim "every decision again" redecided atlas
claim "the chain" says 'each follows from the one before' aq atlas lineage verify
verdict
