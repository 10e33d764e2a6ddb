#!/usr/bin/env bash
# A crash at every point of a join and of a revocation, on both sides of each. kill_at kills the process that is
# about to touch the world outside for the N-th time: joiner (aqmesh join and the daemon that it starts), sponsor,
# revoker, receiver. Then everything of that machine is killed, and it starts again. What must hold:
#   what the kernel and the table of peers hold is what the folded log says; no record that was there is gone, and
#   what others were told of is there; the chain verifies; a revocation that was durable is in force at once, with
#   nobody there to tell it again; the interrupted order goes through when it is given again.
#   crash_e2e.sh BUILD_DIR            a seeded spread of points (AQMESH_SEED)
#   crash_e2e.sh BUILD_DIR --long     every point
#   crash_e2e.sh BUILD_DIR --case SIDE N   that one, verbosely
set -euo pipefail
HERE=$(dirname "$(readlink -f "$0")")
. "$HERE/lib.sh"

SIDES="joiner sponsor revoker receiver"
WORKERS=${AQMESH_CRASH_WORKERS:-4}
POINTS=6  # a side, in the quick form
SEED=${AQMESH_SEED:-$(date +%s)}
BUILD=${1:?usage: crash_e2e.sh BUILD_DIR [--long | --case SIDE N]}

# ---- one world, used case after case

# Everything that runs on the machine dies; the machine stays.
crash() {
  local p
  for _ in 1 2 3 4 5; do
    p=$(ip netns pids "$TAG-$1" || true)
    [ -n "$p" ] || break
    # shellcheck disable=SC2086
    kill -9 $p 2>/dev/null || true
    sleep 0.1
  done
  until_true 5 silent "$1"
}
reset() {  # reset BASE
  local h
  for h in $HOSTS; do
    crash "$h"
    rm -rf "${T:?}/$h" "$T/$h".*
    [ ! -d "$BASE/$1/$h" ] || cp -a "$BASE/$1/$h" "$T/$h"
  done
  rm -f "$T/calls"
}
traced() {  # traced HOST N [--armed] -- command: runs until the N-th call
  local h=$1 n=$2; shift 2
  PATH=$BIN:$PATH later "$h" "$TOOLS/kill_at" --at "$n" --log "$T/calls" "$@" >"$T/traced.out" 2>&1
}
traced_daemon() {
  traced "$1" "$2" -- "$BIN/aqmeshd" --state "$T/$1" --socket "$T/$1.sock"
  until_true 10 aq "$1" status
}
count_from_now() { kill -USR1 "$(pids_of "$1" kill_at)"; }
struck() { grep -q '^killed' "$T/calls" 2>/dev/null; }
struck_or() { struck || "$@"; }

log_of() { aq "$1" lineage query --json --limit 10000; }
is_in_log() { log_of "$1" >"$T/$1.log.json" 2>/dev/null && "$HERE/fold_log.py" has "$T/$1.log.json" "$2" "$3"; }
met() { aq "$1" wait --peer "$2" --timeout 1s; }
agrees() {  # agrees HOST [KID...]: its log, its tables and its kernel say the same
  local h=$1 d=$T/$1.dump; shift
  mkdir -p "$d"
  aq "$h" lineage verify || return 1
  log_of "$h" >"$d/log.json" && aq "$h" status --json >"$d/status.json" && aq "$h" grant show --json >"$d/grants.jsonl" || return 1
  on "$h" ip -j addr show dev aq0 >"$d/addr.json" || return 1
  on "$h" ip -j route show dev aq0 >"$d/route4.json" || return 1
  on "$h" ip -j -6 route show dev aq0 >"$d/route6.json" || return 1
  # shellcheck disable=SC2086
  "$HERE/fold_log.py" world "$d" "$@"
}
kept() { log_of "$1" >"$T/$1.now.json" && "$HERE/fold_log.py" prefix "$T/$1.dead.json" "$T/$1.now.json"; }

fail() { printf '%s' "$*" >"$T/why"; return 1; }
# Says what did not come true, with the last words of the command.
soon() {  # soon SECONDS "what" command...
  local seconds=$1 what=$2; shift 2
  until_true "$seconds" "$@" || fail "$what: $("$@" 2>&1 | tail -2 | tr '\n' ' ')"
}

