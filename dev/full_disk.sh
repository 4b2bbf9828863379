#!/usr/bin/env bash
# Lets the disk of a broker's store run full, a real one of a few megabytes: what cannot be kept is
# refused, what was acknowledged is there, also after the process was killed, and once there is room
# again it goes on. Needs root, which may mount; nothing is mounted where others see it.
#
# TIDEGATE names a binary in the place of one that is built.
set -euo pipefail
cd "$(dirname "$0")/.."

DISK_MIB=96
BALLAST_MIB=16
PAYLOAD_KIB=256
MESSAGES_MAX=1000
WAIT_SECONDS=20

if [ "${1:-}" != inside ]; then
  if [ -z "${TIDEGATE:-}" ]; then
    cargo build --release
    TIDEGATE=$PWD/target/release/tidegate
  fi
  export TIDEGATE
  exec unshare --mount --propagation private "$0" inside
fi

directory=$(mktemp -d)
clean_up() {
  kill -KILL "${server:-}" 2>/dev/null || true
  wait 2>/dev/null || true
  cd /
  umount "$directory/disk" || true
  rm -rf "$directory"
}
trap clean_up EXIT
mkdir "$directory/disk"
mount -t tmpfs -o "size=${DISK_MIB}m" tmpfs "$directory/disk"
cat >"$directory/tidegate.toml" <<'CONFIG'
[admin]
listen = "unix:admin.sock"

[servers.broker]
protocol = "mqtt"
listen = ["unix:mqtt.sock"]
durability = "fsync"
data_directory = "disk/store"
CONFIG
cd "$directory"
head -c "${BALLAST_MIB}M" /dev/zero >disk/ballast
head -c "${PAYLOAD_KIB}K" /dev/urandom >payload

fail() { echo "full disk: $*"; exit 1; }
tidegate() { "$TIDEGATE" "$@" --admin unix:admin.sock; }
# until_true COMMAND...: tries until it succeeds.
until_true() {
  local deadline=$((SECONDS + WAIT_SECONDS))
  until "$@" >/dev/null 2>&1; do
    kill -0 "$server" 2>/dev/null || fail "the process ended"
    [ "$SECONDS" -lt "$deadline" ] || fail "in vain within $WAIT_SECONDS s: $*"
    sleep 0.1
  done
}
start() {
  "$TIDEGATE" run --config tidegate.toml --log warn 2>log &
  server=$!
  until_true tidegate mqtt retained
}
publish() { tidegate mqtt publish "$1" --retain --qos 1 <payload; }
# Every message that was acknowledged is listed, whole.
all_are_there() {
  local topic
  tidegate mqtt retained --limit 1000 >listed
  for topic in "${kept[@]}"; do
    grep -qE "^$((PAYLOAD_KIB * 1024)) +$topic\$" listed || { wc -l listed; fail "$topic was acknowledged and is lost"; }
  done
}

start
kept=()
refused=''
for number in $(seq "$MESSAGES_MAX"); do
  if publish "kept/$number" >said 2>&1; then
    kept+=("kept/$number")
  else
    refused=$number
    break
  fi
done
[ -n "$refused" ] || fail "$MESSAGES_MAX messages of $PAYLOAD_KIB KiB found room in $DISK_MIB MiB"
[ "${#kept[@]}" -gt 10 ] || { cat said log; fail "only ${#kept[@]} messages found room"; }
grep -q "the store cannot take the message" said || { cat said; fail "the refusal does not say why"; }
kill -0 "$server" || fail "the process ended of it"
all_are_there

rm disk/ballast
until_true publish kept/again
kept+=(kept/again)
kill -KILL "$server"
wait "$server" 2>/dev/null || true
start
all_are_there
kill -TERM "$server"
wait "$server"
echo "full disk: ${#kept[@]} messages acknowledged, none lost"
