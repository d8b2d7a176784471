#!/usr/bin/env bash
# libstdcxx.sh [FOLDER]: TorchSharp 0.107 needs GLIBCXX_3.4.32, which came with GCC 13. Where this system's libstdc++ is older (Debian 12,
# Ubuntu 22.04, RHEL 9), writes FOLDER/libstdc++.so.6: the system's own library and the one symbol that it lacks. Programs find it by
# LD_LIBRARY_PATH=FOLDER. Needs gcc. Prints the path of that file, or nothing where the system's is new enough. Without FOLDER it makes
# nothing and prints the system's library if it is too old.
set -euo pipefail
out=${1:-}
[ "$(uname -sm)" = "Linux x86_64" ] || exit 0

system=$(readlink -f "$(env -u LD_LIBRARY_PATH /sbin/ldconfig -p | sed -n 's/.*libstdc++\.so\.6 (libc6,x86-64.*) => //p' | head -1)")
[ -f "$system" ] || { echo "libstdcxx.sh: this system has no libstdc++.so.6 (Debian's package libstdc++6)" >&2; exit 1; }
versions=$(grep -aoE '(GLIBCXX|CXXABI)_[A-Z0-9_.]+' "$system" | sort -u)
! grep -qx GLIBCXX_3.4.32 <<<"$versions" || exit 0
[ -n "$out" ] || { echo "$system"; exit 0; }
made="made for $(sha256sum "$system" "$0" | cut -c1-64 | paste -sd-)"
[ -f "$out/libstdc++.so.6" ] && [ "$(cat "$out/libstdc++.txt" 2>/dev/null)" = "$made" ] && { echo "$out/libstdc++.so.6"; exit 0; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# An empty library of the system library's file name, so that ours needs it by that name and not by the name that it takes itself.
gcc -shared -nostdlib -o "$work/stub.so" -Wl,-soname,"$(basename "$system")" -x c /dev/null
{ for version in $versions GLIBCXX_3.4.31; do echo "$version {};"; done | sort -u
  echo 'GLIBCXX_3.4.32 { global: _ZSt21ios_base_library_initv; };'; } >"$work/versions"
# With GCC 13 a program calls this where it included <iostream>; before, it constructed a std::ios_base::Init of its own.
gcc -shared -fPIC -O2 -nostdlib -o "$work/libstdc++.so.6" -Wl,-soname,libstdc++.so.6 -Wl,--version-script,"$work/versions" \
  -Wl,--no-as-needed -x c - -x none "$work/stub.so" <<'C'
void _ZNSt8ios_base4InitC1Ev(void *);
void _ZSt21ios_base_library_initv(void) { static char init[16]; _ZNSt8ios_base4InitC1Ev(init); }
C
mkdir -p "$out"
mv "$work/libstdc++.so.6" "$out/libstdc++.so.6"
echo "$made" >"$out/libstdc++.txt"
echo "$out/libstdc++.so.6"
