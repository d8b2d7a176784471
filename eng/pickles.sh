#!/usr/bin/env bash
# Reads checkpoints that PyTorch itself writes and compares every value. Each argument is the root of a system with python3 and PyTorch
# (a folder made by debootstrap; as root), or / for this one. Without arguments, this one.
# usage: eng/pickles.sh [ROOT...]
set -eu
cd "$(dirname "$0")/.."
. eng/setup.sh
export OMP_NUM_THREADS=1
dotnet build tests/Fuzz -c Release -v quiet -clp:NoSummary
for root in "${@:-/}"; do
  work=$(mktemp -d "${root%/}/tmp/skillloc-pickles-XXXXXX")
  inside=/tmp/${work##*/}
  cp eng/pickles.py "$work/"
  if [ "$root" = / ]; then
    python3 "$inside/pickles.py" "$inside"
  else
    chroot "$root" python3 "$inside/pickles.py" "$inside"
  fi
  dotnet tests/Fuzz/bin/Release/net10.0/Fuzz.dll check "$work" || { echo "the files are in $work" >&2; exit 1; }
  rm -r "$work"
done
