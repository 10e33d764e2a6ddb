#!/usr/bin/env bash
# The air-gap path by hand: a mesh on A, a request from B, a signature, an import; then files that must be
# refused. Needs no root, no network, no daemon.
# Usage: cli_offline_e2e.sh BUILD_DIR
set -euo pipefail

build=$(realpath "${1:?usage: cli_offline_e2e.sh BUILD_DIR}")
aqmesh=$build/apps/aqmesh
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

a() { "$aqmesh" --state "$dir/a" --socket "$dir/a.sock" "$@"; }
b() { "$aqmesh" --state "$dir/b" --socket "$dir/b.sock" "$@"; }
step() { printf '== %s\n' "$*"; }
fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }
# refused EXIT PATTERN COMMAND...: that exit code, and one line on stderr that matches.
refused() {
  local want=$1 pattern=$2 got=0
  shift 2
  "$@" >out 2>err || got=$?
  [ "$got" = "$want" ] || fail "$* gave exit $got, not $want: $(cat err)"
  [ "$(wc -l <err)" = 1 ] || fail "$* said more than one line: $(cat err)"
  grep -q -- "$pattern" err || fail "$* said: $(cat err)"
  printf '   refused, as it should be: %s\n' "$(cat err)"
}

step "A starts a mesh"
echo 'correct horse battery staple' >pass
a init home --machine atlas --passphrase-file pass --endpoint 192.0.2.1:41641
a authority list
a authority export charter -o home.charter

step "B asks, A signs, B takes it in"
b request --name borealis --mesh home.charter -o borealis.request
"$aqmesh" inspect borealis.request >/dev/null
a sign borealis.request -o borealis.grant
"$aqmesh" verify borealis.grant --charter home.charter
b import borealis.grant
b grant show borealis
b fragment show
b lineage verify

step "the root signs for a key that was never a machine"
key=$(a authority create prod --no-passphrase --json | sed 's/.*"key":"\([0-9a-f]*\)".*/\1/')
a authority delegate "$key" --name prod --root --passphrase-file pass -o prod.grant
"$aqmesh" verify prod.grant --charter home.charter
a revoke --name prod --root --passphrase-file pass -o prod.revoke
b import prod.revoke

step "bad input"
sed 's/^\(.\{20\}\)./\1!/' borealis.grant >broken.grant
head -c 300 borealis.grant >torn.grant
# One byte of a signed body, changed and armoured again: the encoding holds, the signature does not.
awk '/BEGIN AQMESH REQUEST/{inside=1;next} /END/{inside=0} inside' borealis.request | base64 -d >request.raw
size=$(stat -c %s request.raw)
tail -c 1 request.raw | tr '\000-\377' '\001-\377\000' >last
{ head -c $((size - 1)) request.raw; cat last; } >forged.request
refused 1 'broken.grant: ' b import broken.grant
refused 1 'torn.grant: ' b import torn.grant
refused 1 'signature is wrong' a sign forged.request -o never
refused 1 'start it: aqmesh up' a status
refused 2 'did you mean `status`' a statsu
refused 2 'did you mean `--json`' a status --jsno
[ ! -e never ] || fail "a forged request was signed"

echo "PASSED"