answer_joins() {  # answer_joins HOST FILE: an invitation, and somebody who says yes to whoever asks
  rm -f "$2"
  later "$1" env "PATH=$BIN:$PATH" "$BIN/aqmesh" --state "$T/$1" --socket "$T/$1.sock" invite -o "$2" --wait --yes \
    >"$T/$1.answers" 2>&1
}
ask_to_join() { timeout 30 env "PATH=$BIN:$PATH" ip netns exec "$TAG-borealis" "$BIN/aqmesh" --state "$T/borealis" \
  --socket "$T/borealis.sock" join "$1" --name borealis --endpoint "${IP[borealis]}:41641" </dev/null; }

# What is left of the log on the machine that died. Without a log there is nothing to lose.
take_dead_log() {
  if log_of "$1" >"$T/$1.dead.json" 2>"$T/$1.dead.err"; then
    aq "$1" lineage verify >/dev/null 2>"$T/why" || return 1
  else
    echo '{"records":[]}' >"$T/$1.dead.json"
  fi
}

finish_join() {  # finish_join LINE: the order given again, and what must be true then
  local out
  answer_joins atlas "$T/second.line"
  out=$(ask_to_join "$1" 2>&1) || { fail "joining again: $out"; return 1; }
  soon 30 "borealis meets atlas" met borealis atlas || return 1
  soon 15 "atlas agrees with its log" agrees atlas || return 1
  soon 15 "borealis agrees with its log" agrees borealis || return 1
  soon 5 "borealis pings atlas" pings borealis "$(address atlas)"
}

side_joiner() {
  local n=$1 said=""
  reset one
  aq atlas up >/dev/null 2>&1
  answer_joins atlas "$T/first.line"
  until_true 10 test -s "$T/first.line"
  traced borealis "$n" --armed -- "$BIN/aqmesh" --state "$T/borealis" --socket "$T/borealis.sock" \
    join "$T/first.line" --name borealis --endpoint "${IP[borealis]}:41641"
  until_true 20 struck_or met borealis atlas || { fail "neither killed nor joined"; return 1; }
  [ "$n" != 0 ] || { sleep 0.3; return 0; }
  until_true 1 struck || return 3
  until_true 2 grep -q '^exit' "$T/calls" || true
  grep -q '^exit 0' "$T/calls" && said=joined
  crash borealis
  take_dead_log borealis || return 1
  if [ "$said" = joined ]; then  # its user was told so: it is, with no word from anybody
    aq borealis up >/dev/null 2>&1
    soon 5 "borealis was told that it joined, and is joined" aq borealis whoami || return 1
  fi
  finish_join "$T/first.line" || return 1
  kept borealis >"$T/why"
}

side_sponsor() {
  local n=$1 kid line=$T/first.line
  reset one
  traced_daemon atlas "$n"
  count_from_now atlas
  answer_joins atlas "$line"
  until_true 10 struck_or test -s "$line"
  if [ -s "$line" ]; then ask_to_join "$line" >"$T/joining" 2>&1 & fi
  until_true 20 struck_or met borealis atlas || { fail "neither killed nor joined"; return 1; }
  [ "$n" != 0 ] || { sleep 0.3; return 0; }
  until_true 1 struck || return 3
  crash atlas
  take_dead_log atlas || return 1
  kid=$(aq borealis status --json 2>/dev/null | jq -r .kid || true)
  if aq borealis whoami >/dev/null 2>&1; then
    "$HERE/fold_log.py" has "$T/atlas.dead.json" approved "$kid" >"$T/why" || return 1
  fi
  crash borealis
  aq atlas up >"$T/why" 2>&1 || return 1
  # An invitation that was printed is good, whatever happened afterwards.
  [ -s "$line" ] || { answer_joins atlas "$line"; until_true 10 test -s "$line" || { fail "no invitation"; return 1; }; }
  finish_join "$line" || return 1
  kept atlas >"$T/why"
}

three_meet() { soon 20 "atlas, borealis and draco meet" all_met; }
all_met() { met atlas borealis && met atlas draco && met borealis draco && met draco borealis; }
cut_off() {  # cut_off HOST: draco reaches it no more, and both its log and its tables say so
  soon 15 "$1 agrees with its log" agrees "$1" "$DRACO" || return 1
  not pings draco "$(address "$1")" || fail "draco still pings $1"
}

