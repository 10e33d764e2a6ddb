#!/usr/bin/env bash
# The disk fails under a log of sixty records (tests/lineage/workload.h, told by log_workload), in each way at each
# place: strace lists every call that changes what is on the disk, then strikes at each of them.
#   kill -9 before it (after one is before the next); a sync that fails; no room for what is written. Afterwards the
#   store opens, each record that was acknowledged is in it under its hash, everything in it reads and verifies, and
#   the story goes on to the very same last record.
# Then the same of aqmeshd itself, and a disk that is really full. Altered files are tests/lineage/faults_test.cc; a whole
# directory put back is heads_e2e.sh; a crash at each point of a join is crash_e2e.sh.
#   faults_e2e.sh BUILD_DIR            kills and failed syncs everywhere, a full disk at a seeded share of the writes
#   faults_e2e.sh BUILD_DIR --long     everything; each byte of the files; the start with a log of a million records
set -euo pipefail
HERE=$(dirname "$(readlink -f "$0")")
BUILD=${1:?usage: faults_e2e.sh BUILD_DIR [--long]}
TELL=$(readlink -f "$BUILD")/tests/log_workload
WORKERS=${AQMESH_FAULTS_WORKERS:-$(nproc)}
SEED=${AQMESH_SEED:-$(date +%s)}
FULL_EVERY=10  # of the writes, in the quick form

# ---- one case: a copy of the store as it was before this half of the story, told under strace

