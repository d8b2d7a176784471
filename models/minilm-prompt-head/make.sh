#!/usr/bin/env bash
# Makes this folder's patch.safetensors; README.md says what of. Usage: make.sh DATA WORK
# DATA is the folder of labelled texts, WORK a folder for texts, checkpoints and logs; what is finished there is not done again.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
data=$(realpath "$1") work=$(realpath -m "$2")
. "$root/eng/setup.sh"
mkdir -p "$work"
dotnet build "$root/examples/PromptHead/PromptHead.csproj" -c Release -v quiet -clp:NoSummary
prompt_head() { dotnet "$root/examples/PromptHead/bin/Release/net10.0/PromptHead.dll" "$@"; }
train() { OUT=$work/$1 "$root/models/mini-roberta/make.sh" "$work/$2" "$data" "$work" "${@:3}"; }

[ -d "$work/start" ] || prompt_head begin "$work/start"
[ -d "$work/head" ] || train head start --steps 0 --head-start --lengths 16..64 --held-out 0.003
common=(--train encoder --tokens-per-batch 2048 --held-out 0.005)
train phase1 head "${common[@]}" --minutes 24 --learning-rate 1e-3
train phase2 phase1 "${common[@]}" --minutes 34 --learning-rate 6e-4 --common-share 5e-4 --seed 2
prompt_head patch "$work/start" "$work/phase2" "$here/patch.safetensors"
