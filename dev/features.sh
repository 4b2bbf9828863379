#!/usr/bin/env bash
# Each published crate compiles alone, and with each of its features alone: what a feature or a
# dependency needs is said where it is needed, and not by a neighbour in the workspace.
set -euo pipefail
cd "$(dirname "$0")/.."

for manifest in crates/*/Cargo.toml; do
  name=$(sed -n 's/^name = "\(.*\)"/\1/p' "$manifest" | head -n 1)
  mapfile -t features < <(awk '/^\[/ { on = ($0 == "[features]"); next } on && /^[a-z]/ { print $1 }' "$manifest")
  for feature in "" "${features[@]}"; do
    echo "$name ${feature:+with $feature}"
    cargo check --quiet --locked --package "$name" --no-default-features --features "$feature"
  done
done
