#!/usr/bin/env bash
# SQL over a real machine's store: while its daemon writes, while it is killed, and afterwards. Every row is held
# against what `lineage query` and `lineage verify` say of the same log.
#   sql_e2e.sh BUILD_DIR
set -euo pipefail
HERE=$(dirname "$(readlink -f "$0")")
. "$HERE/lib.sh"
e2e_begin sql "${1:?usage: sql_e2e.sh BUILD_DIR}"
machine atlas borealis

sql() { local h=$1; shift; aq "$h" lineage sql --csv "$@" | tr -d '\r' | tail -n +2; }
is() { local want=$1; shift; [ "$("$@")" = "$want" ]; }
finds() { local pattern=$1; shift; "$@" | grep -q -- "$pattern"; }
# refuses EXIT PATTERN COMMAND...: that exit code, one line that matches.
refuses() {
  local want=$1 pattern=$2 got=0; shift 2
  "$@" >"$T/out" 2>"$T/err" || got=$?
  cat "$T/err"
  [ "$got" = "$want" ] && [ "$(wc -l <"$T/err")" = 1 ] && grep -q -- "$pattern" "$T/err"
}
# Everything that SQL says of each record, and everything that `query` says.
same_as_query() {
  aq "$1" lineage sql --json "SELECT seq, id, time, kind, outcome AS rung, reason, subject_name FROM records" |
    jq -cS 'with_entries(select(.value != null))' >"$T/by-sql"
  aq "$1" lineage query --json --limit 10000 |
    jq -cS '.records[] | {seq, id, time, kind, rung, reason, subject_name} | with_entries(select(.value != null))' >"$T/by-query"
  [ -s "$T/by-sql" ] && head -n "$(wc -l <"$T/by-sql")" "$T/by-query" | cmp - "$T/by-sql"
}
# The shell on a terminal of its own: what is typed, and what must come before the next is.
shell_works() {
  XDG_STATE_HOME=$T/xdg python3 - "$BIN/aqmesh" --state "$T/atlas" lineage sql <<'PY'
import os, pty, select, sys, time
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
seen = b""  # what came and was not waited for yet: one read may bring two things
def until(what):
    global seen
    end = time.monotonic() + 20
    while what not in seen:
        assert time.monotonic() < end, (what, seen)
        if select.select([fd], [], [], 0.2)[0]:
            seen += os.read(fd, 65536)
    seen = seen.partition(what)[2]
def typed(text, then):
    os.write(fd, text)
    until(then)
until(b"lineage> ")
typed(b"SELECT half\n", b"...> ")
typed(b"\x03", b"lineage> ")  # Ctrl-C takes back what is half typed
typed(b"WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t;\n", b"FROM t;")
time.sleep(0.5)
typed(b"\x03", b"interrupted")  # and ends a question, not the shell
until(b"lineage> ")
typed(b"SELECT 6 * 7 AS n;\n", b"42")
typed(b".quit\n", b".quit")
assert os.waitpid(pid, 0)[1] == 0
PY
  [ "$(stat -c %a "$T/xdg/aqmesh/sql_history")" = 600 ] && grep -q 'SELECT 6 . 7 AS n;' "$T/xdg/aqmesh/sql_history"
}
# Names and bytes of all files: asking must leave them as they were.
picture() { find "$1" -type f -print0 | sort -z | xargs -0 sha256sum; }

aq atlas init home --machine atlas --no-passphrase --endpoint "${IP[atlas]}:41641" >"$T/init.out" 2>&1
claim "atlas is up" aq atlas up
later atlas "$BIN/aqmesh" --state "$T/atlas" lineage follow --json >"$T/followed" 2>&1
claim "borealis joins" join borealis atlas
claim "and is pinged" until_true 10 pings atlas "$(address borealis)"

title "Beside the daemon"
claim "who was let in" finds borealis sql atlas "SELECT subject_name FROM decisions WHERE outcome = 'ADMIT'"
claim "what was installed stayed" is committed sql atlas \
  "SELECT DISTINCT state FROM actuations WHERE action = 'install_peer' AND subject_name = 'borealis'"
claim "by whose signature" finds atlas sql atlas \
  "SELECT signer_name FROM edges JOIN objects ON oid = to_id WHERE relation = 'cites' AND subject_name = 'borealis'"
claim "a subject is answered from its index" finds 'INDEX 2:subject+time>=' sql atlas \
  "EXPLAIN QUERY PLAN SELECT 1 FROM records WHERE subject = kid('borealis') AND time >= ago('1h')"
claim "each record as lineage query has it" same_as_query atlas
claim "no record is missing" is 0 sql atlas \
  "SELECT count(*) FROM (SELECT prev, lag(id) OVER (ORDER BY seq) AS before FROM records) WHERE before IS NOT prev"
claim "records as they come, by follow" until_true 5 grep -q '"kind":"proposed".*"subject_name":"borealis"' "$T/followed"
claim "what changes things is refused" refuses 1 'asked, never changed' aq atlas lineage sql "DELETE FROM records"
claim "a mistake is named with its place" refuses 1 'line 1, column 31' aq atlas lineage sql "SELECT seq FROM records WHERE subjct = 1"
claim "what never ends is given up" refuses 5 'no answer within 1 s' aq atlas lineage sql --timeout 1s \
  "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t"
claim "the shell, its history, and Ctrl-C in it" shell_works
claim "asking in a loop while the log grows" sh -c "
  for i in 1 2 3 4 5 6 7 8 9 10; do
    '$BIN/aqmesh' --state '$T/atlas' lineage sql 'SELECT count(*) = 1 + max(seq) FROM records' | grep -q 1 || exit 1
  done"

title "After the daemon was killed"
kill_daemon atlas
picture "$T/atlas/store" >"$T/before"
claim "each record as lineage query has it" same_as_query atlas
claim "the daemon can have the store again, and it holds together" aq atlas lineage verify
claim "exported, each with the hash of its bytes" sh -c "
  '$BIN/aqmesh' --state '$T/atlas' lineage export -o '$T/all.jsonl' &&
  python3 - '$T/all.jsonl' <<'PY'
import base64, hashlib, json, sys
rows = [json.loads(line) for line in open(sys.argv[1], encoding='utf-8')]
assert rows and [r['leaf_index'] for r in rows] == list(range(len(rows)))
for r in rows:
    assert hashlib.sha256(b'\\0' + base64.b64decode(r['body'])).hexdigest() == r['record_digest'] == r['id']
PY"
picture "$T/atlas/store" >"$T/after"
claim "and asking has left every byte as it was" cmp "$T/before" "$T/after"
claim "another machine's copy beside one's own" is "2" sql borealis --with atlas="$T/atlas/store" \
  "SELECT count(DISTINCT machine) FROM records"

verdict
