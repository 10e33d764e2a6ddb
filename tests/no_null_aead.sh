#!/usr/bin/env bash
# The AEAD that seals nothing (bench/null) is in no program that this tree builds to be shipped, and cannot get there
# by chance.
#   no_null_aead.sh APPS_DIR SOURCE_DIR
set -euo pipefail
APPS=$1 SOURCE=$2
FILE=$SOURCE/bench/null/aead_null.cc
fail() { printf 'no_null_aead: %s\n' "$*" >&2; exit 1; }

marker=$(sed -n 's/.*BackendName.*return "\([^"]*\)".*/\1/p' "$FILE")
[ -n "$marker" ] || fail "BackendName of $FILE names nothing to look for"
programs=0
for program in "$APPS"/aqmesh*; do
  [ -f "$program" ] && [ -x "$program" ] || continue
  programs=$((programs + 1))
  ! grep -qaF "$marker" "$program" || fail "$program seals nothing"
done
[ "$programs" -ge 5 ] || fail "$programs programs in $APPS: build them first"
# What is looked for would be seen: the real one's answer to the same question is there.
for program in "$APPS"/{aqmesh-wg,aqmeshd}; do
  grep -qaF 'avx512 and ipsec-mb' "$program" || fail "$program has no AEAD at all"
done

! "${CXX:-c++}" -std=c++20 -fsyntax-only -I "$SOURCE" "$FILE" 2>/tmp/no_null_aead.$$ || fail "$FILE compiles without its macro"
said=$(cat /tmp/no_null_aead.$$); rm -f /tmp/no_null_aead.$$
[[ $said == *"seals nothing"* ]] || fail "$FILE was refused for another reason: $said"

who=$(cd "$SOURCE" && grep -lE 'aead_null|NULL_AEAD' CMakeLists.txt CMakePresets.json cmake/* ./*/CMakeLists.txt ./*/*/CMakeLists.txt)
[ "$who" = ./bench/CMakeLists.txt ] || fail "named by more than bench/CMakeLists.txt: $who"
grep -q '^option(AQMESH_BENCH .* OFF)' "$SOURCE/CMakeLists.txt" || fail "AQMESH_BENCH is not off by default"
! grep '"name": "release"' "$SOURCE/CMakePresets.json" | grep -q AQMESH_BENCH || fail "the release preset builds bench/"
