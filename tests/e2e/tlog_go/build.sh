# Builds tlog_go, with a Go that is new enough; sourced, not run. Ends with 77 where that cannot be had.
#   build_tlog_go OUT SCRATCH
# shellcheck shell=bash

build_tlog_go() {
  local out=$1 dir=$2 go minor wanted module root
  skip() { echo "skipped: $*"; exit 77; }
  cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" || exit 1
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
  timeout 600 nice "$go" build -mod=readonly -o "$out" . >"$dir/log" 2>&1 || { cat "$dir/log" >&2; exit 1; }
  cd - >/dev/null || exit 1
}
