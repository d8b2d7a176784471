#!/usr/bin/env bash
# native.sh: makes artifacts/native/, what this machine lacks to run TorchSharp and to run it fast; eng/setup.sh puts it to use.
set -euo pipefail
cd "$(dirname "$0")/.."
native=artifacts/native
[ "$(uname -sm)" = "Linux x86_64" ] || exit 0

system=$(eng/libstdcxx.sh)
if [ -n "$system" ]; then
  eng/install.sh gcc:gcc
  [ -f "$native/libstdc++.so.6" ] || echo "[setup] $system is older than GCC 13's; making $native/libstdc++.so.6 beside it (README, Older Linux)"
  eng/libstdcxx.sh "$native" >/dev/null
fi

# MKL takes slow code on AMD's processors unless it is told otherwise (README, Threads and kernels).
if grep -q AuthenticAMD /proc/cpuinfo && grep -qw avx2 /proc/cpuinfo; then
  eng/mkl.sh
fi
