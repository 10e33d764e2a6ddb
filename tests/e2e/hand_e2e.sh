#!/usr/bin/env bash
# A new user's first days, by hand on the command line: two commands and a ping, input that is wrong, a restart and a
# crash in the middle, a machine that joins by files alone, questions, and a grant that ran out.
#   hand_e2e.sh BUILD_DIR [--long]      --long adds the day on which all grants have run out
set -euo pipefail
HERE=$(dirname "$(readlink -f "$0")")
. "$HERE/lib.sh"
LONG=${2:-}
e2e_begin hand "${1:?usage: hand_e2e.sh BUILD_DIR [--long]}"
[ -e "$TOOLS/libwall_shift.so" ] || { echo "hand_e2e: no libwall_shift.so in $TOOLS; build it first: ./dev build" >&2; exit 1; }
kill_on_refusal
machine atlas borealis cygnus draco

# One line on standard error that names the thing, the place and the mend; nothing on standard output; this status.
refused() {  # refused STATUS PATTERN command...
  local want=$1 pattern=$2 got=0; shift 2
  "$@" >"$T/out" 2>"$T/err" </dev/null || got=$?
  cat "$T/out" "$T/err"
  [ "$got" = "$want" ] || { echo "exit $got, not $want"; return 1; }
  [ ! -s "$T/out" ] || { echo "it spoke on standard output"; return 1; }
  [ "$(wc -l <"$T/err")" = 1 ] || { echo "not one line"; return 1; }
  grep -q -- "$pattern" "$T/err" || { echo "not what and where: $pattern"; return 1; }
}
# Says the line when it is wrong, so that a person can judge the words.
bad_input() { claim "$1" refused "${@:2}"; sed -n '1s/^/        /p' "$T/err"; }
met() { aq "$1" wait --peer "$2" --timeout 1s; }
same_words() {
  local a b
  a=$(sed -n 's/.*Its words: \([a-z ]*\)\..*/\1/p' "$T/init.out" | head -1)
  b=$(sed -n 's/.*Words: \([a-z ]*\)\. The other.*/\1/p' "$T/join.out" | head -1)
  [ -n "$a" ] && [ "$a" = "$b" ]
}
grant_left() { aq "$1" whoami --json | jq ".grant_end - $(shifted date +%s)"; }
has_left() { [ "$(grant_left "$1")" -gt $((86400 * $2)) ]; }
is_lapsed() { [ "$(grant_left "$1")" -lt 0 ]; }

title "Two commands, one question, a ping"
aq atlas init home --invite --yes --no-passphrase --machine atlas --endpoint "${IP[atlas]}:41641" >"$T/init.out" 2>&1 &
claim "init prints what to type on the next machine" until_true 15 grep -q 'aq1-' "$T/init.out"
LINE=$(grep -o 'aq1-[^ ]*' "$T/init.out" | head -1)
started=$(date +%s%N)
aq borealis join "$LINE" --name borealis --endpoint "${IP[borealis]}:41641" >"$T/join.out" 2>&1 </dev/null || true
claim "join says who one is now" grep -q 'Joined mesh "home". You are borealis' "$T/join.out"
claim "both screens show the same three words" same_words
claim "the first screen says who joined" until_true 5 grep -q 'borealis joined' "$T/init.out"
claim "ping by name" until_true 10 aq borealis ping atlas -c 1
printf '        %s ms from typing join to the first answer\n' $((($(date +%s%N) - started) / 1000000))

title "Wrong input: one line each, with what, where and the mend"
bad_input "a line that lost a letter" 1 'no invitation' aq cygnus join "$(printf %s "$LINE" | cut -c1-40,42-)"
bad_input "a word that is no command" 2 'did you mean .status.' aq atlas statsu
bad_input "a peer that nobody knows" 1 'no peer nobody here; .aqmesh peers' aq atlas ping nobody
bad_input "an endpoint without a port" 2 '192.0.2.1:41641' aq cygnus init den --machine cygnus --no-passphrase --endpoint 192.0.2.1
bad_input "a question to a daemon that is not there" 1 'aqmesh up' aq draco status
bad_input "a second mesh in the same place" 1 'already belongs to a mesh' aq atlas init den --machine atlas --no-passphrase
head -c 200 /dev/urandom >"$T/noise"
bad_input "a file of noise" 1 'noise' aq borealis import "$T/noise"