side_revoker() {
  local n=$1 said=no told=no
  reset three
  aq borealis up >/dev/null 2>&1
  aq draco up >/dev/null 2>&1
  traced_daemon atlas "$n"
  three_meet || return 1
  count_from_now atlas
  timeout 10 env "PATH=$BIN:$PATH" ip netns exec "$TAG-atlas" "$BIN/aqmesh" --state "$T/atlas" --socket "$T/atlas.sock" \
    revoke draco >"$T/revoke.out" 2>&1 && said=yes
  until_true 10 struck_or is_in_log borealis revoke_seen "$DRACO" || { fail "neither killed nor spread"; return 1; }
  [ "$n" != 0 ] || { sleep 0.3; return 0; }
  until_true 1 struck || return 3
  crash atlas
  take_dead_log atlas || return 1
  sleep 0.3
  if is_in_log borealis revoke_seen "$DRACO" >/dev/null; then told=yes; fi
  if [ $said = yes ] || [ $told = yes ]; then
    "$HERE/fold_log.py" has "$T/atlas.dead.json" revoke_seen "$DRACO" >"$T/why" ||
      { fail "revoked (answered: $said, borealis told: $told), and not in the log of atlas"; return 1; }
  fi
  aq atlas up >"$T/why" 2>&1 || return 1
  if ! is_in_log atlas revoke_seen "$DRACO" >/dev/null; then
    soon 10 "revoking again" aq atlas revoke "$DRACO" || return 1
  fi
  soon 20 "borealis learns of it" is_in_log borealis revoke_seen "$DRACO" || return 1
  cut_off atlas && cut_off borealis || return 1
  kept atlas >"$T/why"
}

side_receiver() {
  local n=$1
  reset three
  aq atlas up >/dev/null 2>&1
  aq draco up >/dev/null 2>&1
  traced_daemon borealis "$n"
  three_meet || return 1
  count_from_now borealis
  aq atlas revoke draco >"$T/revoke.out" 2>&1 || { fail "$(cat "$T/revoke.out")"; return 1; }
  until_true 10 struck_or is_in_log borealis revoke_seen "$DRACO" || { fail "neither killed nor told"; return 1; }
  [ "$n" != 0 ] || { sleep 0.3; return 0; }
  until_true 1 struck || return 3
  crash borealis
  take_dead_log borealis || return 1
  if "$HERE/fold_log.py" has "$T/borealis.dead.json" revoke_seen "$DRACO" >/dev/null; then
    crash atlas  # nobody is left to say it again
    aq borealis up >"$T/why" 2>&1 || return 1
    local to; to=$(address borealis)
    on draco ping -c 15 -i 0.2 -W 1 "$to" >"$T/why" 2>&1 && { fail "draco pings borealis after its restart"; return 1; }
    soon 5 "borealis agrees with its log, alone" agrees borealis "$DRACO" || return 1
    aq atlas up >"$T/why" 2>&1 || return 1
  else
    aq borealis up >"$T/why" 2>&1 || return 1
  fi
  soon 20 "borealis learns of it" is_in_log borealis revoke_seen "$DRACO" || return 1
  soon 20 "atlas and borealis meet" met borealis atlas || return 1
  cut_off borealis && cut_off atlas || return 1
  kept borealis >"$T/why"
}

# One line of the result: ok | FAIL | through (the order was done before the N-th call), the case, and what struck.
run_case() {
  local side=$1 n=$2 status=0 at
  : >"$T/why"
  DRACO=$(cat "$BASE/draco.kid")
  set +e
  (set +e; "side_$side" "$n") >"$T/case.out" 2>&1
  status=$?
  set -e
  at=$(sed -n 's/^killed \([^ ]*\) [0-9]* /\1 before /p' "$T/calls" 2>/dev/null || true)
  case $status in
    0) echo "ok $side $n $at" ;;
    3) echo "through $side $n" ;;
    *) echo "FAIL $side $n ${at:-never struck}: $(tr '\n' ' ' <"$T/why")" ;;
  esac
  if [ "$n" = 0 ]; then grep -vc '^exit' "$T/calls" >"$BASE/$side.calls"; fi
}

worker() {  # worker BASE NUMBER: every WORKERS-th line of the list
  BASE=$1
  e2e_begin "crash$2" "$BUILD"
  machine atlas borealis draco
  local line i=0
  while read -r line; do
    i=$((i + 1))
    [ $(((i - 1) % WORKERS)) = "$2" ] || continue
    # shellcheck disable=SC2086
    run_case $line >>"$BASE/results.$2"
  done <"$BASE/cases"
}

# ---- the whole story

