#!/usr/bin/env bash
# public-api.sh [PROJECT ...]: writes src/*/PublicAPI.Unshipped.txt anew from what the analyser misses, or those of some (Models Trainers). What changed there is what changed for users: read the diff.
set -euo pipefail
cd "$(dirname "$0")/.."
. eng/setup.sh
[ $# -gt 0 ] || set -- Text Models Scoring Onnx Transforms Trainers Evaluators Checkpoints.MiniLM Data.Parquet Studies Reports
dotnet build eng/packages.slnf -c Release -v quiet -clp:NoSummary -p:RunAnalyzers=false     # what each of them is built on
for project; do echo '#nullable enable' >"src/SkillLoc.$project/PublicAPI.Unshipped.txt"; done
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for project; do
  # A message stands between quotes: Symbol '...' is not part of the declared public API.
  dotnet build "src/SkillLoc.$project" -c Release --no-incremental --no-dependencies -v quiet -clp:NoSummary -p:TreatWarningsAsErrors=false -p:WarningsAsErrors= >"$log" || true
  sed -nE "s#.*/src/SkillLoc\.$project/.*warning RS0016: Symbol '(.*)' is not part of the declared public API.*#\1#p" "$log" |
    LC_ALL=C sort -u >>"src/SkillLoc.$project/PublicAPI.Unshipped.txt"
done
wc -l src/*/PublicAPI.Unshipped.txt
