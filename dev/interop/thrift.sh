#!/usr/bin/env bash
# The Thrift gateway between other implementations. PYTHON has the packages thrift (Apache
# Thrift's own) and thriftpy2; .ci/run installs both. Nothing is installed here.
set -euo pipefail
cd "$(dirname "$0")/../.."

PYTHON=${PYTHON:-python3}
binary=${TIDEGATE:-target/debug/tidegate}
[ -n "${TIDEGATE:-}" ] || cargo build --locked -p tidegate
PYTHONDONTWRITEBYTECODE=1 "$PYTHON" dev/interop/thrift/through_the_gateway.py "$binary"