make_bases() {
  local h
  aq atlas init home --machine atlas --no-passphrase --endpoint "${IP[atlas]}:41641" >"$T/init.out" 2>&1
  mkdir -p "$BASE/one" "$BASE/three"
  cp -a "$T/atlas" "$BASE/one/atlas"
  aq atlas up >/dev/null 2>&1
  join borealis atlas
  join draco atlas
  until_true 20 met borealis draco
  until_true 20 met draco borealis
  aq draco status --json | jq -r .kid >"$BASE/draco.kid"
  sleep 1
  for h in atlas borealis draco; do
    aq "$h" down --stop >/dev/null 2>&1
    until_true 10 gone "$h"
    cp -a "$T/$h" "$BASE/three/$h"
  done
}
run_list() {
  local w pids=""
  rm -f "$BASE"/results.*
  for ((w = 0; w < WORKERS; w++)); do
    "$0" "$BUILD" --worker "$BASE" "$w" >"$BASE/worker.$w" 2>&1 &
    pids="$pids $!"
  done
  for w in $pids; do wait "$w" || { cat "$BASE"/worker.*; return 1; }; done
}
# A point out of each of POINTS equal parts of 1..K.
spread() {
  awk -v seed="$SEED" -v k="$2" -v points="$POINTS" -v side="$1" 'BEGIN {
    srand(seed + k)
    for (i = 0; i < points; ++i) print side, int(1 + k * (i + rand()) / points)
  }' | uniq
}

case ${2:-} in
  --worker) worker "$3" "$4"; exit 0 ;;
  --case)
    WORKERS=1
    e2e_begin crash "$BUILD"; machine atlas borealis draco
    BASE=$T/base; mkdir "$BASE"; make_bases
    run_case "$3" "$4"; cat "$T/case.out"; exit 0 ;;
  --long | "") ;;
  *) echo "crash_e2e: what is $2? It takes --long" >&2; exit 2 ;;
esac

e2e_begin crash "$BUILD"
[ -x "$TOOLS/kill_at" ] || { echo "crash_e2e: no kill_at in $TOOLS; build it first: ./dev build" >&2; exit 1; }
machine atlas borealis draco
BASE=$T/base
mkdir "$BASE"
echo "crash: seed $SEED (AQMESH_SEED repeats it)"
make_bases
for s in $SIDES; do echo "$s 0"; done >"$BASE/cases"
run_list
cat "$BASE"/results.* >"$BASE/dry"
for s in $SIDES; do
  claim "$s: undisturbed, it goes through in $(cat "$BASE/$s.calls" 2>/dev/null) calls" grep -q "^ok $s 0" "$BASE/dry"
done
if [ "$FAILED" != 0 ]; then cat "$BASE/dry"; verdict; fi
: >"$BASE/cases"
for s in $SIDES; do
  if [ "${2:-}" = --long ]; then seq "$(cat "$BASE/$s.calls")" | sed "s/^/$s /"; else spread "$s" "$(cat "$BASE/$s.calls")"; fi
done >"$BASE/cases"
run_list
sort -k2,2 -k3,3n "$BASE"/results.* >"$BASE/all"
while read -r how side n at; do
  case $how in
    ok) claim "$side killed at call $n: $at" true ;;
    through) printf '  --    %s was done before call %s\n' "$side" "$n" ;;
    *) claim "$side killed at call $n: $at" false ;;
  esac
done <"$BASE/all"
claim "all $(wc -l <"$BASE/cases") cases were run" test "$(wc -l <"$BASE/all")" = "$(wc -l <"$BASE/cases")"

title "A receiver that never met the revoker, alone with the revoked after a crash"
reset none
machine cygnus
aq atlas init home --machine atlas --no-passphrase --endpoint "${IP[atlas]}:41641" >"$T/init.out" 2>&1
aq atlas up >/dev/null 2>&1
on draco ip route add blackhole "${IP[borealis]}/32"
on borealis ip route add blackhole "${IP[draco]}/32"
claim "borealis joins by atlas" join borealis atlas
claim "cygnus joins by borealis" join cygnus borealis
claim "draco joins by atlas, and meets cygnus" join draco atlas
until_true 20 met draco cygnus || true
CYGNUS=$(aq cygnus status --json | jq -r .kid)
claim "cygnus pings draco" until_true 10 pings cygnus "$(address draco)"
claim "borealis revokes cygnus" aq borealis revoke cygnus
claim "draco hears of it from atlas" until_true 20 is_in_log draco revoke_seen "$CYGNUS"
D4=$(address draco)
for h in atlas borealis draco; do crash "$h"; done
aq draco up >/dev/null 2>&1
claim "cygnus, which keeps trying, gets nothing" not on cygnus ping -c 25 -i 0.2 -W 1 "$D4"
claim "and draco agrees with its log" until_true 5 agrees draco "$CYGNUS"
verdict
