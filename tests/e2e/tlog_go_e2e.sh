#!/usr/bin/env bash
# Our transparency log before other people's programs: Go's sumdb/note and sumdb/tlog, transparency-dev's formats,
# merkle and witness, at the versions that tlog_go/go.sum pins. Needs no root and no namespaces; Go, and the modules in
# its cache or a proxy to fetch them from.
# Usage: tlog_go_e2e.sh BUILD_DIR
set -euo pipefail

build=$(realpath "${1:?usage: tlog_go_e2e.sh BUILD_DIR}")
cd "$(dirname "$(readlink -f "$0")")/tlog_go"
tool=$build/tests/tlog_tool
[ -x "$tool" ] || { echo "tlog_go_e2e: no tlog_tool in $build/tests; build it first: ./dev build" >&2; exit 1; }
dir=$(mktemp -d /tmp/aqmesh-tlog_go.XXXXXX)
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM

skip() { echo "skipped: $*"; exit 77; }
go=$(command -v go || true)
[ -n "$go" ] || { [ ! -x /usr/local/go/bin/go ] || go=/usr/local/go/bin/go; }
[ -n "$go" ] || skip "no Go here (apt-get install golang-go)"

# From 1.21 on Go fetches the toolchain that go.mod asks for. Debian 12's 1.19 does not know how, but can fetch the
# module that it comes in, and verifies it as any other; away from a go.mod that it cannot read.
minor=$(cd "$dir" && "$go" env GOVERSION | sed -n 's/^go1\.\([0-9]*\).*/\1/p')
wanted=$(sed -n 's/^go //p' go.mod)
if [ "${minor:-0}" -lt 21 ]; then
  module=golang.org/toolchain@v0.0.1-go$wanted.linux-$(cd "$dir" && "$go" env GOARCH)
  (cd "$dir" && timeout 600 nice "$go" mod download "$module" >"$dir/log" 2>&1) || skip "$module cannot be had: $(tail -1 "$dir/log")"
  root=$(cd "$dir" && "$go" env GOMODCACHE)/$module
  chmod -R u+x "$root/bin" "$root/pkg/tool"
  go=$root/bin/go
  export GOROOT=$root
elif [ "$minor" -lt "$(cut -d. -f2 <<<"$wanted")" ]; then
  export GOTOOLCHAIN=auto
fi

timeout 600 nice "$go" mod download >"$dir/log" 2>&1 || skip "the modules cannot be had: $(tail -1 "$dir/log")"
timeout 600 nice "$go" build -mod=readonly -o "$dir/tlog_go" . >"$dir/log" 2>&1 || { cat "$dir/log" >&2; exit 1; }
# Their witness writes the whole of what it refuses to stderr.
"$dir/tlog_go" "$tool" "$dir/logs" 2>"$dir/log" || { grep -v '^E[0-9]\|^\[' "$dir/log" >&2; exit 1; }
