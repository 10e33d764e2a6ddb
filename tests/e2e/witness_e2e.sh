#!/usr/bin/env bash
# A machine's log is cosigned by a public witness: transparency-dev's, over HTTP and over HTTPS, before a live aqmeshd
# in its walls. The witness goes away, the machine goes on and says so; it comes back, and has the newest head again.
# Then a member's two heads of one size leave a machine as a file that convicts it elsewhere.
#   witness_e2e.sh BUILD_DIR [--long]
set -euo pipefail
HERE=$(dirname "$(readlink -f "$0")")
. "$HERE/lib.sh"
. "$HERE/tlog_go/build.sh"
BUILD=$(realpath "${1:?usage: witness_e2e.sh BUILD_DIR [--long]}")
TOOL=$BUILD/tests/tlog_tool
[ -x "$TOOL" ] || { echo "witness: no tlog_tool in $BUILD/tests; build it first: ./dev build" >&2; exit 1; }

e2e_begin witness "$BUILD"
build_tlog_go "$T/tlog_go" "$T"
kill_on_refusal

status() { aq atlas status --json >"$T/status.json" && jq -e "$1" "$T/status.json"; }
verify() { aq atlas lineage verify --json >"$T/verify.json" && jq -e "$1" "$T/verify.json"; }
of() { echo "(.witnesses[] | select(.name == \"$1\"))"; }
has_newest() { status "$(of "$1").size == .head and .head > ${2:-0}"; }
witness() {  # witness NAME ADDRESS SEED [CERT KEY]: theirs, in a namespace of its own
  local name=$1 address=$2 seed=$3; shift 3
  TLOG_TOOL=$TOOL later rome "$T/tlog_go" serve "$address" "$seed" "example.com/$name" "$ORIGIN" "$VKEY" "$@" \
    >"$T/$name.out" 2>&1
}
vkey_of() { "$TOOL" vkey "example.com/$1" 4 "$2"; }
signal_to() {  # signal_to NAME SIGNAL
  local p
  for p in $(pids_of rome tlog_go); do
    ! tr '\0' ' ' <"/proc/$p/cmdline" | grep -q "example.com/$1 " || kill "-$2" "$p"
  done
}

title "A machine, and two witnesses that are no members"
machine atlas rome
# Rome's name is looked up: /etc/resolv.conf and /etc/hosts of its own.
trap 'rm -rf "/etc/netns/${TAG:?}-atlas"; rmdir /etc/netns 2>/dev/null; e2e_end' EXIT
mkdir -p "/etc/netns/$TAG-atlas"
printf '127.0.0.1 localhost\n%s rome.test\n' "${IP[rome]}" >"/etc/netns/$TAG-atlas/hosts"
: >"/etc/netns/$TAG-atlas/resolv.conf"
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=rome.test -addext subjectAltName=DNS:rome.test \
  -keyout "$T/rome.key" -out "$T/rome.crt" >/dev/null 2>&1
chmod 644 "$T/rome.crt"
export SSL_CERT_FILE=$T/rome.crt
aq atlas init home --machine atlas --no-passphrase --endpoint "${IP[atlas]}:41641" >"$T/init.out" 2>&1
VKEY=$(aq atlas lineage verify --json | jq -r .vkey)
ORIGIN=${VKEY%%+*}
witness rome "${IP[rome]}:8080" 33
witness secure "${IP[rome]}:8443" 34 "$T/rome.crt" "$T/rome.key"
cat >"$T/atlas/witnesses.policy" <<POLICY
witness rome $(vkey_of rome 33) http://rome.test:8080/prefix/
witness secure $(vkey_of secure 34) https://rome.test:8443/prefix
witness stranger $(vkey_of stranger 35) http://rome.test:8080/prefix
witness nobody $(vkey_of nobody 36) http://rome.test:9/
group both all rome secure
quorum both
POLICY
aq atlas up >/dev/null 2>&1
claim "a third process speaks HTTP" eval '[ -n "$(pids_of atlas aqmesh-courier)" ]'
claim "the engine and the monitor are confined" is_confined atlas
courier_confined() {
  local p; p=$(pids_of atlas aqmesh-courier)
  grep -q '^Seccomp:[[:space:]]*2$' "/proc/$p/status" && grep -q '^NoNewPrivs:[[:space:]]*1$' "/proc/$p/status" &&
    ! grep -E '^Cap(Prm|Eff|Amb):' "/proc/$p/status" | grep -qv '[[:space:]]0*$'
}
claim "so is the courier" courier_confined
claim "the witness cosigns a head over HTTP" until_true 40 has_newest rome
claim "and another over HTTPS, under the name that its certificate says" until_true 40 has_newest secure
claim "an answer under another key is none" until_true 5 status "$(of stranger).why | startswith(\"200 without its cosignature\")"
claim "where nobody listens, the status says so" status "$(of nobody).why | test(\"connect\"; \"i\")"
claim "in one line of the warnings" status '[.warnings[] | select(startswith("witness nobody does not cosign: "))] | length == 1'
claim "lineage verify counts what they signed" verify ".ok and $(of rome).heads >= 1 and $(of nobody).heads == 0"
claim "and the newest head has the quorum of the file" verify '.quorum == true'
aq atlas status >"$T/status.txt" || true
claim "people read who stands under the log" grep -q "^lineage cosigned by .*rome up to" "$T/status.txt"
aq atlas authority export charter -o "$T/home.charter"
claim "a record leaves under a head with their lines" aq atlas lineage prove 0 -o "$T/record.evidence"
claim "their own library opens that head" eval '
  sed "1,/^c2sp.org/d" "$T/record.evidence" | sed "1,/^\$/d" >"$T/head.note"
  "$TOOL" open "$VKEY" "$(vkey_of rome 33)" "$(vkey_of secure 34)" <"$T/head.note" | grep -q example.com/rome'

