#!/usr/bin/env bash
# Our transparency log before other people's programs: Go's sumdb/note and sumdb/tlog, transparency-dev's formats,
# merkle and witness, at the versions that tlog_go/go.sum pins. Needs no root and no namespaces; Go, and the modules in
# its cache or a proxy to fetch them from.
# Usage: tlog_go_e2e.sh BUILD_DIR
set -euo pipefail

build=$(realpath "${1:?usage: tlog_go_e2e.sh BUILD_DIR}")
tool=$build/tests/tlog_tool
[ -x "$tool" ] || { echo "tlog_go_e2e: no tlog_tool in $build/tests; build it first: ./dev build" >&2; exit 1; }
dir=$(mktemp -d /tmp/aqmesh-tlog_go.XXXXXX)
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM

. "$(dirname "$(readlink -f "$0")")/tlog_go/build.sh"
build_tlog_go "$dir/tlog_go" "$dir"
# Their witness writes the whole of what it refuses to stderr.
"$dir/tlog_go" "$tool" "$dir/logs" 2>"$dir/log" || { grep -v '^E[0-9]\|^\[' "$dir/log" >&2; exit 1; }
