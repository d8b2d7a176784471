#!/usr/bin/env bash
# study.sh NAME [--plan PLAN] [ARGS]: sets up, builds the command skillloc and works through a study of examples/NAME with it; without
# --plan the small one. ARGS go to `skillloc study run` (--help lists them). A study that was stopped goes on.
set -euo pipefail
cd "$(dirname "$0")/.."
name=$1
shift
plan=examples/$name/small.json
[ -f "$plan" ] || plan=examples/$name/minilm.json
[ "${1:-}" != --plan ] || { plan=$2; shift 2; }
case $name in
  GraftingStudy) kind=grafting output=artifacts/grafting-study ;;
  SkillNeuronStudy) kind=skill-neurons output=artifacts/skill-neuron-study ;;
  ConnectivityStudy) kind=connectivity output=artifacts/connectivity-study ;;
  MergingStudy) kind=merging output=artifacts/merging-study ;;
  *) echo "study.sh: there is no study $name" >&2; exit 2 ;;
esac
case " $* " in *" --out "* | *" --output "*) ;; *) set -- "$@" --out "$output" ;; esac
. eng/setup.sh
# The letters of pictures need a font.
[ "$name" != ConnectivityStudy ] || [ -n "$(find /usr/share/fonts -name '*.[ot]t[fc]' -print -quit 2>/dev/null)" ] ||
  eng/install.sh /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf:fonts-dejavu-core || true
dotnet build src/SkillLoc.Tool -c Release -v quiet -clp:NoSummary
exec dotnet src/SkillLoc.Tool/bin/Release/net10.0/skillloc.dll study run "$plan" --study "$kind" "$@"
