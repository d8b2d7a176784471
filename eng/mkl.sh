#!/usr/bin/env bash
# mkl.sh: makes artifacts/native/libskilloc_mkl.so, for MKL's fast code on AMD's processors (README, Threads and kernels).
set -euo pipefail
cd "$(dirname "$0")/.."
helper=artifacts/native/libskilloc_mkl.so source=eng/native/mkl_on_amd.c
[ ! "$helper" -nt "$source" ] || exit 0
eng/install.sh gcc:gcc
mkdir -p artifacts/native
gcc -shared -fPIC -O2 -nostdlib -o "$helper.tmp" "$source"
mv "$helper.tmp" "$helper"
echo "[setup] made $helper: MKL's fast code on AMD's processors (SKILLLOC_MKL_ON_AMD=0 turns it off)"
