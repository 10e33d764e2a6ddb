#!/usr/bin/env bash
# Records shipped to a real PostgreSQL and a real ClickHouse, started here as an ordinary user: each row once, wherever
# the shipper or the server is killed, and each provable against the log afterwards.
#   ship_e2e.sh BUILD_DIR [--long]      --long: a kill at every call that reaches the server, of longer logs
set -euo pipefail
HERE=$(dirname "$(readlink -f "$0")")
. "$HERE/lib.sh"
BUILD=${1:?usage: ship_e2e.sh BUILD_DIR [--long]}
RECORDS=13000 EVERY=6
case ${2:-} in --long) RECORDS=100000 EVERY=1 ;; esac
PG_BIN=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -1 || true)
[ -x "$PG_BIN/postgres" ] || { echo "skipped: no PostgreSQL server here"; exit 77; }
CH=$(command -v clickhouse-server || echo /usr/sbin/clickhouse-server)
[ -x "$CH" ] || { echo "skipped: no ClickHouse server here"; exit 77; }

e2e_begin ship "$BUILD"
chmod 711 "$T"  # the servers' own directories lie in it
machine atlas
export PGPASSWORD=pg-secret CLICKHOUSE_USER=aq CLICKHOUSE_PASSWORD=ch-secret
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy
PG=postgres://aq@127.0.0.1:5432/postgres
CHURL=http://127.0.0.1:8123