# spoil DIR CASE...: HALF CALL FILE N FAULT. Prints one line: ok | calm (it was never struck) | FAIL, and the case.
spoil() {
  local d=$1 half=$2 call=$3 file=$4 n=$5 fault=$6 status=0 how quick="" patience=20000 path
  case $fault in
    kill) how=signal=KILL ;;
    eio) how=error=EIO ;;
    full) how=error=ENOSPC ;;
    stays-full) how=error=ENOSPC n=$n+ patience=40 ;;
  esac
  rm -rf "$d"
  mkdir "$d"
  : >"$d/acks"
  if [ "$half" = rest ]; then cp -a "$BASE/half" "$d/s"; cp "$BASE/half.acks" "$d/acks"; fi
  path=$d/s
  [ "$file" = . ] || path=$path/$file
  # Signals are not told at the stops of --seccomp-bpf, which is quicker.
  [ "$fault" = kill ] || quick=--seccomp-bpf
  # shellcheck disable=SC2086
  strace -f $quick -qq -o "$d/trace" -P "$path" -e "trace=$call" -e "inject=$call:$how:when=$n" \
    "$TELL" tell "$d/s" "$half" $patience >>"$d/acks" 2>"$d/said" || status=$?
  if [ $status != 137 ] && ! grep -q INJECTED "$d/trace"; then echo "calm $*"; return; fi
  case $fault.$status in
    kill.137) ;;
    eio.0 | full.0 | stays-full.0) ;;  # it could do without
    eio.3 | full.3 | stays-full.3)     # one line, which says what and where
      if [ "$(wc -l <"$d/said")" != 1 ] || ! grep -q "$d/s" "$d/said"; then
        echo "FAIL $* it ends with: $(tr '\n' ' ' <"$d/said")"; return
      fi ;;
    *) echo "FAIL $* it ends with $status: $(tail -2 "$d/said" | tr '\n' ' ')"; return ;;
  esac
  # A sync of the log or of HEAD that failed may have lost what was written: nothing is acknowledged any more.
  if [ "$fault" = eio ] && [ $status = 0 ]; then
    case $call.$file in fdatasync.HEAD | fdatasync.db/*.log) echo "FAIL $* nobody minded"; return ;; esac
  fi
  if "$TELL" check "$d/s" "$d/acks" "$HEAD" >"$d/checked" 2>&1; then echo "ok $status $*"
  else echo "FAIL $* afterwards: $(tr '\n' ' ' <"$d/checked")"; fi
}

if [ "${2:-}" = --worker ]; then  # BASE NUMBER: every WORKERS-th line of the list
  BASE=$3 HEAD=$(cat "$3/head") i=0
  while read -r line; do
    i=$((i + 1))
    [ $((i % WORKERS)) = "$4" ] || continue
    # shellcheck disable=SC2086
    spoil "$BASE/w$4" $line
  done <"$BASE/cases" >"$BASE/results.$4"
  exit 0
fi

. "$HERE/lib.sh"
case ${2:-} in
  --long) LONG=1 ;;
  "") LONG=0 ;;
  *) echo "faults_e2e: what is $2? It takes --long" >&2; exit 2 ;;
esac
e2e_begin faults "$BUILD"
[ -x "$TELL" ] || { echo "faults_e2e: no log_workload in $TOOLS; build it first: ./dev build" >&2; exit 1; }
# In memory: what fails here is told by strace, and hundreds of stores are made.
BASE=$(mktemp -d "$([ -w /dev/shm ] && echo /dev/shm || echo "$T")/aqmesh-faults.XXXXXX")
trap 'umount "$T/atlas" 2>/dev/null || true; rm -rf "$BASE"; e2e_end' EXIT

# ---- the calls of an undisturbed run

trace() { strace -f -y -s 0 -o "$BASE/trace.$1" -e "trace=$("$HERE/fault_points.py" --calls)" "$TELL" tell "$BASE/half" "$1"; }
title "A log of sixty records, undisturbed"
claim "half of it is told, and then the process dies" trace first
cp "$T/last" "$BASE/half.acks"
claim "what it left was acknowledged" [ "$(grep -c ^ack "$BASE/half.acks")" = 30 ]
"$HERE/fault_points.py" "$BASE/trace.first" "$BASE/half" | sed 's/^/first /' >"$BASE/points"
cp -a "$BASE/half" "$BASE/kept"
claim "the other half is told by another" trace rest
cat "$BASE/half.acks" "$T/last" >"$BASE/acks"
"$HERE/fault_points.py" "$BASE/trace.rest" "$BASE/half" | sed 's/^/rest /' >>"$BASE/points"
claim "it is whole, and each record was acknowledged" "$TELL" check "$BASE/half" "$BASE/acks" -
claim "they are sixty" [ "$(grep -c ^ack "$BASE/acks")" = 60 ]
finds() { echo "$1" >>"$BASE/acks"; ! "$TELL" check "$BASE/half" "$BASE/acks" - && sed -i '$d' "$BASE/acks"; }
claim "one that is acknowledged and not there would be found" finds "ack 60 $(printf '%064d' 0)"
claim "and one that is there under another hash" finds "ack 17 $(printf '%064d' 0)"
"$TELL" check "$BASE/half" "$BASE/acks" - >"$BASE/head"
rm -rf "$BASE/half"; mv "$BASE/kept" "$BASE/half"
POINTS=$(wc -l <"$BASE/points")

# ---- every fault at every call

syncs() { grep -E ' (fsync|fdatasync|msync) '; }
makes() { grep -E ' (write|pwrite64|fallocate|ftruncate|openat|mkdir|rename|link) '; }
share() {
  if [ $LONG = 1 ]; then cat; else awk -v seed="$SEED" -v every=$FULL_EVERY 'BEGIN { srand(seed); at = int(every * rand()) } NR % every == at'; fi
}
run_cases() {  # run_cases: those on stdin; then $BASE/all has how each ended
  local w pids=""
  cat >"$BASE/cases"
  for ((w = 0; w < WORKERS; w++)); do
    WORKERS=$WORKERS AQMESH_FAULTS_WORKERS=$WORKERS "$0" "$BUILD" --worker "$BASE" "$w" 2>"$BASE/worker.$w" &
    pids="$pids $!"
  done
  for w in $pids; do wait "$w" || { cat "$BASE"/worker.*; return 1; }; done
  cat "$BASE"/results.* >"$BASE/all"
  [ "$(wc -l <"$BASE/all")" = "$(wc -l <"$BASE/cases")" ]
}
held() { grep '^FAIL' "$BASE/all" | cut -c1-300; ! grep -q '^FAIL' "$BASE/all"; }
struck() { awk '$1 != "calm"' "$BASE/all" | wc -l; }
# Of the calls some may not come in a run: RocksDB's threads are not always as quick.
mostly() { [ $(($(struck) * 100)) -ge $(($(wc -l <"$BASE/cases") * 97)) ]; }
ended() { grep -c "^ok $1 " "$BASE/all" || true; }
each() {  # each FAULT "what": of the points on stdin
  sed "s/\$/ $1/" | run_cases
  claim "$2 at $(struck) of $(wc -l <"$BASE/cases") calls: nothing acknowledged is lost, all verifies, it goes on" held
  claim "  and it was struck there" mostly
  [ "$1" = kill ] || printf '        %s did without, %s ended and said why\n' "$(ended 0)" "$(ended 3)"
}

title "The same with a fault (AQMESH_SEED=$SEED)"
each kill "kill -9" <"$BASE/points"
syncs <"$BASE/points" >"$BASE/syncs"
makes <"$BASE/points" | share >"$BASE/makes"
each eio "a sync that fails" <"$BASE/syncs"
each full "once no room" <"$BASE/makes"
each stays-full "no room from then on" <"$BASE/makes"

# ---- the daemon

daemon() { later atlas "$BIN/aqmeshd" --state "$T/atlas" --socket "$T/atlas.sock" 2>>"$T/atlas.log"; until_true 10 aq atlas status; }
newest_wal() { find "$T/atlas/store/db" -name '*.log' -size +0 | sort | tail -1; }
# From now on the running daemon's CALL on FILE fails so.
strike() {  # strike FILE CALL ERROR [WHEN]
  local pid; pid=$(pids_of atlas aqmeshd)
  strace -f -p "$pid" -qq -o "$T/strike" -P "$1" -e "trace=$2" -e "inject=$2:error=$3${4:+:when=$4}" >/dev/null 2>&1 &
  STRIKER=$!
  disown $STRIKER
  until_true 5 traced "$pid"
}
calm() { kill "$STRIKER" 2>/dev/null || true; until_true 5 not traced "$(pids_of atlas aqmeshd)"; }
traced() { ! grep -q '^TracerPid:[[:space:]]*0$' "/proc/$1/status"; }
verified() { aq atlas lineage verify; }
says() { grep -q -- "$1" "$T/atlas.log"; }

title "aqmeshd, and no room for its log"
machine atlas
aq atlas init home --machine atlas --no-passphrase --endpoint "${IP[atlas]}:41641" >"$T/init.out" 2>&1
claim "it serves" daemon
strike "$(newest_wal)" write ENOSPC
timeout 10 "$BIN/aqmesh" --state "$T/atlas" --socket "$T/atlas.sock" down >"$T/down" 2>&1 || true
claim "it says that the disk is full, and where" until_true 5 says "writing $T/atlas/store: the disk is full"
claim "it goes on by itself once there is room" until_true 10 aq atlas up
calm
claim "its log verifies" verified

title "aqmeshd, and a sync that fails"
strike "$T/atlas/store/HEAD" fdatasync EIO 1
timeout 10 "$BIN/aqmesh" --state "$T/atlas" --socket "$T/atlas.sock" down >"$T/down" 2>&1 || true
claim "it ends" until_true 10 gone atlas
claim "and says why, and where" says "syncing $T/atlas/store/HEAD: Input/output error"
claim "it starts again" daemon
claim "its log verifies" verified

title "A disk that is full when aqmeshd starts"
kill_daemon atlas
mv "$T/atlas" "$T/kept"; mkdir -m 700 "$T/atlas"
mount -t tmpfs -o size=64m,mode=0700 none "$T/atlas"
cp -a "$T/kept/." "$T/atlas/"
head -c 100M /dev/zero >"$T/atlas/ballast" 2>/dev/null || true
no_start() { ! timeout 20 ip netns exec "$TAG-atlas" "$BIN/aqmeshd" --state "$T/atlas" --socket "$T/atlas.sock" 2>"$T/full.log"; }
claim "it does not start" no_start
claim "and says that there is no space, and where" grep -q "$T/atlas/.*No space left" "$T/full.log"
rm "$T/atlas/ballast"
claim "it starts once there is room" daemon
claim "its log verifies" verified
kill_daemon atlas
umount "$T/atlas"
rmdir "$T/atlas"; mv "$T/kept" "$T/atlas"

# ---- what takes long

# From the start of the process until it answers: printed, and held to nothing, since that is the machine's.
time_to_serve() {
  local from; from=$(date +%s%N)
  later atlas "$BIN/aqmeshd" --state "$T/atlas" --socket "$T/atlas.sock" 2>>"$T/atlas.log"
  until aq atlas status >/dev/null 2>&1; do sleep 0.02; [ $(($(date +%s%N) - from)) -lt 60000000000 ] || return 1; done
  printf '        serving after %d ms, %s\n' $((($(date +%s%N) - from) / 1000000)) "$1"
}
each_byte() { AQMESH_FAULTS_STRIDE=1 AQMESH_SEED=$SEED "$TOOLS/lineage_test" --gtest_filter='FaultsTest.*:AlteredFilesTest.*'; }
if [ $LONG = 1 ]; then
  title "A log of a million records"
  claim "it has lived so long" "$TOOLS/grow_log" "$T/atlas" 1000000 1000
  time_to_serve "of a log that was closed"
  claim "all of it verifies" verified
  for crash in first second; do kill_daemon atlas; time_to_serve "after the $crash kill -9"; done
  claim "all of it verifies" verified
  kill_daemon atlas
  title "Each byte of the files of a log of sixty"
  claim "cut there, or with a bit of it flipped, it is refused by name, or reads as it was" each_byte
fi
verdict
