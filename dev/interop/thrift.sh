#!/usr/bin/env bash
# The Thrift gateway between other implementations. PYTHON has the packages thrift (Apache
# Thrift's own) and thriftpy2; .ci/run installs both. Where there are Apache Thrift's compiler
# and its C++ library, what the one generates for the other takes part. Nothing is installed here.
set -euo pipefail
cd "$(dirname "$0")/../.."

PYTHON=${PYTHON:-python3}
binary=${TIDEGATE:-target/debug/tidegate}
[ -n "${TIDEGATE:-}" ] || cargo build --locked -p tidegate

# generated DIRECTORY: has the compiler generate the store there, and builds it.
generated() {
  local sources=dev/interop/thrift
  thrift --gen cpp:no_skeleton -out "$1" "$sources/store.thrift"
  c++ -std=c++17 -O0 -I "$1" -o "$1/generated" \
    "$sources/generated.cpp" "$1"/*.cpp -lthrift -lpthread
}

if command -v thrift >/dev/null && [ -e /usr/include/thrift/Thrift.h ] &&
  [ -e /usr/include/boost/version.hpp ]; then
  directory=$(mktemp -d)
  trap 'rm -rf "$directory"' EXIT
  thrift --version
  generated "$directory"
  export GENERATED="$directory/generated"
else
  echo "SKIPPED: no thrift compiler, or no libthrift: nothing generated takes part"
fi
PYTHONDONTWRITEBYTECODE=1 "$PYTHON" dev/interop/thrift/through_the_gateway.py "$binary"
