# Shared by the stories of tests/e2e; sourced, not run. Machines are network namespaces on one bridge, each with
# a state directory of its own, and their programs are the real ones.
#   e2e_begin STORY BUILD_DIR     checks that the story can run here; sets BIN, T and TAG; cleans up at every exit
#   machine HOST...               a namespace with 192.168.77.N; unplug HOST takes it away, state kept
# shellcheck shell=bash

CLOCK=0  # days by which the wall clock is off, for the programs that aq starts from then on
FAILED=0
CLAIMS=0
HOSTS=""
STRICT=""
declare -A IP=()

e2e_begin() {
  local story=$1
  BIN=$(readlink -f "$2")/apps
  TOOLS=$(readlink -f "$2")/tests  # kill_at, libwall_shift.so
  TAG=aq${story:0:2}$$
  [ -c /dev/net/tun ] || { echo "skipped: no /dev/net/tun here"; exit 77; }
  [ "$(id -u)" = 0 ] || { echo "skipped: network namespaces need root"; exit 77; }
  [ -x "$BIN/aqmesh" ] || { echo "$story: no aqmesh in $BIN; build it first: ./dev build" >&2; exit 1; }
  T=$(mktemp -d "/tmp/aqmesh-$story.XXXXXX")
  trap e2e_end EXIT
  trap 'exit 130' INT TERM
  ip netns add "$TAG-net" || { echo "skipped: no network namespaces here"; exit 77; }
  ip -n "$TAG-net" link add br0 type bridge && ip -n "$TAG-net" link set br0 up
}

# From here on the daemons are killed at a system call that daemon/net/sandbox_calls.cc does not list, so that a list
# with a hole is a claim that fails. Hard links: `aqmesh up` starts the aqmeshd that lies beside it.
kill_on_refusal() {
  local real=$BIN
  STRICT=$(dirname "$real")/strict-$$
  BIN=$STRICT/apps
  mkdir -p "$BIN"
  ln "$real"/aqmesh "$real"/aqmesh-net "$real"/aqmesh-wg "$BIN/"
  printf '#!/bin/sh\nexec "%s/aqmeshd" --kill-on-refusal "$@"\n' "$real" >"$BIN/aqmeshd"
  chmod 755 "$BIN/aqmeshd"
}

e2e_end() {
  trap - EXIT INT TERM
  set +e
  local h
  for h in $HOSTS; do unplug "$h"; done
  [ -z "$STRICT" ] || rm -rf "$STRICT"
  ip netns del "$TAG-net" 2>/dev/null
  if [ "${KEEP:-0}" = 1 ]; then echo "kept: $T" >&2; else rm -rf "$T"; fi
}

