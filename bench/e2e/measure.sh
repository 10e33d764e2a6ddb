# shellcheck shell=bash
# Measures what stands. Sourced by ../e2e.sh. Every function takes INSTANCE ROUND and notes one JSON object; where
# nothing was carried it ends the run.

measured() {  # measured INSTANCE ROUND WHAT jq-arguments...: the last of these is an object to add
  local instance=$1 round=$2 what=$3; shift 3
  local -a given=("$@"); local object=${given[-1]}; unset 'given[-1]'
  note --arg who "$(name_of "$instance")" --argjson pinned "$([[ $instance == *.1core ]] && echo true || echo false)" \
    --argjson round "$round" --arg what "$what" "${given[@]}" "{who: \$who, pinned: \$pinned, round: \$round, what: \$what} + $object"
}

ticks() {  # ticks INSTANCE END: CPU time of that end's programs
  local p sum=0 x
  while read -r p; do
    x=$(awk '{sub(/.*\) /, ""); print $12 + $13}' "/proc/$p/stat") || die "$1: a program of end $2 is gone"
    sum=$((sum + x))
  done <"$T/$1.$2.pids"
  echo $sum
}
rss_kib() {
  local p sum=0 x
  while read -r p; do x=$(awk '/^VmRSS/ {print $2}' "/proc/$p/status"); sum=$((sum + x)); done <"$T/$1.$2.pids"
  echo $sum
}
machine() { awk '/^cpu / {print $2 + $3 + $4 + $7 + $8}' /proc/stat; }
listening() { on b "$2" ss -Hln"$1" "sport = :5201" | grep -q .; }

busy_before() {
  local before after
  before=$(machine); sleep 0.5; after=$(machine)
  measured "$1" "$2" busy_before --argjson t "$((after - before))" --argjson hz "$HZ" --argjson n "$(nproc)" '{share: ($t / $hz / 0.5 / $n)}'
}

# ---- ping: 10 ms apart; one that is lost took a second. What was under way at the end does not count.

note_pings() {  # note_pings INSTANCE ROUND WHAT FILE
  local times sent
  times=$(sed -n 's/.*time=\([0-9.]*\) ms/\1/p' "$4" | jq -sc .)
  sent=$(sed -n 's/.*icmp_seq=\([0-9]*\) .*time=.*/\1/p' "$4" | sort -n | tail -1)
  jq -en --argjson t "$times" --argjson sent "${sent:-0}" '($t | length) >= 10 and ($t | length) > $sent * 0.5' >/dev/null ||
    die "$1: $3 lost too much: $(tail -2 "$4" | head -1)"
  measured "$1" "$2" "$3" --argjson t "$times" --argjson sent "$sent" '(($t | map(. * 1000)) + [range($sent - ($t | length)) | 1e6] | sort) as $us |
    {p50_us: $us[$sent * 0.5 | floor], p99_us: $us[$sent * 0.99 | floor], lost: ($sent - ($t | length))}'
}
ping_idle() {
  on a "$1" ping -n -c 150 -i 0.01 -W 1 "$(cat "$T/$1.to")" >"$T/ping" || true
  note_pings "$1" "$2" ping_idle "$T/ping"
}

# ---- TCP

