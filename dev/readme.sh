#!/usr/bin/env bash
# Does what README.md promises: its first command starts a server, and each `curl` line it prints
# is answered; then the server is asked to stop and must do so cleanly.
set -euo pipefail
cd "$(dirname "$0")/.."

WAIT_SECONDS=60
commands=$(awk '/^```/ { on = /^```(sh|bash|console)$/ && !on; next } on' README.md | sed -E 's/^\$ //; s/[[:space:]]+#.*//')
first=$(grep -m1 '^cargo run' <<<"$commands")
[ "$first" = "cargo run --release" ] || { echo "README.md: the first command is '$first', not 'cargo run --release'"; exit 1; }
grep -qx 'cargo test --workspace' <<<"$commands" || { echo "README.md: 'cargo test --workspace' is missing"; exit 1; }
mapfile -t requests < <(grep '^curl ' <<<"$commands")
[ "${#requests[@]}" -gt 0 ] || { echo "README.md: no curl line to try"; exit 1; }

cargo build --release
cargo run --release & # cargo replaces itself with the server, so this is the server's pid
server=$!
trap 'kill -KILL "$server" 2>/dev/null || true' EXIT

ask() { bash -c "curl --silent --show-error --fail --max-time 10 ${1#curl }"; }
deadline=$((SECONDS + WAIT_SECONDS))
until ask "${requests[0]}" >/dev/null 2>&1; do
  kill -0 "$server" || { echo "the server ended before it answered"; exit 1; }
  [ "$SECONDS" -lt "$deadline" ] || { echo "no answer within $WAIT_SECONDS s"; exit 1; }
  sleep 0.2
done
for request in "${requests[@]}"; do
  echo "\$ $request"
  ask "$request"
  echo
done

kill -TERM "$server"
status=0
wait "$server" || status=$?
trap - EXIT
[ "$status" = 0 ] || { echo "the server ended with status $status after SIGTERM"; exit 1; }
