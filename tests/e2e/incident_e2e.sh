#!/usr/bin/env bash
# An incident: the keys of a machine that may enrol others are stolen, the thief signs grants with them, a machine comes
# in by one of them and looks around, and the authority is revoked. Then the logs alone are asked what happened:
# docs/forensics.md asks, and each of its answers is compared with what is printed here.
#   incident_e2e.sh BUILD_DIR [--long]
set -euo pipefail
HERE=$(dirname "$(readlink -f "$0")")
. "$HERE/lib.sh"
e2e_begin incident "${1:?usage: incident_e2e.sh BUILD_DIR [--long]}"
PAGE=$HERE/../../docs/forensics.md
machine atlas borealis cygnus mallory
thief() { PATH=$BIN:$PATH "$BIN/aqmesh" --state "$T/stolen" --socket "$T/stolen.sock" "$@"; }
knocks() { on mallory timeout 2 bash -c "exec 3<>/dev/tcp/$1/$2 && head -c 5 <&3"; }
copied() { mkdir -p -m 700 "$T/case/$1" && cp -a "$T/$1/store" "$T/case/$1/"; }

aq atlas init home --machine atlas --no-passphrase --endpoint "${IP[atlas]}:41641" >"$T/init.out" 2>&1
aq atlas up >"$T/up.out" 2>&1
title "A mesh; borealis may let others in"
for h in borealis cygnus; do claim "$h joins" join "$h" atlas; done
claim "cygnus and borealis reach each other" until_true 15 pings cygnus "$(address borealis)"
aq atlas authority export charter -o "$T/home.charter" >/dev/null

title "Its keys are copied, and sign for two machines that nobody knows"
cp -a "$T/borealis" "$T/stolen"
for name in printer scanner; do
  PATH=$BIN:$PATH "$BIN/aqmesh" --state "$T/$name" request --name "$name" --mesh "$T/home.charter" \
    --endpoint "${IP[mallory]}:41641" -o "$T/$name.request" >/dev/null 2>&1
  claim "a grant for $name, off line" thief sign "$T/$name.request" -o "$T/$name.grant"
done
mv "$T/printer" "$T/mallory"
claim "the thief takes in what it signed" aq mallory import "$T/printer.grant"
claim "and comes up" aq mallory up
later cygnus python3 -c 'import socket
s = socket.create_server(("0.0.0.0", 22))
while True: c = s.accept()[0]; c.sendall(b"SSH-2"); c.close()' >/dev/null 2>&1
until_true 20 pings mallory "$(address cygnus)"
claim "it reaches cygnus's port 22" knocks "$(address cygnus)" 22
for port in 5432 6379; do knocks "$(address cygnus)" $port >/dev/null 2>&1 || true; done
sleep 11  # FLOW records are written each ten seconds

title "The authority is revoked"
claim "atlas revokes borealis" aq atlas revoke borealis
claim "cygnus lets the printer in no longer" until_true 20 not pings mallory "$(address cygnus)"
sleep 1
for h in mallory atlas borealis cygnus; do aq "$h" down --stop >/dev/null 2>&1 || true; done
for h in atlas borealis cygnus; do until_true 10 gone "$h"; done

title "What the logs say, without a key of anybody's: docs/forensics.md"
for h in atlas borealis cygnus; do copied "$h"; done
cp "$T/home.charter" "$T/case/"
mkdir -p "$T/case/proposed"
aq atlas fragment create --rule 'any -> any icmp' --root -o "$T/case/proposed/ping.fragment" >/dev/null 2>&1 || true
cd "$T/case"
claim "each answer is the page's" env PATH="$BIN:$PATH" python3 "$HERE/doc_answers.py" "$PAGE" "## An incident, and three logs" ${REWRITE:+--rewrite}
[ "$FAILED" = 0 ] || tail -80 "$T/last"
verdict