tcp() {  # tcp INSTANCE ROUND STREAMS fwd|rev: with pings beside four streams
  local i=$1 round=$2 streams=$3 way=$4 to server pinger="" before_a before_b before_all reverse=()
  to=$(cat "$T/$i.to")
  [ "$way" = fwd ] || reverse=(-R)
  on b "$i" iperf3 -s -1 -B "$to" >"$T/server.log" 2>&1 & server=$!
  until_true 5 listening t "$i" || die "$i: iperf3 does not listen: $(cat "$T/server.log")"
  if [ "$streams" = 4 ]; then
    (sleep 0.4; on a "$i" timeout -s INT "$(awk -v s="$SECONDS_EACH" 'BEGIN {print s - 0.5}')" ping -n -i 0.01 "$to") >"$T/ping" 2>&1 & pinger=$!
  fi
  before_a=$(ticks "$i" a); before_b=$(ticks "$i" b); before_all=$(machine)
  timeout $((SECONDS_EACH + 15)) ip netns exec "$TAG-$i-a" "${PIN[@]}" \
    iperf3 -c "$to" -t "$SECONDS_EACH" -P "$streams" -C cubic -J "${reverse[@]}" >"$T/iperf.json" ||
    die "$i: iperf3 failed: $(jq -r '.error // "no answer"' "$T/iperf.json" 2>/dev/null || true)"
  local after_a after_b after_all
  after_a=$(ticks "$i" a); after_b=$(ticks "$i" b); after_all=$(machine)
  wait "$server" || true
  jq -e '.end.sum_received.bytes > 1000000' "$T/iperf.json" >/dev/null || die "$i: TCP $streams $way carried nothing"
  local sender=$((after_a - before_a)) receiver=$((after_b - before_b)) t
  [ "$way" = fwd ] || { t=$sender; sender=$receiver; receiver=$t; }
  # The end alone: a run of iperf3 is longer than an argument may be.
  measured "$i" "$round" "tcp${streams}_$way" --argjson hz "$HZ" --argjson s "$sender" --argjson r "$receiver" \
    --argjson all "$((after_all - before_all))" --argjson e "$(jq -c '.end | {sum_received, sum_sent}' "$T/iperf.json")" \
    '(($e.sum_received.bytes / 1e9) as $gb |
     {gbit_s: ($e.sum_received.bits_per_second / 1e9), retransmits: $e.sum_sent.retransmits,
      cpu_sender_s_gb: ($s / $hz / $gb), cpu_receiver_s_gb: ($r / $hz / $gb),
      cpu_both_s_gb: (($s + $r) / $hz / $gb), cpu_machine_s_gb: ($all / $hz / $gb)})'
  if [ -n "$pinger" ]; then
    wait "$pinger" || true
    note_pings "$i" "$round" ping_loaded "$T/ping"
  fi
}

# ---- UDP, packets of 64 bytes

# udp_run INSTANCE SECONDS [RATE]: sets UDP to {sent, seconds, ..., carried, window_pps}; 1 if hardly anything arrived.
udp_run() {
  local i=$1 seconds=$2 to sink; shift 2
  to=$(cat "$T/$i.to")
  on b "$i" "$UDP_LOAD" sink 5201 "$(cat "$T/$i.b.interface")" 0.2 "$(awk -v s="$seconds" 'BEGIN {print s - 0.4}')" >"$T/sink.json" 2>"$T/sink.log" & sink=$!
  until_true 5 listening u "$i" || die "$i: the sink does not listen: $(cat "$T/sink.log")"
  on a "$i" "$UDP_LOAD" send "$to" 5201 "$(cat "$T/$i.a.interface")" "$seconds" "$@" >"$T/send.json" || die "$i: the sender failed"
  wait "$sink" || return 1
  UDP=$(jq -sc add "$T/send.json" "$T/sink.json")
}
udp_flood() {
  udp_run "$1" 2 || die "$1: the UDP flood carried nothing: $(cat "$T/sink.log")"
  jq -en --argjson u "$UDP" '$u.window_pps > 100' >/dev/null || die "$1: the UDP flood carried nothing"
  measured "$1" "$2" udp_flood --argjson u "$UDP" '{carried_kpps: ($u.window_pps / 1e3), offered_kpps: ($u.sent / $u.seconds / 1e3),
    received_kpps: ($u.received / $u.seconds / 1e3)}'
}

# The highest rate that is carried with less than 1 % lost: bisected between a fifth of what the flood carried and
# 1.6 times that. A rate that lost less than 5 % is tried twice, because one hiccup of the machine must not decide.
udp_lossless() {
  local i=$1 round=$2 low high rate step loss best=0 tried
  low=$(jq -n --argjson u "$UDP" '$u.window_pps * 0.2'); high=$(jq -n --argjson u "$UDP" '$u.window_pps * 1.6')
  for step in 1 2 3 4 5 6; do
    rate=$(jq -n --argjson l "$low" --argjson h "$high" '$l * $h | sqrt | floor')
    for tried in 1 2; do
      loss=1
      udp_run "$i" 0.7 "$rate" || break
      loss=$(jq -n --argjson u "$UDP" '1 - $u.carried / $u.sent')
      jq -en --argjson l "$loss" '$l >= 0.01 and $l < 0.05' >/dev/null || break
    done
    if jq -en --argjson l "$loss" '$l < 0.01' >/dev/null; then
      low=$rate
      best=$(jq -n --argjson u "$UDP" --argjson b "$best" '[$b, $u.carried / $u.seconds] | max')
    else
      high=$rate
    fi
  done
  measured "$i" "$round" udp_lossless --argjson b "$best" '{carried_kpps: ($b / 1e3)}'
}

rss() {
  local end
  for end in a b; do
    measured "$1" "$2" rss --arg at $end --argjson k "$(rss_kib "$1" $end)" '{at: $at, mib: ($k / 1024)}'
  done
}
