#!/usr/bin/env bash
# Measures SkillLoc against plain TorchSharp, PyTorch and ONNX Runtime on this machine (benchmarks/README.md) and writes
# artifacts/bench/results.md. Arguments go to benchmarks/compare.py: --threads N, --rounds N, --only TEXT. Needs root (eng/sid.sh).
set -euo pipefail
cd "$(dirname "$0")/.."
. eng/setup.sh
eng/sid.sh true
dotnet build benchmarks/SkillLoc.Benchmarks -c Release -v quiet -clp:NoSummary
program=benchmarks/SkillLoc.Benchmarks/bin/Release/net10.0/SkillLoc.Benchmarks
work=artifacts/bench
[ -f "$work/minilm/tuned/model.safetensors" ] || "$program" write-from "$work/minilm" minilm
[ -f "$work/roberta/tuned/model.safetensors" ] || "$program" write "$work/roberta"
eng/install.sh python3:python3
exec /usr/bin/python3 benchmarks/compare.py "$program" "$work" "$work/results.md" "$@"
