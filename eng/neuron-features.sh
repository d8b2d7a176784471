#!/usr/bin/env bash
# neuron-features.sh [ARGS]: sets up, fetches the demo's e-mail once, runs examples/NeuronFeatures. ARGS go to it (--help lists them).
set -euo pipefail
cd "$(dirname "$0")/.."
. eng/setup.sh
eng/gomp.sh
if [[ " $* " != *" --data"[\ =]* && " $* " != *" --help "* ]]; then eng/corpus.sh; fi
dotnet build examples/NeuronFeatures -c Release -v quiet -clp:NoSummary
exec dotnet run -c Release --no-build --project examples/NeuronFeatures -- "$@"
