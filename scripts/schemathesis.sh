#!/usr/bin/env bash
# Holds the running gateway against its own OpenAPI document with schemathesis: no 5xx, and no answer that the document
# does not name. Exits with 1 on a finding, and with 77 where schemathesis cannot be installed.
#
# usage: scripts/schemathesis.sh [EXAMPLES for each operation]
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD

examples=${1:-20}
seed=7
version=4.32.5
venv=target/schemathesis
gateway=${CARGO_TARGET_DIR:-target}/debug/verify-gateway

if ! "$venv/bin/schemathesis" --version 2>/dev/null | grep -qF "$version"; then
  echo "installing schemathesis $version into $venv"
  { python3 -m venv --clear "$venv" && "$venv/bin/pip" install --quiet "schemathesis==$version"; } || exit 77
fi
cargo build --quiet -p verify-gateway --bin verify-gateway

scratch=$(mktemp -d)
cleanup() {
  kill "${pid:-}" 2>/dev/null || true
  wait "${pid:-}" 2>/dev/null || true
  rm -rf "$scratch"
}
trap cleanup EXIT

# Wide enough that most requests are answered by what they ask for and not by a limit.
cat >"$scratch/policy.toml" <<'POLICY'
version = 1
[lockout]
waits = { 1 = "0s", 1000 = "15m" }
[channels]
enabled = ["sms", "call", "whatsapp", "email"]
[[limit]]
name = "sends_per_ip"
max = "unlimited"
[[limit]]
name = "checks_per_ip"
max = "unlimited"
[[limit]]
name = "sends_per_service"
max = "unlimited"
[[limit]]
name = "sends_per_prefix"
max = "unlimited"
[[limit]]
name = "sends_per_destination"
max = 100000
[[limit]]
name = "sends_per_destination_day"
max = 1000000
[[limit]]
name = "sends_per_subject"
max = "unlimited"
[[limit]]
name = "checks_per_identity"
max = 100000
[[limit]]
name = "resend_gap"
max = 1
per = "1ms"
POLICY

VERIFY_FLOOD_SHIELD=off "$gateway" --listen 127.0.0.1:0 --config "$scratch/policy.toml" 2>"$scratch/log" &
pid=$!
for _ in $(seq 100); do
  grep -q '"listening"' "$scratch/log" && break
  kill -0 "$pid" || { cat "$scratch/log" >&2; exit 1; }
  sleep 0.1
done
url=$(grep -o 'http://127.0.0.1:[0-9]*' "$scratch/log" | head -n 1)

# Every check but one: positive_data_acceptance wants what fits the schema to be taken, and no schema says which texts
# are numbers, codes and ids, or which fields go together.
# Its health checks are about how quickly values are found, which depends on the machine.
cd "$scratch"
SCHEMATHESIS_HOOKS=$root/scripts/schemathesis_hooks.py "$root/$venv/bin/schemathesis" run "$url/openapi.json" \
  --checks all --exclude-checks positive_data_acceptance --suppress-health-check all \
  --max-examples "$examples" --seed "$seed" --workers 1 --continue-on-failure \
  --generation-database none --no-color

# A run in which nobody gets through would show little.
metrics=$(curl -fsS "$url/metrics" | grep '^verify_commands_total')
echo "$metrics"
grep -qF 'command="send",answer="sent"' <<<"$metrics" || { echo "no send was sent" >&2; exit 1; }
