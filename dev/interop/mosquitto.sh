#!/usr/bin/env bash
# mosquitto_pub and mosquitto_sub against the broker: both versions, every QoS, TCP and TLS.
# They do not speak WebSocket. Called by mqtt.sh, which says where the broker listens.
set -euo pipefail

TIMEOUT_SECONDS=20
output=$(mktemp)
trap 'rm -f "$output"' EXIT
count=0

# eventually WORDS: waits until the subscriber has printed them.
eventually() {
  local deadline=$((SECONDS + TIMEOUT_SECONDS))
  until grep -q "$1" "$output"; do
    [ "$SECONDS" -lt "$deadline" ] || { echo "mosquitto_sub does not say '$1'"; cat "$output"; exit 1; }
    sleep 0.05
  done
}

for transport in tcp tls; do
  if [ "$transport" = tcp ]; then
    where=(-h "${INTEROP_TCP%:*}" -p "${INTEROP_TCP##*:}")
  else
    where=(-h localhost -p "${INTEROP_TLS##*:}" --cafile "$INTEROP_CA")
  fi
  for version in mqttv311 mqttv5; do
    for qos in 0 1 2; do
      topic=interop/mosquitto/$transport/$qos
      options=("${where[@]}" -V "$version" -q "$qos" -t "$topic")
      : >"$output" # the subscriber before said the same
      # By lines, or they would come when it ends.
      stdbuf -oL mosquitto_sub "${options[@]}" -d -C 3 -W "$TIMEOUT_SECONDS" -F 'got %q %r %p' >>"$output" 2>&1 &
      subscriber=$!
      eventually '^Subscribed'
      mosquitto_pub "${options[@]}" -m one
      printf 'two\nthree\n' | mosquitto_pub "${options[@]}" -l
      wait "$subscriber" || { echo "mosquitto_sub failed"; cat "$output"; exit 1; }
      diff <(grep '^got' "$output") <(printf "got $qos 0 %s\n" one two three)
      # What is retained waits for who comes later, until it is taken back.
      mosquitto_pub "${options[@]}" -r -m kept
      [ "$(mosquitto_sub "${options[@]}" -C 1 -W "$TIMEOUT_SECONDS" -F '%q %r %p')" = "$qos 1 kept" ]
      mosquitto_pub "${options[@]}" -r -n
      count=$((count + 1))
    done
  done
done
echo "mosquitto_pub and mosquitto_sub: $count combinations"