title "The witness goes away and comes back"
signal_to rome USR1
BEFORE=$(jq .head "$T/status.json")
# Something to record, so that another head is due: a start.
aq atlas down --stop >/dev/null
claim "the machine stops, and its courier with it" until_true 10 eval 'gone atlas && [ -z "$(pids_of atlas aqmesh-courier)" ]'
aq atlas up >/dev/null 2>&1
claim "it starts without its witness, and signs on" until_true 40 has_newest secure "$BEFORE"
claim "it says that rome does not cosign" until_true 5 status "$(of rome).why | test(\"connect\"; \"i\")"
claim "it knows no newer head of rome's" not has_newest rome
signal_to rome USR2
claim "rome is back: the newest head has its line again" until_true 45 has_newest rome "$BEFORE"
claim "and its trouble is over" status "$(of rome) | has(\"why\") | not"
claim "which it cosigned from the head that it knew" verify "$(of rome).heads >= 2"

title "The courier ends"
kill -9 "$(pids_of atlas aqmesh-courier)"
claim "the daemon goes on" eval 'sleep 0.5; status .up'
claim "and says what is missing" status '.warnings | any(test("aqmesh-courier has ended"))'

title "Two heads of one log"
# The log's key is stolen, and signs another history.
unhex() { python3 -c 'import sys; sys.stdout.buffer.write(bytes.fromhex(sys.argv[1]))' "$1"; }
forge() {  # forge SIZE FILE
  local seed id
  seed=$(sed -n 's/^secret //p' "$T/atlas/keys/log.key")
  id=$(cut -d+ -f2 <<<"$VKEY")
  unhex "302e020100300506032b657004220420$seed" >"$T/stolen.der"
  printf '%s\n%s\n%s\n' "$ORIGIN" "$1" "$(head -c 32 /dev/zero | base64)" >"$2.text"
  openssl pkeyutl -sign -inkey "$T/stolen.der" -keyform DER -rawin -in "$2.text" -out "$2.sig"
  { cat "$2.text"; printf '\n\xe2\x80\x94 %s %s\n' "$ORIGIN" "$({ unhex "$id"; cat "$2.sig"; } | base64 -w0)"; } >"$2"
}
check() { (cd "$T" && "$BIN/aqmesh" --state "$T/nobody" lineage check "$@"); }
claim "nothing is held yet" eval 'aq atlas lineage forks --json | jq -e ".forks == []"'
claim "no fork of that id: one line" eval '! aq atlas lineage prove --fork 00 2>"$T/refused" && [ "$(wc -l <"$T/refused")" = 1 ]'
claim "a head that agrees convicts nobody" eval '! aq atlas lineage prove --head "$T/head.note" 2>"$T/refused" && grep -q "does not contradict" "$T/refused"'
SIZE=$(sed -n 2p "$T/head.note")
forge "$SIZE" "$T/same_size"
forge 1 "$T/shorter"
for f in same_size shorter; do
  claim "another head ($f) makes a proof" aq atlas lineage prove --head "$T/$f" -o "$T/$f.fork"
  claim "which convicts the log's owner, with nothing but the charter" eval \
    'check '"$f"'.fork --charter home.charter --json | jq -e ".ok and .name == \"atlas\""'
  sed '3s/.\{20\}$/AAAAAAAAAAAAAAAAAAAA/' "$T/$f.fork" >"$T/altered.fork"
  claim "altered, it convicts nobody" not check altered.fork --charter home.charter
done
claim "without papers it convicts nobody" eval 'grep -v ^signed "$T/shorter.fork" >"$T/bare.fork"; ! check bare.fork --charter home.charter'
claim "half a proof is refused" eval '
  printf "aqmesh/1/fork\nkind heads\nfirst AAAA\n" >"$T/half.fork"
  ! (cd "$T" && "$BIN/aqmesh" --state "$T/nobody" lineage check half.fork --charter home.charter) 2>"$T/refused" &&
  grep -q "line 4" "$T/refused"'
verdict
