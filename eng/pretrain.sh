#!/usr/bin/env bash
# Trains a masked language model from text files: `make pretrain ARGS="--text FILE --out FOLDER"`; --help lists the options.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/eng/setup.sh"
dotnet build "$root/examples/Pretrain/Pretrain.csproj" -c Release -v quiet -clp:NoSummary
exec dotnet "$root/examples/Pretrain/bin/Release/net10.0/Pretrain.dll" "$@"
