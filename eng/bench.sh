#!/usr/bin/env bash
# Measures SkillLoc against PyTorch on this machine (benchmarks/README.md) and writes artifacts/bench/results.md.
# Arguments go to benchmarks/compare.py: --threads N, --rounds N. On a busy machine --threads 1 compares processor time.
set -euo pipefail
cd "$(dirname "$0")/.."
. eng/setup.sh
python=/usr/bin/python3
"$python" -c 'import torch' 2>/dev/null || eng/install.sh python3:python3 /usr/lib/python3/dist-packages/torch/__init__.py:python3-torch
dotnet build benchmarks/SkillLoc.Benchmarks -c Release -v quiet -clp:NoSummary
program=benchmarks/SkillLoc.Benchmarks/bin/Release/net10.0/SkillLoc.Benchmarks
work=artifacts/bench/work
[ -f "$work/tuned/model.safetensors" ] || "$program" write "$work"
exec "$python" benchmarks/compare.py "$program" "$work" artifacts/bench/results.md "$@"
