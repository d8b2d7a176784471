#!/usr/bin/env bash
# study.sh NAME [ARGS]: sets up and runs examples/NAME, a study that goes on where it was stopped. ARGS go to it (--help lists them).
set -euo pipefail
cd "$(dirname "$0")/.."
name=$1
shift
. eng/setup.sh
# The letters of pictures need a font.
case $name in
ConnectivityStudy | PublishedModels)
  [ -n "$(find /usr/share/fonts -name '*.[ot]t[fc]' -print -quit 2>/dev/null)" ] ||
    eng/install.sh /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf:fonts-dejavu-core || true
  ;;
esac
dotnet build "examples/$name" -c Release -v quiet -clp:NoSummary
exec dotnet "examples/$name/bin/Release/net10.0/$name.dll" "$@"
