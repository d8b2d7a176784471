#!/usr/bin/env bash
# gomp.sh: LightGBM's native library needs libgomp, which a Linux without a compiler may lack.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(uname -s)" = Linux ] || exit 0
/sbin/ldconfig -p | grep -q 'libgomp\.so\.1 ' || eng/install.sh /lib/libgomp.so.1:libgomp1
