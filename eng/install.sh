#!/usr/bin/env bash
# install.sh WHAT:PACKAGE ...: installs the Debian package unless WHAT (a command, or a file's path) is there.
set -euo pipefail
missing=()
for pair in "$@"; do
  what=${pair%%:*} package=${pair##*:}
  if [[ $what == /* ]]; then [ -e "$what" ] || missing+=("$package")
  else command -v "$what" >/dev/null || missing+=("$package"); fi
done
[ ${#missing[@]} -eq 0 ] && exit 0
echo "[setup] installing ${missing[*]} (apt-get)"
as_root=(); [ "$(id -u)" = 0 ] || as_root=(sudo)
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
