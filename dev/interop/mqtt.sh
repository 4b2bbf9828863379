#!/usr/bin/env bash
# Clients that others wrote speak MQTT with the real binary, over TCP, TLS, WebSocket and secure
# WebSocket, on loopback ports that the kernel chooses.
#
#   dev/interop/mqtt.sh CLIENT...    mosquitto, paho, aiomqtt, mqttjs
#
# PYTHON has paho-mqtt and aiomqtt, INTEROP_NODE is a directory with mqtt in its node_modules;
# .ci/run installs both. Nothing is installed here.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."

WAIT_SECONDS=20
binary=${TIDEGATE:-target/debug/tidegate}
[ -n "${TIDEGATE:-}" ] || cargo build -p tidegate

place=$(mktemp -d)
server=
finish() {
  [ -z "$server" ] || kill -KILL "$server" 2>/dev/null || true
  rm -rf "$place"
}
trap finish EXIT

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
  -subj /CN=localhost -addext subjectAltName=DNS:localhost \
  -keyout "$place/tls.key" -out "$place/tls.crt" 2>/dev/null

cat >"$place/tidegate.toml" <<'TOML'
[runtime]
workers = 2
pin = false

[servers.tcp]
protocol = "mqtt"
listen = "127.0.0.1:0"

[servers.tls]
protocol = "mqtt"
listen = "127.0.0.1:0"
tls = { certificates = [{ chain = "tls.crt", key = "tls.key" }] }

# As a route of an HTTP server, into the first broker.
[servers.ws]
protocol = "http"
listen = "127.0.0.1:0"
[[servers.ws.routes]]
path = "/mqtt"
broker = "tcp"

# On listeners of its own.
[servers.wss]
protocol = "mqtt"
listen = "127.0.0.1:0"
websocket = { path = "/mqtt" }
tls = { certificates = [{ chain = "tls.crt", key = "tls.key" }] }
TOML

: >"$place/log"
"$binary" run --config "$place/tidegate.toml" --log info --log-format json 2>>"$place/log" &
server=$!

# Where a server listens, as the log says once it does.
address() {
  sed -nE "/\"message\":\"listening\"/{/\"site\":\"$1\"/s/.*\"address\":\"([^\"]+)\".*/\1/p}" "$place/log"
}
deadline=$((SECONDS + WAIT_SECONDS))
for site in tcp tls ws wss; do
  until [ -n "$(address "$site")" ]; do
    kill -0 "$server" && [ "$SECONDS" -lt "$deadline" ] || { echo "it does not listen:"; cat "$place/log"; exit 1; }
    sleep 0.1
  done
  export "INTEROP_${site^^}=$(address "$site")"
done
export INTEROP_CA=$place/tls.crt

for client in "$@"; do
  case $client in
    mosquitto) "$here/mosquitto.sh" ;;
    paho | aiomqtt) PYTHONDONTWRITEBYTECODE=1 "${PYTHON:-python3}" "$here/${client}_client.py" ;;
    mqttjs) node "$here/mqttjs_client.mjs" ;;
    *) echo "no client '$client'"; exit 2 ;;
  esac
done

kill -TERM "$server"
status=0
wait "$server" || status=$?
server=
[ "$status" = 0 ] || { echo "the server ended with status $status after SIGTERM"; cat "$place/log"; exit 1; }
