#!/usr/bin/env bash
# The suite of large signatures (tests/support/large_suite.cc) is in no program that this tree builds to be shipped, and
# what it would sign is refused there.
#   no_test_suite.sh APPS_DIR SOURCE_DIR
set -euo pipefail
APPS=$1 SOURCE=$2
fail() { printf 'no_test_suite: %s\n' "$*" >&2; exit 1; }
DIR=$(mktemp -d)
trap 'rm -rf "$DIR"' EXIT

marker=$(sed -n 's/.*\.name = "\([^"]*\)".*/\1/p' "$SOURCE/tests/support/large_suite.cc")
[ -n "$marker" ] || fail "the suite has no name to look for"
programs=0
for program in "$APPS"/aqmesh*; do
  [ -f "$program" ] && [ -x "$program" ] || continue
  programs=$((programs + 1))
  ! grep -qaF "$marker" "$program" || fail "$program has the suite of tests"
done
[ "$programs" -ge 1 ] || fail "no program in $APPS: build them first"
# What is looked for would be seen: a suite that is there is found by its name.
grep -qaF schnorr-ristretto255 "$APPS/aqmesh" || fail "$APPS/aqmesh has no registry at all"

# A revocation's envelope with zeros in it, under three suites; `sig` has the length that each asks for.
envelope() {  # SUITE_VARINT LENGTH_VARINT LENGTH
  printf '0807%s' "10$1"; printf '1a10%032d' 0; printf '220101'; printf '2a%s' "$2"; printf '%0*d' $((2 * $3)) 0
}
look() { printf '%s' "$1" | python3 -c 'import sys; sys.stdout.buffer.write(bytes.fromhex(sys.stdin.read()))' >"$DIR/o"
  "$APPS/aqmesh" inspect "$DIR/o" 2>&1 || true; }
[[ $(look "$(envelope 81fe03 f412 2420)") == *"not a suite that signs"* ]] || fail "aqmesh reads suite 65281"
[[ $(look "$(envelope 10 40 64)") == *"not a suite that signs"* ]] || fail "aqmesh reads suite 16"
for suite in 01 02; do
  [[ $(look "$(envelope $suite 40 64)") != *"not a suite that signs"* ]] || fail "aqmesh does not read suite $suite"
done
