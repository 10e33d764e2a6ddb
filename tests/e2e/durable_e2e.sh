#!/usr/bin/env bash
# On the disk before it is out, as the kernel sees it: strace follows aqmeshd and aqmesh-net through a start, a join, a
# revocation, and check_order.py holds the calls against the log's own records. That the check can fail is shown on
# traces in which the order was made wrong.
#   durable_e2e.sh BUILD_DIR [--long]      --long: five joins and revocations instead of one
set -euo pipefail
HERE=$(dirname "$(readlink -f "$0")")
. "$HERE/lib.sh"
case ${2:-} in --long) GUESTS="borealis cygnus draco eridanus fornax" ;; *) GUESTS=borealis ;; esac
e2e_begin durable "${1:?usage: durable_e2e.sh BUILD_DIR [--long]}"
# shellcheck disable=SC2086
machine atlas $GUESTS

aq atlas init home --machine atlas --no-passphrase --endpoint "${IP[atlas]}:41641" >"$T/init.out" 2>&1
later atlas strace -f -yy -xx -s 100000 -o "$T/trace" \
  -e trace=write,pwrite64,writev,fdatasync,fsync,sendmsg,sendmmsg,sendto \
  "$BIN/aqmeshd" --state "$T/atlas" --socket "$T/atlas.sock" >/dev/null 2>&1
until_true 20 aq atlas wait --timeout 1s

title "A traced sponsor"
for h in $GUESTS; do
  claim "$h joins" join "$h" atlas
  claim "$h is revoked" aq atlas revoke "$h"
done
aq atlas lineage query --json --limit 10000 >"$T/log.json"
kill_daemon atlas
until_true 10 sh -c "grep -q 'killed by SIGKILL' '$T/trace'"
claim "each record is synced before its response, its change of the kernel, its answer" \
  "$HERE/check_order.py" "$T/trace" "$T/log.json"
sed 's/^/        /' "$T/last"

# doctor FROM TO HOW: the same trace with its order made wrong.
doctor() {
  python3 - "$@" <<'PY'
import re, sys
lines = open(sys.argv[1], encoding="utf-8").read().splitlines()
hexed = lambda text: "".join(f"\\x{b:02x}" for b in text.encode())
wal, is_sync = hexed("/store/db/"), re.compile(r"^\d+ +fdatasync\(")
ends_log = hexed(".log")
synced = lambda l: bool(is_sync.match(l)) and wal in l and ends_log in l
first = lambda f: next(i for i, l in enumerate(lines) if f(l))
def move(i, to): lines.insert(to, lines.pop(i))
how = sys.argv[3]
if how == "response":      # the last sync before the first response happens after it
    at = first(lambda l: '"\\xa2\\x01' in l)
    move(max(i for i in range(at) if synced(lines[i])), at)
elif how == "netlink":     # the kernel is changed first of all
    move(first(lambda l: "RTM_NEWADDR" in l), 0)
elif how == "answer":      # the client hears of it first
    at = first(lambda l: hexed("aqmesh.revoke/1") in l)
    move(at, max(i for i in range(at) if synced(lines[i])))
elif how == "no-sync":     # nothing is ever synced
    lines = [l for l in lines if not synced(l)]
elif how == "failed":      # every sync failed
    lines = [l.replace("= 0", "= -1 EIO (Input/output error)") if synced(l) else l for l in lines]
elif how == "other-file":  # the syncs are of another file
    lines = [l.replace(ends_log, hexed(".sst")) if synced(l) else l for l in lines]
elif how == "no-undo":     # the undo is not in what is written
    lines = [l.replace(hexed("undo/"), hexed("nudo/")) for l in lines]
elif how == "silent":      # no response at all
    lines = [l for l in lines if '"\\xa2\\x01' not in l]
open(sys.argv[2], "w", encoding="utf-8").write("\n".join(lines) + "\n")
PY
}
finds() { doctor "$T/trace" "$T/doctored" "$1" && ! "$HERE/check_order.py" "$T/doctored" "$T/log.json" >"$T/said" && grep -q "$2" "$T/said"; }
title "The check itself: traces made wrong"
claim "a response before the sync is found" finds response "^response.*not synced before it"
claim "a changed kernel before ARMED is durable is found" finds netlink "^netlink"
claim "an answer before the sync is found" finds answer "^answer.*not synced before it"
claim "a log that is never synced is found" finds no-sync "not synced before it"
claim "syncs that failed are found" finds failed "not synced before it"
claim "syncs of another file are found" finds other-file "not synced before it"
claim "a missing undo is found" finds no-undo "the undo was never written"
claim "a trace without a response does not pass" finds silent "no response in the trace"
verdict
