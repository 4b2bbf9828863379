#!/usr/bin/env bash
# Rules of STYLE.md that no compiler checks. Each message says what to do instead.
set -uo pipefail
cd "$(dirname "$0")/.."

FILE_LINES_MAX=600
failed=0
fail() { printf '%s\n' "tidy: $*"; failed=1; }

# Tracked files and new ones that are not ignored.
files() { git ls-files --cached --others --exclude-standard -- "$@" | while read -r f; do [ -f "$f" ] && echo "$f"; done; }
# A source file up to its test module, comments left out.
shipped() { awk '/^#\[cfg\(test\)\]/ { exit } { print }' "$1" | sed -E 's@^[[:space:]]*//.*@@'; }

mapfile -t rust < <(files '*.rs')
mapfile -t text < <(files '*.rs' '*.md' '*.toml' '*.sh' '.ci/*' | grep -v '^dev/tidy.sh$')

while IFS= read -r hit; do fail "$hit: make the example compile, or use text"; done \
  < <(grep -nE '```(rust,)?ignore' "${text[@]}")
while IFS= read -r hit; do fail "$hit: mend it or track it; no notes to self"; done \
  < <(grep -nwE 'FIXME|TODO|XXX|HACK' "${text[@]}")
while IFS= read -r hit; do fail "$hit: a test runs or goes"; done \
  < <(grep -nE '^\s*#\[ignore' "${rust[@]}")

for file in "${rust[@]}"; do
  lines=$(wc -l <"$file")
  [ "$lines" -le "$FILE_LINES_MAX" ] || fail "$file: $lines lines, at most $FILE_LINES_MAX: split it by concept"
  case $(basename "$file") in
    mod.rs) fail "$file: use $(dirname "$file").rs beside its folder" ;;
    util.rs | utils.rs | common.rs | helper.rs | helpers.rs | manager.rs | misc.rs)
      fail "$file: name it after the one concept in it" ;;
  esac
done

# `unsafe` has one home. A test that counts allocations is the exception: GlobalAlloc is an unsafe trait.
for file in "${rust[@]}"; do
  case $file in crates/runtime/* | */tests/*alloc*.rs | */tests/*leak*.rs | fuzz/*) continue ;; esac
  hits=$(sed -E 's@//.*@@; s/"[^"]*"//g' "$file" | grep -nE '\bunsafe\b') \
    && fail "$file:${hits%%:*}: unsafe belongs in crates/runtime"
done
for root in crates/*/src/lib.rs crates/*/src/main.rs dev/*/src/lib.rs dev/*/src/main.rs; do
  [ -f "$root" ] || continue
  case $root in crates/runtime/*) continue ;; esac
  grep -q '^#!\[forbid(unsafe_code)\]' "$root" || fail "$root: add #![forbid(unsafe_code)]"
done

# Dependencies point down. Development dependencies may point anywhere.
may_use() {
  case $1 in
    service | supervisor) echo ;;
    runtime) echo "service" ;;
    http | orchestrator) echo "service runtime" ;;
    gateway) echo "service runtime http thrift" ;;
    thrift | mqtt | tower) echo "service runtime http" ;;
    *) echo "service runtime http orchestrator supervisor gateway thrift mqtt" ;;
  esac
}
for manifest in crates/*/Cargo.toml; do
  crate=$(basename "$(dirname "$manifest")")
  for used in $(awk '/^\[/ { on = ($0 == "[dependencies]") } on && /^tidegate-/ { sub(/^tidegate-/, ""); sub(/[^a-z].*/, ""); print }' "$manifest"); do
    [[ " $(may_use "$crate") " == *" $used "* ]] || fail "$manifest: $crate may not depend on $used"
  done
done

# What crates.io and docs.rs show of a crate; code in its README is compiled, its examples run.
for manifest in crates/*/Cargo.toml; do
  crate=$(dirname "$manifest")
  for key in description documentation readme keywords categories; do
    grep -q "^$key = " "$manifest" || fail "$manifest: say its $key"
  done
  [ -f "$crate/README.md" ] || { fail "$crate: write a README.md"; continue; }
  if grep -q '^```rust' "$crate/README.md"; then
    grep -qF 'include_str!("../README.md")' "$crate/src/lib.rs" || fail "$crate/src/lib.rs: compile the code in README.md"
  fi
  for example in "$crate"/examples/*.rs; do
    [ -f "$example" ] || continue
    name=$(basename "$example" .rs)
    grep -rqF "\"$name\"" "$crate/tests" || fail "$example: let a test in $crate/tests run it"
    grep -qF "$example" README.md || fail "$example: name it in README.md"
  done
done

# Pure rooms: bytes and time come in as arguments.
for file in $(files 'crates/http/src/h1/codec*' 'crates/*/src/codec*' 'crates/mqtt/src/broker*' 'crates/supervisor/src/machine*' |
  grep '\.rs$' | grep -vE '/tests(\.rs|/)'); do
  hits=$(shipped "$file" | grep -nE 'tokio|std::(thread|fs|net::(Tcp|Udp|ToSocketAddrs)|time::(Instant|SystemTime))|tidegate_runtime|Instant::now') \
    && fail "$file:${hits%%:*}: a codec or a core names no socket, clock, thread or runtime"
done
# Only runtime reads clocks; elsewhere on the data path a system call per request would be lost.
for file in $(files 'crates/http/src' 'crates/gateway/src' 'crates/service/src' | grep '\.rs$' | grep -vE '(^|/)tests?(\.rs|/)'); do
  case $file in
    crates/gateway/src/access_log/writer.rs) continue ;; # a thread of its own
    crates/gateway/src/resolve*) continue ;;             # the control thread
  esac
  hits=$(shipped "$file" | grep -nE '\b(Instant|SystemTime)::now\(') \
    && fail "$file:${hits%%:*}: use tidegate_runtime::clock"
done

# What the README tells people to run is what CI runs.
if [ -f README.md ]; then
  while IFS= read -r command; do
    grep -qF -- "$command" .ci/run dev/readme.sh || fail "README.md: CI does not run '$command'"
  done < <(awk '/^```/ { on = /^```(sh|bash|console)$/ && !on; next } on' README.md | sed -E 's/^\$ //; s/[[:space:]]+#.*//' | grep '^cargo ')
else
  fail "README.md is missing"
fi

[ "$failed" = 0 ] && echo "tidy: ${#rust[@]} Rust files are in order"
exit "$failed"
