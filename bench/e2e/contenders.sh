# shellcheck shell=bash
# Brings the contenders up. Sourced by ../e2e.sh. An instance is a contender's name, with .1core behind it where all of
# it is pinned to one core: a tunnel that starts pinned sizes its threads for one core. Each leaves in $T
#   INSTANCE.{a,b}.pids  INSTANCE.{a,b}.interface (the inner one)  INSTANCE.to (b's inner address)
# and returns 1 if it is not to be had here.

version() {
  [[ $1 == *.1core && $ALL_CORES = 1 ]] || note --arg name "$(name_of "$1")" --arg v "$2" '{version: $name, is: $v}'
}
name_of() { echo "${1%.1core}"; }

namespaces() {
  local instance=$1 end host=1
  for end in a b; do ip netns add "$TAG-$instance-$end"; : >"$T/$instance.$end.pids"; done
  STANDING+=("$instance")
  ip link add eth0 netns "$TAG-$instance-a" type veth peer name eth0 netns "$TAG-$instance-b"
  for end in a b; do
    ip -n "$TAG-$instance-$end" addr add "192.0.2.$host/24" dev eth0
    ip -n "$TAG-$instance-$end" link set eth0 up; ip -n "$TAG-$instance-$end" link set lo up
    echo eth0 >"$T/$instance.$end.interface"
    host=$((host + 1))
  done
}

up_veth() { echo 192.0.2.2 >"$T/$1.to"; version "$1" "kernel $(uname -r)"; }

# ---- programs that take what wireguard-go takes

# The path of a contender's program, built or fetched once; nothing where it cannot be had.
program_of() {
  case $1 in
    aqmesh-wg | aqmesh-wg-1380) echo "$BIN/aqmesh-wg" ;;
    null) echo "$BIN/aqmesh-wg-null" ;;
    wireguard-go-debian) command -v wireguard-go || true ;;
    wireguard-go-newest) from_go wireguard golang.zx2c4.com/wireguard@latest ;;
    boringtun) from_crate boringtun-cli boringtun-cli ;;
    gotatun) from_crate gotatun-cli gotatun ;;
  esac
}
from_go() {  # from_go PROGRAM MODULE@VERSION
  [ -x "$PEERS/$1" ] || { command -v go >/dev/null && GOBIN=$PEERS timeout 900 nice go install "$2" >>"$T/build.log" 2>&1; } || return 0
  echo "$PEERS/$1"
}
from_crate() {  # from_crate CRATE ITS_PROGRAM: kept under the crate's name
  if [ ! -x "$PEERS/$1" ]; then
    command -v cargo >/dev/null || return 0
    timeout 900 nice cargo install -q --root "$PEERS/cargo" "$1" >>"$T/build.log" 2>&1 || return 0
    mv "$PEERS/cargo/bin/$2" "$PEERS/$1"; rm -rf "$PEERS/cargo"
  fi
  echo "$PEERS/$1"
}
version_of() {
  case $1 in
    wireguard-go-debian) dpkg-query -W -f '${Version}' wireguard-go ;;
    wireguard-go-newest) go version -m "$2" 2>/dev/null | awk '$1 == "mod" {print $3}' ;;
    *) "$2" --version | awk 'NR == 1 {print $2}' ;;
  esac
}

# start INSTANCE END INTERFACE PROGRAM: as a daemon of that end, until it takes orders.
start() {
  local instance=$1 end=$2 interface=$3 program=$4
  WG_PROCESS_FOREGROUND=1 LOG_LEVEL=error WG_LOG_LEVEL=error WG_SUDO=true WG_LOG_FILE=$T/$instance.$end.log \
    ip netns exec "$TAG-$instance-$end" "${PIN[@]}" "$program" -f "$interface" >"$T/$instance.$end.log" 2>&1 &
  echo $! >>"$T/$instance.$end.pids"   # ip and taskset become the program
  echo "$interface" >"$T/$instance.$end.interface"
  until_true 10 test -S "/var/run/wireguard/$interface.sock" || { cat "$T/$instance.$end.log" >&2; return 1; }
}
new_interface() { PAIRS=$((PAIRS + 1)); INTERFACE=w${PAIRS}x$$; }   # its socket's name is the machine's, whatever the namespace

wireguard() {  # wireguard INSTANCE MTU: a plain pair
  local instance=$1 mtu=$2 program end key other host=1
  program=$(program_of "$(name_of "$instance")")
  [ -x "$program" ] || return 1
  for end in a b; do
    new_interface
    start "$instance" $end "$INTERFACE" "$program" || die "$instance did not start"
    wg genkey >"$T/$instance.$end.key"
  done
  for end in a b; do
    other=b; [ $end = a ] || other=a
    INTERFACE=$(cat "$T/$instance.$end.interface")
    key=$(wg pubkey <"$T/$instance.$other.key")
    on $end "$instance" wg set "$INTERFACE" listen-port 5001 private-key "$T/$instance.$end.key" peer "$key" \
      allowed-ips "10.77.0.$((3 - host))/32" endpoint "192.0.2.$((3 - host)):5001"
    on $end "$instance" ip addr add "10.77.0.$host/24" dev "$INTERFACE"
    on $end "$instance" ip link set "$INTERFACE" mtu "$mtu" up
    host=$((host + 1))
  done
  echo 10.77.0.2 >"$T/$instance.to"
  version "$instance" "$(version_of "$(name_of "$instance")" "$program")"
}
up_aqmesh-wg() { wireguard "$1" 1420; }
up_aqmesh-wg-1380() { wireguard "$1" 1380; }
up_null() { wireguard "$1" 1420; }
up_wireguard-go-debian() { wireguard "$1" 1420; }
up_wireguard-go-newest() { wireguard "$1" 1420; }
up_boringtun() { wireguard "$1" 1420; }
up_gotatun() { wireguard "$1" 1420; }

