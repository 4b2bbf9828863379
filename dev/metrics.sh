#!/usr/bin/env bash
# Has the parser of Prometheus's own client library read /metrics of the release binary. Needs
# PYTHON, an interpreter that has the package prometheus_client.
set -euo pipefail
cd "$(dirname "$0")/.."

WAIT_SECONDS=20
PYTHON=${PYTHON:-python3}
directory=$(mktemp -d)
trap 'kill -KILL "${server:-}" 2>/dev/null || true; rm -rf "$directory"' EXIT

cat >"$directory/tidegate.toml" <<'CONFIG'
[admin]
listen = "unix:admin.sock"

[servers.web]
protocol = "http"
listen = ["unix:web.sock"]

[[servers.web.routes]]
prefix = "/"
respond = { status = 200, body = "here\n" }

[servers.broker]
protocol = "mqtt"
listen = ["unix:mqtt.sock"]
durability = "os"
data_directory = "store"
CONFIG

cargo build --release
binary=$PWD/target/release/tidegate
(cd "$directory" && exec "$binary" run --config tidegate.toml --log warn) &
server=$!
ask() { curl --silent --show-error --fail --max-time 10 --unix-socket "$directory/$1.sock" "http://localhost$2"; }
deadline=$((SECONDS + WAIT_SECONDS))
until ask web / >/dev/null 2>&1; do
  kill -0 "$server" || { echo "the server ended before it answered"; exit 1; }
  [ "$SECONDS" -lt "$deadline" ] || { echo "no answer within $WAIT_SECONDS s"; exit 1; }
  sleep 0.1
done
ask admin /metrics | "$PYTHON" dev/metrics/check.py
kill -TERM "$server"
wait "$server"