# ---- machines
# The number of a host stays, so that it has the same address after a reboot.
machine() {
  local h n
  for h in "$@"; do
    case " $HOSTS " in *" $h "*) ;; *) HOSTS="$HOSTS $h" ;; esac
    [ -n "${IP[$h]:-}" ] || IP[$h]=192.168.77.$((10 + ${#IP[@]}))
    n=${IP[$h]##*.}
    ip netns add "$TAG-$h"
    ip link add "v$n-$$" netns "$TAG-net" type veth peer name eth0 netns "$TAG-$h"
    ip -n "$TAG-net" link set "v$n-$$" name "p-$h" master br0 up
    ip -n "$TAG-$h" addr add "${IP[$h]}/24" dev eth0
    ip -n "$TAG-$h" link set eth0 up
    ip -n "$TAG-$h" link set lo up
  done
}

# Power off: every process of the machine is killed, then its interfaces are gone.
unplug() {
  local p end=$((SECONDS + 5))
  while p=$(ip netns pids "$TAG-$1" 2>/dev/null) && [ -n "$p" ] && [ $SECONDS -lt $end ]; do
    # shellcheck disable=SC2086
    kill -9 $p 2>/dev/null || true
    sleep 0.05
  done
  # The bridge's end by hand: the namespace takes its own along later, and a reboot may come first.
  ip -n "$TAG-net" link del "p-$1" 2>/dev/null || true
  ip netns del "$TAG-$1" 2>/dev/null || true
}

on() { local h=$1; shift; ip netns exec "$TAG-$h" "$@"; }
later() { local h=$1; shift; ip netns exec "$TAG-$h" "$@" & disown $!; }

# Wall clocks alone are shifted: what measures time spans goes on as it was, as in a machine that ran all along.
shifted() {
  if [ "$CLOCK" = 0 ]; then "$@"; return; fi
  LD_PRELOAD=$TOOLS/libwall_shift.so WALL_SHIFT_S=$((CLOCK * 86400)) "$@"
}
aq() { local h=$1; shift; PATH=$BIN:$PATH shifted on "$h" "$BIN/aqmesh" --state "$T/$h" --socket "$T/$h.sock" "$@"; }

# The ids of a machine's processes of that name.
pids_of() {
  local p
  for p in $(ip netns pids "$TAG-$1" 2>/dev/null); do
    [ "$(cat "/proc/$p/comm" 2>/dev/null)" != "$2" ] || echo "$p"
  done
}
# Both processes of a machine: a filter, no way to more privileges, no core file; the engine without capabilities.
is_confined() {  # is_confined HOST
  local p all=0
  for p in $(pids_of "$1" aqmeshd) $(pids_of "$1" aqmesh-net); do
    all=$((all + 1))
    cat "/proc/$p/comm" "/proc/$p/status"
    grep -q '^Seccomp:[[:space:]]*2$' "/proc/$p/status" || return 1
    grep -q '^NoNewPrivs:[[:space:]]*1$' "/proc/$p/status" || return 1
    grep -q '^Max core file size  *0  *0 ' "/proc/$p/limits" || return 1
    # Each thread has its own filter, and none of the engine's may have a capability.
    [ -z "$(grep -Lx 'Seccomp:[[:space:]]*2' "/proc/$p"/task/*/status)" ] || return 1
  done
  p=$(pids_of "$1" aqmeshd)
  [ -z "$(grep -hE '^Cap(Prm|Eff|Amb):' "/proc/$p"/task/*/status | grep -v '[[:space:]]0*$')" ] || return 1
  grep -q '^VmLck:[[:space:]]*[1-9]' "/proc/$p/status" || { echo "no key is locked in memory"; return 1; }
  [ "$all" = 2 ] || { echo "$all processes, not two"; return 1; }
}
gone() { [ -z "$(pids_of "$1" aqmeshd)$(pids_of "$1" aqmesh-net)" ]; }
kill_daemon() {
  local p
  for p in $(pids_of "$1" aqmeshd); do kill -9 "$p"; done
  until_true 5 gone "$1"
}
silent() { [ -z "$(ip -n "$TAG-$1" -o addr show dev aq0 2>/dev/null)" ]; }

# ---- claims
title() { printf '\n%s\n' "$*"; }
claim() {  # claim "what" command...
  local what=$1; shift
  CLAIMS=$((CLAIMS + 1))
  if "$@" >"$T/last" 2>&1; then printf '  ok    %s\n' "$what"
  else printf '  FAIL  %s\n' "$what"; FAILED=$((FAILED + 1)); sed 's/^/        | /' "$T/last" | tail -5; fi
}
not() { ! "$@"; }
until_true() {  # until_true SECONDS command...
  local end=$((SECONDS + $1)); shift
  while ! "$@" >/dev/null 2>&1; do [ $SECONDS -lt $end ] || return 1; sleep 0.2; done
}
all() { local f=$1 x; shift; for x in "$@"; do "$f" "$x" || return 1; done; }
verdict() { title "$((CLAIMS - FAILED)) of $CLAIMS claims held"; [ "$FAILED" = 0 ]; }

# ---- what stories do often
address() { aq "$1" ip -4 | head -1; }
pings() { on "$1" ping -c 2 -i 0.2 -W 2 "$2"; }
fetches() { on "$1" curl -s -f -m 3 -o /dev/null "http://$2:$3/"; }
join() {  # join HOST SPONSOR [invite flags]
  local host=$1 sponsor=$2; shift 2
  rm -f "$T/$host.line"
  aq "$sponsor" invite -o "$T/$host.line" --wait --yes "$@" >"$T/$host.sponsor" 2>&1 &
  until_true 10 test -s "$T/$host.line" || { cat "$T/$host.sponsor"; return 1; }
  aq "$host" join "$T/$host.line" --name "$host" --endpoint "${IP[$host]}:41641" >"$T/$host.join" 2>&1 </dev/null ||
    { cat "$T/$host.join"; return 1; }
  until_true 20 aq "$host" wait --peer "$sponsor" --timeout 1s
}
capture() {  # capture HOST [NAME]: what really reaches this machine's TUN, to be asked for by that name
  later "$1" tcpdump -i aq0 -n -U --immediate-mode -w "$T/${2:-$1}.pcap" >/dev/null 2>&1
  until_true 5 test -s "$T/${2:-$1}.pcap"
}
seen() { tcpdump -r "$T/$1.pcap" -n "$2" 2>/dev/null | wc -l; }
reached() { local before=$1 host=$2 filter=$3; sleep 0.8; [ "$(seen "$host" "$filter")" -gt "$before" ]; }
rung_of() { aq "$1" peers --json | jq -r --arg who "$2" '.peers[] | select(.name == $who) | .rung'; }
stands() { [ "$(rung_of "$1" "$2")" = "$3" ] || { aq "$1" peers; return 1; }; }  # stands HOST PEER RUNG
sql() { aq "$1" lineage sql --json "$2" | jq -r '.[]?'; }
some() { [ "$(sql "$1" "$2")" -gt 0 ] || { sql "$1" "$2"; return 1; }; }  # some HOST QUERY: that counts something
says() { "${@:2}" >"$T/said" 2>&1 && { grep -q -- "$1" "$T/said" || { cat "$T/said"; return 1; }; }; }
mentions() { "${@:2}" >"$T/said" 2>&1 || true; grep -q -- "$1" "$T/said" || { cat "$T/said"; return 1; }; }  # exit aside
refuses() {  # refuses EXIT WORDS COMMAND...: that exit code, one line with these words
  local want=$1 words=$2 got=0; shift 2
  "$@" >"$T/out" 2>"$T/err" || got=$?
  cat "$T/err"
  [ "$got" = "$want" ] && [ "$(wc -l <"$T/err")" = 1 ] && grep -q -- "$words" "$T/err"
}
