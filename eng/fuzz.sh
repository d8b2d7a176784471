#!/usr/bin/env bash
# Reads mutants of every kind of file for SECONDS (3600) on one core, at the lowest priority, and adds what was done to
# artifacts/fuzz/executions.tsv; what is found lies in artifacts/fuzz/findings.
# usage: eng/fuzz.sh [SECONDS] [further arguments of tests/Fuzz, such as --targets torch,pickle]
set -eu
cd "$(dirname "$0")/.."
. eng/setup.sh
seconds=${1:-3600}
shift || true
export OMP_NUM_THREADS=1 DOTNET_gcServer=0
dotnet build tests/Fuzz -c Release -v quiet -clp:NoSummary
mkdir -p artifacts/fuzz
exec nice -n 19 dotnet tests/Fuzz/bin/Release/net10.0/Fuzz.dll --seconds "$seconds" --seed "$(date +%s)" \
  --record artifacts/fuzz/executions.tsv --findings artifacts/fuzz/findings "$@"