title "A restart, and a crash, in the middle"
later atlas python3 -m http.server 80 --bind "$(address atlas)" --directory "$T" >/dev/null 2>&1
A4=$(address atlas)
claim "pages come through" until_true 10 fetches borealis "$A4" 80
claim "borealis is told to stop" aq borealis down --stop
claim "its interface is gone" until_true 5 silent borealis
claim "and again up" aq borealis up
claim "pages come through again" until_true 15 fetches borealis "$A4" 80
kill_daemon borealis
claim "killed: its interface is gone" silent borealis
claim "and up again" aq borealis up
claim "pages come through again" until_true 15 fetches borealis "$A4" 80
kill_daemon atlas
claim "the other end killed, and up again" aq atlas up
later atlas python3 -m http.server 80 --bind "$A4" --directory "$T" >/dev/null 2>&1
claim "pages come through again" until_true 20 fetches borealis "$A4" 80
aq atlas invite -o "$T/cygnus.line" --wait --yes >"$T/cygnus.sponsor" 2>&1 &
until_true 10 test -s "$T/cygnus.line"
aq cygnus join "$T/cygnus.line" --name cygnus --endpoint "${IP[cygnus]}:41641" --no-wait >"$T/cygnus.join" 2>&1
kill_daemon cygnus
claim "killed while it joins: the same line, typed again" aq cygnus join "$T/cygnus.line" --name cygnus --endpoint "${IP[cygnus]}:41641"
claim "and it is in" until_true 15 met cygnus atlas

title "By files alone: request, sign, import"
aq borealis authority export charter -o "$T/home.charter" >/dev/null 2>&1
claim "draco asks" aq draco request --name draco --mesh "$T/home.charter" -o "$T/draco.request" --endpoint "${IP[draco]}:41641"
claim "borealis signs, with its daemon at work" aq borealis sign "$T/draco.request" -o "$T/draco.grant"
claim "the file holds what it says" aq borealis verify "$T/draco.grant" --charter "$T/home.charter"
claim "draco takes it in" aq draco import "$T/draco.grant"
claim "and is up" aq draco up
claim "draco and borealis meet" until_true 20 met draco borealis
claim "draco and atlas, who never heard of it, meet" until_true 20 met draco atlas
claim "ping" until_true 10 aq draco ping atlas -c 1

title "Questions"
claim "wait: for oneself" aq atlas wait --timeout 5s
claim "wait: for whom nobody knows, in time" refused 5 'time is over: nobody' aq atlas wait --peer nobody --timeout 1s
claim "can: yes" says '^yes' aq atlas can borealis "$A4:80"
claim "explain: rule, signed by whom" says 'signed by' aq atlas explain borealis "$A4:80"
claim "explain: a peer, gate by gate" says 'freshness ok' aq atlas explain borealis
claim "whois by address" says 'name  *borealis' aq atlas whois "$(address borealis)"
claim "lineage query: who was let in" says 'borealis.*join granted' aq atlas lineage query --subject borealis --kind approved
RECORD=$(aq atlas lineage query --subject borealis --kind approved --json | jq -r '.records[0].id')
claim "lineage show: that record" says "$RECORD" aq atlas lineage show "${RECORD:0:12}"
claim "lineage verify" says 'each follows from the one before' aq atlas lineage verify