# ---- the servers, in atlas's network alone
as_nobody() { (cd / && on atlas setpriv --reuid=65534 --regid=65534 --clear-groups "$@"); }
pg_start() { as_nobody "$PG_BIN/pg_ctl" -D "$T/pg" -w -s -l "$T/pg.log" -o "-p 5432 -k '' -c listen_addresses=127.0.0.1" start; }
pg_crash() { as_nobody "$PG_BIN/pg_ctl" -D "$T/pg" -w -s -m immediate stop; }
pg_make() {
  install -d -o 65534 -g 65534 -m 700 "$T/pg"
  install -o 65534 -m 600 /dev/null "$T/pg.log"
  install -o 65534 -m 600 <(echo "$PGPASSWORD") "$T/pg.password"
  as_nobody "$PG_BIN/initdb" -D "$T/pg" -U aq -A scram-sha-256 --pwfile="$T/pg.password" --no-sync --no-locale -E UTF8 >"$T/initdb" 2>&1
  pg_start
}
sql() { on atlas "$PG_BIN/psql" -X -q -At -d "$PG" -c "$1"; }
ch_answers() { on atlas curl -s -f -m 2 "$CHURL/ping"; }
ch_start() {
  as_nobody "$CH" --config-file="$T/ch/config.xml" >"$T/ch/out" 2>&1 &
  disown $!
  until_true 20 ch_answers
}
ch_crash() {
  local p
  for p in $(pids_of atlas clickhouse-serv); do kill -9 "$p"; done
  until_true 5 eval '[ -z "$(pids_of atlas clickhouse-serv)" ]'
}
ch_make() {
  install -d -o 65534 -g 65534 -m 700 "$T/ch" "$T/ch/data" "$T/ch/data/tmp"
  cat >"$T/ch/config.xml" <<XML
<yandex>
  <logger><level>warning</level><log>$T/ch/log</log><errorlog>$T/ch/err</errorlog></logger>
  <http_port>8123</http_port><tcp_port>9000</tcp_port><listen_host>127.0.0.1</listen_host>
  <path>$T/ch/data/</path><tmp_path>$T/ch/data/tmp/</tmp_path><users_config>users.xml</users_config>
  <default_profile>default</default_profile><default_database>default</default_database>
  <mark_cache_size>67108864</mark_cache_size>
</yandex>
XML
  cat >"$T/ch/users.xml" <<XML
<yandex><profiles><default/></profiles><quotas><default/></quotas>
<users><aq><password>$CLICKHOUSE_PASSWORD</password><networks><ip>127.0.0.1</ip></networks>
<profile>default</profile><quota>default</quota></aq></users></yandex>
XML
  chown 65534 "$T"/ch/*.xml
  ch_start
}
ask() { on atlas curl -s -f -m 30 -u "aq:$CLICKHOUSE_PASSWORD" "$CHURL/" --data-binary "$1"; }

# ---- shipping
store() { on atlas "$BIN/aqmesh" --state "$T/$1" lineage "${@:2}"; }
ship() { store bulk ship --to "$1" --table "$2" "${@:3}"; }
signal_shipper() { local p; for p in $(pids_of atlas aqmesh); do kill "-$1" "$p" 2>/dev/null || true; done; }
rows_in() { case $1 in post*) sql "SELECT count(*) FROM $2" ;; *) ask "SELECT count() FROM $2" ;; esac; }
once() {  # once TO TABLE COUNT: so many rows, none twice
  local got
  case $1 in
    post*) got=$(sql "SELECT count(*), count(DISTINCT (log, seq)), max(seq) + 1 FROM $2") ;;
    *) got=$(ask "SELECT count(), uniqExact(log, seq), max(seq) + 1 FROM $2 FORMAT TabSeparated" | tr '\t' '|') ;;
  esac
  echo "has $got, wants $3"
  [ "$got" = "$3|$3|$3" ]
}
# Killed as soon as rows have come, three times.
killed_midway() {  # TO TABLE
  local p n=0 before midway=0 end
  for _ in 1 2 3; do
    before=$n
    store bulk ship --to "$1" --table "$2" >/dev/null 2>&1 &
    p=$!
    end=$((SECONDS + 20))
    until n=$(rows_in "$1" "$2" 2>/dev/null) && [ "$n" -gt "$before" ]; do [ $SECONDS -lt $end ] || return 1; done
    signal_shipper KILL
    wait "$p" 2>/dev/null || true
    n=$(rows_in "$1" "$2")
    [ "$n" != "$COVERED" ] || break
    midway=$((midway + 1))
  done
  echo "$midway kills with rows there and rows missing"
  [ $midway -ge 1 ]
}
two_at_once() {  # TO TABLE
  local a b
  ship "$1" "$2" >"$T/a" 2>&1 & a=$!
  ship "$1" "$2" >"$T/b" 2>&1 & b=$!
  wait $a || { cat "$T/a"; return 1; }
  wait $b || { cat "$T/b"; return 1; }
}
# A shipper with --follow whose server dies under it and comes back.
server_dies() {  # TO TABLE CRASH START
  local p status=0
  store bulk ship --to "$1" --table "$2" --follow >"$T/follow" 2>&1 & p=$!
  until_true 10 eval "[ \"\$(rows_in $1 $2)\" -gt 0 ]"
  "$3"
  until_true 10 grep -q 'trying again' "$T/follow"
  "$4"
  until_true 30 grep -q 'going on' "$T/follow"
  until_true 20 once "$1" "$2" "$COVERED"
  signal_shipper TERM
  wait "$p" || status=$?
  cat "$T/follow"
  [ $status = 0 ] && tail -1 "$T/follow" | grep -q 'records shipped to'
}
# Killed before the N-th call that leaves the process, for each such call (of a small log).
killed_at_each_call() {  # TO TABLE
  local n=1 table
  while :; do
    table=$2_$n
    rm -f "$T/calls"
    on atlas "$TOOLS/kill_at" --at "$n" --armed --log "$T/calls" -- \
      "$BIN/aqmesh" --state "$T/small" lineage ship --to "$1" --table "$table" >/dev/null 2>&1 || true
    store small ship --to "$1" --table "$table" >"$T/after" 2>&1 || { cat "$T/after"; return 1; }
    once "$1" "$table" "$SMALL" || { echo "killed at call $n"; cat "$T/calls"; return 1; }
    grep -q '^killed' "$T/calls" || break
    n=$((n + EVERY))
  done
  echo "$n calls, every $EVERY"
  [ "$n" -gt 8 ]
}
refuses() {  # refuses EXIT WORDS COMMAND...: that exit code, one line with these words
  local want=$1 words=$2 got=0; shift 2
  "$@" >"$T/out" 2>"$T/err" || got=$?
  cat "$T/err"
  [ "$got" = "$want" ] && [ "$(wc -l <"$T/err")" = 1 ] && grep -q -- "$words" "$T/err"
}
row_of() {  # row_of TO SEQ: as the engine gives it
  case $1 in
    post*) sql "SELECT to_jsonb(r) FROM shipped r WHERE seq = $2" ;;
    *) ask "SELECT * FROM shipped WHERE seq = $2 FORMAT JSONEachRow" ;;
  esac
}
check() { store bulk check --row "$@"; }
altered() {  # altered COLUMN JQ: a row changed so is refused, and the column named
  jq -c "$2" "$T/row" >"$T/forged"
  refuses 1 "\`$1\` is" check "$T/forged"
}
dumped() {  # dumped TO FILE: all rows of `shipped`, in order
  case $1 in
    post*) sql "COPY (SELECT * FROM shipped ORDER BY seq) TO STDOUT (FORMAT csv, HEADER)" >"$2.csv" ;;
    *) ask "SELECT * FROM shipped ORDER BY seq FORMAT JSONEachRow" >"$2.jsonl" ;;
  esac
}

title "A machine, its log of $RECORDS records, two servers"
aq atlas init home --machine atlas --no-passphrase --endpoint "${IP[atlas]}:41641" >"$T/init.out" 2>&1
aq atlas up >/dev/null 2>&1
headed() { aq atlas lineage verify --json | jq -e '.covered > 0'; }
claim "atlas has signed a head" until_true 20 headed
aq atlas down --stop >/dev/null
claim "its daemon is gone" until_true 10 gone atlas
cp -a "$T/atlas" "$T/bulk"; cp -a "$T/atlas" "$T/small"
claim "its log grows, with heads" "$TOOLS/grow_log" "$T/bulk" "$RECORDS" 1000
COVERED=$(($(cat "$T/last") - 1))
claim "and a short one" "$TOOLS/grow_log" "$T/small" 40 20
SMALL=$(($(cat "$T/last") - 1))
claim "the log is whole" store bulk verify
"$BIN/aqmesh" --state "$T/other" init other --machine other --no-passphrase >/dev/null 2>&1
claim "another machine has a log too" "$TOOLS/grow_log" "$T/other" 5 5
claim "PostgreSQL answers" pg_make
claim "ClickHouse answers" ch_make

for TO in "$PG" "$CHURL"; do
  case $TO in post*) NAME=PostgreSQL CRASH=pg_crash START=pg_start ;; *) NAME=ClickHouse CRASH=ch_crash START=ch_start ;; esac
  title "$NAME"
  claim "killed in the middle" killed_midway "$TO" shipped
  claim "run again, it goes on to the end" ship "$TO" shipped
  claim "each covered record is there, once" once "$TO" shipped "$COVERED"
  claim "and once more changes nothing" ship "$TO" shipped --from 0
  claim "each is there once still" once "$TO" shipped "$COVERED"
  dumped "$TO" "$T/dump-${NAME}"
  claim "two at once" two_at_once "$TO" twice
  claim "ship each record once" once "$TO" twice "$COVERED"
  claim "the server dies under --follow, and SIGTERM ends it" server_dies "$TO" died "$CRASH" "$START"
  claim "a kill at each call that leaves the process" killed_at_each_call "$TO" "at"

  row_of "$TO" 1234 >"$T/row"
  claim "a row is proven by the machine's store" check "$T/row"
  claim "from stdin too" sh -c "'$BIN/aqmesh' --state '$T/bulk' lineage check --row - <'$T/row' | grep -q '^Holds'"
  claim "an altered outcome is named" altered outcome '.outcome = "ADMIT"'
  claim "an altered time" altered ms '.ms = 1'
  claim "an altered body" altered body '.body = (.body | .[0:40] + "AAAA" + .[44:])'
  claim "an altered digest" altered record_digest '.record_digest = ("ab" * 32)'
  claim "an altered checkpoint" altered checkpoint '.checkpoint = ("cd" * 32)'
  claim "an altered number" altered seq '.seq = 1235'
done
claim "what PostgreSQL has is what ClickHouse has" "$HERE/same_rows.py" "$T/dump-PostgreSQL.csv" "$T/dump-ClickHouse.jsonl"

title "Files"
store bulk export --format csv -o "$T/all.csv" 2>/dev/null
store bulk export --format parquet -o "$T/all.parquet" 2>/dev/null
head -n $((COVERED + 1)) "$T/all.csv" >"$T/covered.csv"
claim "CSV has the same rows" "$HERE/same_rows.py" "$T/covered.csv" "$T/dump-PostgreSQL.csv"
claim "Parquet has the same rows, and types" "$HERE/same_rows.py" "$T/all.parquet" "$T/all.csv"
store bulk export --format jsonl | sed -n 1235p >"$T/row"
claim "an exported line is proven too" check "$T/row"
claim "and its altered reason named" altered reason '.reason = "none"'
store bulk prove 1234 --checkpoint "$(jq -r .checkpoint "$T/row")" -o "$T/evidence" 2>/dev/null
aq atlas authority export charter -o "$T/home.charter" >/dev/null
claim "a row is proven where the log is not" "$BIN/aqmesh" --state "$T/nobody" lineage check "$T/evidence" --charter "$T/home.charter" --row "$T/row"

title "In the database itself"
row_of "$PG" 1234 >"$T/row"
claim "by a copy of the store, under a charter of one's own" "$BIN/aqmesh" --state "$T/nobody" lineage check --row "$T/row" --store "$T/bulk/store" --charter "$T/home.charter"
claim "another machine's store says so" refuses 1 "which is not in" "$BIN/aqmesh" lineage check --row "$T/row" --store "$T/other/store"
sql "UPDATE shipped SET outcome = 'ADMIT' WHERE seq = 1235"
row_of "$PG" 1235 >"$T/row"
claim "an UPDATE is found" refuses 1 '`outcome` is "ADMIT", the record says' check "$T/row"
sql "UPDATE shipped SET record_digest = repeat('00', 32) WHERE seq = $((COVERED - 1))"
claim "a shipper does not go on behind a row that is not the log's" refuses 1 "another record" ship "$PG" shipped
sql "CREATE TABLE other (log text, seq bigint PRIMARY KEY)"
claim "a table of another shape is refused" refuses 1 "has no column" ship "$PG" other
ask "CREATE TABLE other (log String) ENGINE = Memory"
claim "so it is in ClickHouse" refuses 1 "has no column" ship "$CHURL" other
ship "$PG" keyless --ddl | sed 's/^.*PRIMARY KEY.*$//; s/^\(.*"body" text NOT NULL\),$/\1/' >"$T/keyless.sql"
sql "$(cat "$T/keyless.sql")"
claim "and one in which a row could be twice" refuses 1 "no unique index" ship "$PG" keyless
ship "$CHURL" logged --ddl | sed 's/ENGINE.*/ENGINE = Log/; s/;$//' >"$T/logged.sql"
ask "$(cat "$T/logged.sql")"
claim "and one that is no MergeTree" refuses 1 "no MergeTree" ship "$CHURL" logged
claim "a wrong password is said so" refuses 1 "assword" env PGPASSWORD=no ip netns exec "$TAG-atlas" "$BIN/aqmesh" --state "$T/bulk" lineage ship --to "$PG"
claim "to ClickHouse too" refuses 1 "CLICKHOUSE_PASSWORD" env CLICKHOUSE_PASSWORD=no ip netns exec "$TAG-atlas" "$BIN/aqmesh" --state "$T/bulk" lineage ship --to "$CHURL"
claim "a password on the command line is refused" refuses 2 "PGPASSWORD" ship "postgres://aq:pw@127.0.0.1/x" t
claim "nobody there is said so" refuses 1 "goes on where it ended" ship postgres://aq@127.0.0.1:1/x t

title "Beside a live daemon"
aq atlas up >/dev/null 2>&1
store atlas ship --to "$PG" --table live --follow >"$T/live" 2>&1 & LIVE=$!
claim "it ships what is covered" until_true 15 grep -q 'going on' "$T/live"
BEFORE=$(rows_in "$PG" live)
more() { [ "$(rows_in "$PG" live)" -gt "$BEFORE" ]; }
claim "and what comes, once a head covers it" until_true 30 more
signal_shipper INT
wait "$LIVE" || true
claim "Ctrl-C ends it with a summary" grep -q '[1-9][0-9]* records shipped to' "$T/live"
sql "SELECT count(*) = max(seq) + 1 FROM live" >"$T/out"
claim "none is missing" grep -qx t "$T/out"
verdict