# ---- aqmeshd, governed

aq() {  # aq INSTANCE END COMMAND...
  local instance=$1 end=$2; shift 2
  PATH=$BIN:$PATH timeout 40 ip netns exec "$TAG-$instance-$end" "${PIN[@]}" "$BIN/aqmesh" --state "$T/$instance.$end" --socket "$T/$instance.$end.sock" "$@"
}
up_aqmeshd() {
  local i=$1 sponsor end p
  aq "$i" a init bench --machine a --no-passphrase --endpoint 192.0.2.1:41641 >"$T/init.log" 2>&1 || { cat "$T/init.log" >&2; return 1; }
  aq "$i" a up >"$T/up.log" 2>&1 || { cat "$T/up.log" >&2; return 1; }
  aq "$i" a invite -o "$T/$i.line" --wait --yes >"$T/invite.log" 2>&1 &
  sponsor=$!
  until_true 10 test -s "$T/$i.line"
  aq "$i" b join "$T/$i.line" --name b --endpoint 192.0.2.2:41641 >"$T/join.log" 2>&1 </dev/null ||
    { cat "$T/join.log" "$T/$i".?/aqmeshd.log >&2; return 1; }
  until_true 20 aq "$i" b wait --peer a --timeout 1s
  aq "$i" b ip -4 | head -1 >"$T/$i.to"
  wait "$sponsor"
  for end in a b; do
    for p in $(ip netns pids "$TAG-$i-$end"); do
      case $(cat "/proc/$p/comm") in aqmeshd | aqmesh-net) echo "$p" >>"$T/$i.$end.pids" ;; esac
    done
    on $end "$i" ip -j -4 addr show | jq -r '[.[] | select(.ifname != "lo" and .ifname != "eth0")][0].ifname' >"$T/$i.$end.interface"
  done
  version "$i" "$("$BIN/aqmeshd" --version | awk 'END {print $2}')"
}

# ---- nebula: its own protocol, AES-GCM as it comes

nebula_programs() {
  [ ! -x "$PEERS/nebula" ] || [ ! -x "$PEERS/nebula-cert" ] || return 0
  command -v go >/dev/null || return 1
  local of=github.com/slackhq/nebula/cmd v
  for v in latest v1.11.0 v1.10.3; do   # the newest that this go can build
    GOBIN=$PEERS timeout 900 nice go install "$of/nebula@$v" "$of/nebula-cert@$v" >>"$T/build.log" 2>&1 && return 0
  done
  return 1
}
up_nebula() {
  local i=$1 end host=1 dir=$T/$1.conf
  nebula_programs || return 1
  mkdir "$dir"
  "$PEERS/nebula-cert" ca -name bench -duration 24h -out-crt "$dir/ca.crt" -out-key "$dir/ca.key" >"$T/nebula.log" 2>&1 || { cat "$T/nebula.log" >&2; return 1; }
  for end in a b; do
    "$PEERS/nebula-cert" sign -ca-crt "$dir/ca.crt" -ca-key "$dir/ca.key" -name $end -networks "10.77.0.$host/24" \
      -out-crt "$dir/$end.crt" -out-key "$dir/$end.key" >"$T/nebula.log" 2>&1 || { cat "$T/nebula.log" >&2; return 1; }
    new_interface
    jq -n --arg d "$dir" --arg me $end --arg interface "$INTERFACE" --argjson first "$([ $end = a ] && echo true || echo false)" '{
      pki: {ca: "\($d)/ca.crt", cert: "\($d)/\($me).crt", key: "\($d)/\($me).key"},
      static_host_map: {"10.77.0.1": ["192.0.2.1:4242"], "10.77.0.2": ["192.0.2.2:4242"]},
      lighthouse: {am_lighthouse: $first, hosts: (if $first then [] else ["10.77.0.1"] end)},
      listen: {host: "0.0.0.0", port: 4242}, tun: {dev: $interface, mtu: 1420}, logging: {level: "error"},
      firewall: {outbound: [{port: "any", proto: "any", host: "any"}], inbound: [{port: "any", proto: "any", host: "any"}]}}' >"$dir/$end.yml"
    ip netns exec "$TAG-$i-$end" "${PIN[@]}" "$PEERS/nebula" -config "$dir/$end.yml" >"$T/$i.$end.log" 2>&1 &   # JSON is YAML
    echo $! >>"$T/$i.$end.pids"
    echo "$INTERFACE" >"$T/$i.$end.interface"
    until_true 10 on $end "$i" ip link show "$INTERFACE" || { cat "$T/$i.$end.log" >&2; return 1; }
    host=$((host + 1))
  done
  echo 10.77.0.2 >"$T/$i.to"
  version "$i" "$("$PEERS/nebula" -version | awk 'NR == 1 {print $2}')"
}