title "What carries the packets"
tells_data_path() { aq "$1" status --json | jq -e '(.aead | length > 0) and (.offloads | length == 6) and .counters.tun_joined_refused >= 0 and .counters.udp_truncated >= 0'; }
# Each word of AQMESH_OFFLOADS, which ./dev test --nightly sets.
offloads_obey() {  # offloads_obey HOST WORD...
  local host=$1 word; shift
  aq "$host" status --json >"$T/status" || return 1
  jq -c .offloads "$T/status"
  for word in "$@"; do
    case $word in
      all) jq -e 'all(.offloads[]; . != "off")' ;;
      none) jq -e 'all(.offloads[]; . == "off")' ;;
      no-*) jq -e --arg n "${word#no-}" '.offloads[$n] == "off"' ;;
      *) jq -e --arg n "$word" '.offloads[$n] != "off"' ;;
    esac <"$T/status" >/dev/null || return 1
  done
}
WORDS=${AQMESH_OFFLOADS:-all}
claim "status --json: the cipher, each offload, what could not be carried" tells_data_path atlas
claim "status: the same in a line" says '^sealed by .*offload' aq atlas status
# shellcheck disable=SC2086
claim "the offloads are those that may be used ($WORDS)" offloads_obey atlas ${WORDS//,/ }
aq borealis down --stop >/dev/null 2>&1
sed -i 's/^offloads = .*/offloads = ["udp-gsoo"]/' "$T/borealis/aqmesh.toml"
bad_input "an offload that is none" 1 'aqmesh.toml:[0-9]*:13: offloads: .udp-gsoo. is no offload; there are: tun-csum' aq borealis up
sed -i 's/^offloads = .*/offloads = "no-udp-gso"/' "$T/borealis/aqmesh.toml"
claim "borealis without one of them" env -u AQMESH_OFFLOADS ip netns exec "$TAG-borealis" "$BIN/aqmesh" --state "$T/borealis" --socket "$T/borealis.sock" up
claim "status says so" offloads_obey borealis no-udp-gso udp-gro
claim "and pages come through" until_true 15 fetches borealis "$A4" 80

title "Walls: what a daemon that is taken over is left with"
claim "aqmeshd and aqmesh-net: seccomp in each thread, no new privileges, no core file" is_confined atlas
confined_by() { aq "$1" status --json | jq -e --arg wall "$2" '.confined | contains($wall)'; }
claim "status names the walls" confined_by atlas seccomp
selfcheck() { says "$1" on draco "$BIN/aqmeshd" --selfcheck --state "$T/draco" --socket "$T/draco.sock"; }
aq draco down --stop >/dev/null 2>&1
until_true 10 gone draco
claim "selfcheck: walls, and a whole log read inside them" selfcheck '^log  *ok'
claim "selfcheck names the walls" selfcheck '^system calls  *seccomp'
aq draco up >/dev/null 2>&1

# The day is the same for all; who is named is on.
day() {  # day DAYS HOST...
  local h
  for h in atlas borealis cygnus draco; do
    if gone "$h"; then continue; fi
    aq "$h" down --stop >/dev/null 2>&1
    until_true 10 gone "$h"
  done
  CLOCK=$1; shift
  for h in "$@"; do aq "$h" up >/dev/null 2>&1; done
}
title "Days 16 and 31: renewed at half-life, or, after a month away, by any enroller in reach"
day 16 atlas borealis
claim "atlas's grant is renewed before its time" until_true 60 has_left atlas 25
claim "and borealis's" until_true 60 has_left borealis 25
day 31 draco
claim "draco, away all the month, finds that its grant has run out" is_lapsed draco
aq borealis up >/dev/null 2>&1
claim "borealis renews it, with atlas off" until_true 60 has_left draco 25
claim "they ping" until_true 15 aq draco ping borealis -c 1
if [ "$LONG" = --long ]; then
  title "Day 93: all were off, and every NODE grant has run out"
  day 93 draco cygnus borealis
  claim "nobody's grant is in date" all is_lapsed borealis cygnus draco
  for h in draco cygnus borealis; do claim "with atlas off, $h gets a new one" until_true 90 has_left "$h" 25; done
  claim "draco and cygnus ping" until_true 15 aq draco ping cygnus -c 1
  aq atlas up >/dev/null 2>&1
  claim "atlas comes back and gets one too" until_true 90 has_left atlas 25
  claim "and pings draco" until_true 15 aq atlas ping draco -c 1
fi
verdict
