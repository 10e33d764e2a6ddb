#!/usr/bin/env bash
# A machine's records are sealed, the oldest leave under a signed rule, and come back from what was sealed. Meanwhile its
# daemon runs, is killed while it prunes, and a bit of the copy flips.
#   retention_e2e.sh BUILD_DIR
set -euo pipefail
HERE=$(dirname "$(readlink -f "$0")")
. "$HERE/lib.sh"
e2e_begin retention "${1:?usage: retention_e2e.sh BUILD_DIR}"
kill_on_refusal
machine atlas

sql() { aq atlas lineage sql --csv "$@" | tr -d '\r' | tail -n +2; }
is() { local want=$1; shift; [ "$("$@")" = "$want" ]; }
verify() { aq atlas lineage verify "${@:2}" --json >"$T/verify.json" && jq -e "$1" "$T/verify.json"; }
size() { aq atlas lineage verify --json | jq .size; }
gone_to() { aq atlas lineage verify --json | jq '.gone.end // 0'; }
# One line on stderr that has these words.
says() {
  local words=$1; shift
  ! "$@" >"$T/out" 2>"$T/err" && cat "$T/err" && [ "$(wc -l <"$T/err")" = 1 ] && grep -q -- "$words" "$T/err"
}
down() { aq atlas down --stop >/dev/null && until_true 10 gone atlas; }
up() { aq atlas up >/dev/null 2>&1; }
# A log that has lived long; what comes before and after in it is the daemon's own.
grow() { down && "$TOOLS/fill_log" "$T/atlas" "$1" && up; }
ask() { sql "SELECT seq, id, kind, outcome, reason FROM records WHERE seq < 600 ORDER BY seq"; }
covered() { verify ".covered >= $1"; }

title "A log grows"
aq atlas init home --machine atlas --no-passphrase --endpoint "${IP[atlas]}:41641" >"$T/init.out" 2>&1
claim "atlas is up" aq atlas up
claim "it has lived for 2,000 records" grow 2000
claim "a head covers them" until_true 20 covered 2000
ask >"$T/before"
aq atlas lineage state --json | jq -S 'del(.records)' >"$T/state"
claim "what is asked is there" [ "$(wc -l <"$T/before")" = 600 ]

title "It is sealed"
claim "export --sealed writes segments" aq atlas lineage export --sealed "$T/sealed" --until 600
claim "again: there is nothing new" eval 'aq atlas lineage export --sealed "$T/sealed" --until 600 --json | jq -e ".segments == 0 and .end == 512"'
claim "later it goes on" eval 'aq atlas lineage export --sealed "$T/sealed" --until 1100 --json | jq -e ".segments == 1 and .end == 1024"'
claim "the copy is asked like a store" eval 'aq atlas lineage query --from "$T/sealed" --limit 5 --json | jq -e ".size == 1024 and (.records | length) == 5"'
claim "and by SQL, beside the store" is 1024 sql --with "copy=$T/sealed" "SELECT count(*) FROM records WHERE machine = 'copy'"
claim "the copy verifies" verify '.ok and .size == 1024' --from "$T/sealed"
aq atlas authority export charter -o "$T/home.charter"
claim "a record of it is proven" aq atlas lineage prove 700 --from "$T/sealed" -o "$T/700.evidence"
claim "which holds with the charter alone" aq atlas lineage check "$T/700.evidence" --charter "$T/home.charter"

title "A rule, and what goes under it"
claim "without a rule nothing goes" says "no retention rule" aq atlas lineage prune
claim "an unknown kind is refused" says "no kind" aq atlas lineage retain --keep nosuch=1s
claim "the root signs one" aq atlas lineage retain --keep all=1s --sealed
sleep 1
claim "a dry run says what would go" eval 'aq atlas lineage prune --dry-run --json | jq -e ".dry_run and .first == 0 and .end >= 512"'
claim "and changed nothing" is 0 gone_to
claim "prune by the running daemon" aq atlas lineage prune
END=$(gone_to)
claim "the records before $END are gone" [ "$END" -ge 512 ]
claim "a RETAINED record says so" eval 'aq atlas lineage query --kind retained --json | jq -e ".records | length >= 1"'
claim "they were sealed before" [ -d "$T/atlas/sealed" ]
claim "verify says which, and that the rest holds" verify ".ok and .gone.end == $END"
claim "the decisions that are left are made again" verify ".ok and .gone.end == $END" --decisions
claim "and those of the copy" verify '.ok and .size == 1024' --decisions --from "$T/sealed"
claim "a record that is gone is named with its rule" says "were pruned under" aq atlas lineage show 7
claim "what is left is proven" aq atlas lineage prove "$END" -o "$T/left.evidence"
claim "what is in force is known" eval 'aq atlas lineage state --json | jq -S "del(.records)" | jq -e .'
claim "an instant before is refused" says "were pruned under" aq atlas lineage state --at 2026-01-01
claim "sql shows what is left" is "$END" sql "SELECT min(seq) FROM records"
claim "a restart goes on with it" eval 'down && up && verify ".ok and .gone.end == $END"'

title "A flipped bit"
cp -a "$T/sealed" "$T/rotten"
BUNDLE=$(find "$T/rotten" -path '*entries/001.zst')
printf '\x5a' | dd of="$BUNDLE" bs=1 seek=100 conv=notrunc status=none
claim "the file is named" says "entries/001.zst" aq atlas lineage import "$T/rotten"
claim "and nothing was imported" [ ! -d "$T/atlas/archive" ]

title "It comes back"
claim "import" aq atlas lineage import "$T/atlas/sealed"
claim "the query answers as before" eval 'ask | cmp - "$T/before"'
claim "verify reads all of it" verify '.ok and (has("gone") | not)'
claim "an old record is shown" aq atlas lineage show 7
claim "an old record is traced" aq atlas lineage trace 7

title "kill -9 while it prunes"
claim "2,000 records more" grow 2000
claim "a head covers them" until_true 20 covered 4000
rm -rf "$T/atlas/archive"
claim "the daemon is gone" down
cp -a "$T/atlas" "$T/kept"
prune_killed_at() {
  rm -rf "${T:?}/atlas"; cp -a "$T/kept" "$T/atlas"; rm -f "$T/calls"
  timeout 30 ip netns exec "$TAG-atlas" "$TOOLS/kill_at" --at "$1" --log "$T/calls" --armed -- \
    "$BIN/aqmesh" --state "$T/atlas" --socket "$T/atlas.sock" lineage prune >"$T/pruned" 2>&1 || true
}
prune_killed_at 0
CALLS=$(grep -cv '^exit' "$T/calls" || true)
claim "of some hundred calls that reach outside" [ "$CALLS" -gt 50 ]
KILLED=0
for n in 1 2 3 4 5 6 7 8; do
  n=$((CALLS * n / 9))
  prune_killed_at "$n"
  ! grep -q '^killed' "$T/calls" || KILLED=$((KILLED + 1))
  claim "killed at call $n: the log holds" verify '.ok'
  claim "and the next prune ends it" eval 'aq atlas lineage prune >/dev/null && verify ".ok and .gone.end > '"$END"'"'
done
claim "it was killed indeed" [ "$KILLED" -ge 7 ]
verdict
