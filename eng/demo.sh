#!/usr/bin/env bash
# demo.sh [ARGS]: sets up, fetches the public-domain SpamAssassin corpus once, runs examples/Demo. ARGS go to the demo (--help).
set -euo pipefail
cd "$(dirname "$0")/.."
. eng/setup.sh
if [[ " $* " != *" --data"[\ =]* && " $* " != *" --help "* ]]; then eng/corpus.sh; fi
dotnet build examples/Demo -c Release --verbosity quiet -clp:NoSummary
exec dotnet examples/Demo/bin/Release/net10.0/Demo.dll "$@"
