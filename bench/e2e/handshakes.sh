# shellcheck shell=bash
# What a WireGuard program costs beside its traffic: memory for each peer that only stands in its table, and handshakes
# a second as responder. Sourced by ../e2e.sh. A fresh process each time, in namespaces of its own.

PEERS_OF_ONE=1024

handshakes() {  # handshakes INSTANCE ROUND
  local i=$1 round=$2 program before after ticks_before
  program=$(program_of "$(name_of "$i")")
  namespaces hs
  new_interface
  start hs b "$INTERFACE" "$program" || die "$i did not start alone"
  wg genkey >"$T/hs.key"
  on b hs wg set "$INTERFACE" listen-port 5001 private-key "$T/hs.key"
  on b hs ip link set "$INTERFACE" up
  # Each peer speaks from an address of its own.
  on a hs ip route add local 198.18.0.0/16 dev lo
  on b hs ip route add 198.18.0.0/16 via 192.0.2.1
  sleep 0.2
  before=$(rss_kib hs b)
  on a hs "$HANDSHAKE_LOAD" keys $PEERS_OF_ONE |
    awk '{printf "[Peer]\nPublicKey = %s\nAllowedIPs = 10.78.%d.%d/32\n", $1, NR / 256, NR % 256}' >"$T/hs.conf"
  on b hs wg addconf "$INTERFACE" "$T/hs.conf" || die "$i took no $PEERS_OF_ONE peers"
  sleep 0.2
  after=$(rss_kib hs b)
  measured "$i" "$round" idle_peer --argjson k "$((after - before))" --argjson n $PEERS_OF_ONE '{kib: ($k / $n)}'
  ticks_before=$(ticks hs b)
  on a hs "$HANDSHAKE_LOAD" run $PEERS_OF_ONE "$(wg pubkey <"$T/hs.key")" 192.0.2.2 5001 1 >"$T/hs.json" 2>"$T/hs.log" ||
    die "$i: $(cat "$T/hs.log")"
  measured "$i" "$round" handshakes --argjson h "$(cat "$T/hs.json")" --argjson t "$(($(ticks hs b) - ticks_before))" --argjson hz "$HZ" \
    '{per_second: $h.per_second, lost: $h.lost, cpu_us: ($t / $hz * 1e6 / $h.all)}'
  down hs
}
