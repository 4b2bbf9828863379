#!/usr/bin/env bash
# The Thrift gateway between other implementations: Apache Thrift's Python library and
# thriftpy2, installed below target/. Ends with status 77 where they cannot be.
set -euo pipefail
cd "$(dirname "$0")/../.."

THRIFT_VERSION=0.25.0
THRIFTPY2_VERSION=0.7.1
venv=target/interop/thrift-$THRIFT_VERSION-$THRIFTPY2_VERSION

if ! [ -f "$venv/complete" ]; then
  if ! python3 -m venv "$venv" || ! "$venv/bin/pip" install --quiet --disable-pip-version-check \
    "thrift==$THRIFT_VERSION" "thriftpy2==$THRIFTPY2_VERSION"; then
    echo "the Python implementations of Thrift cannot be installed here"
    exit 77
  fi
  touch "$venv/complete"
fi
cargo build --quiet --locked -p tidegate
PYTHONDONTWRITEBYTECODE=1 "$venv/bin/python" dev/interop/thrift/through_the_gateway.py target/debug/tidegate
