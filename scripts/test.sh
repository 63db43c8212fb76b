#!/usr/bin/env bash
# Installs what the tests need, and runs them all: formatting, lints, docs, tests. Debian or Ubuntu with a Rust
# toolchain (1.95 or later). What cannot be had is named at the end as skipped, and never counts as passed.
set -euo pipefail
cd "$(dirname "$0")/.."

skipped=()

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo -n "$@"; else return 1; fi
}

install() { # package, command that it brings
  command -v "$2" >/dev/null && return 0
  echo "installing $1"
  { as_root apt-get update -qq && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$1"; } \
    >/dev/null 2>&1 && command -v "$2" >/dev/null
}

# reqwest's TLS builds a little C; the page's test drives a real browser.
command -v cc >/dev/null || install gcc cc || { echo "a C compiler is needed: apt-get install gcc" >&2; exit 1; }
{ install chromium chromium && install chromium-driver chromedriver; } ||
  skipped+=("the page in a browser: chromium and chromium-driver cannot be installed here")

if cargo fmt --version >/dev/null 2>&1; then cargo fmt --all --check; else skipped+=("formatting: no rustfmt"); fi
if cargo clippy --version >/dev/null 2>&1; then
  cargo clippy --workspace --all-targets --all-features --quiet -- -D warnings
else
  skipped+=("lints: no clippy")
fi
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet
cargo test --workspace --all-features --no-fail-fast
if install valgrind valgrind; then
  cargo xtask bench --instructions
else
  skipped+=("whether the hot paths got slower: valgrind cannot be installed here")
fi
bash scripts/schemathesis.sh || {
  [ $? = 77 ] || exit 1
  skipped+=("the gateway against its document: schemathesis cannot be installed here")
}

for what in "${skipped[@]}"; do echo "skipped: $what"; done
