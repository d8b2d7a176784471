#!/usr/bin/env bash
# coverage.sh [OUT]: branch coverage of the readers of files (docs/trust.md) by the tests that are theirs, with coverlet. Builds into OUT
# (artifacts/coverage), and writes one line a file: lines, branches, and the lines whose branches are missing.
set -euo pipefail
cd "$(dirname "$0")/.."
. eng/setup.sh
out=$(realpath -m "${1:-artifacts/coverage}")
export OMP_NUM_THREADS=1
mkdir -p "$out"

# cover PROJECT CLASS...: runs classes of a test project. Their names may have wildcards at both ends.
cover() {
  local project=$1
  shift
  dotnet build "tests/$project" -c Release -v quiet -clp:NoSummary -p:RunAnalyzers=false -p:Coverage=true -p:DeterministicSourcePaths=false \
    -o "$out/$project"
  local classes=()
  for class in "$@"; do classes+=(--filter-class "$class"); done
  dotnet "$out/$project/$project.dll" "${classes[@]}" --no-progress --results-directory "$out/results-$project" \
    --coverlet --coverlet-output-format cobertura --coverlet-include "[SkillLoc.*]*" --coverlet-exclude "[*.Tests]*"
}

cover SkillLoc.Models.Tests '*SafetensorsTests' '*SafetensorsPropertyTests' '*TorchCheckpointFileTests' '*HostileCheckpointTests' \
  '*OnnxCheckpointTests' '*OnnxGraphTests' '*OnnxImportTests' '*ModelConfigTests' '*ConfigSizesTests' '*ConfigFieldTests' '*FoundByFuzzingTests' '*DamagedFileTests' '*ReaderBranchTests' \
  '*Tokenizer*' '*TokenSpanTests' '*OddTextTests' '*LargeFileTests' '*Parquet*' '*CompactThriftTests' '*TaskFile*' '*CompressedFileTests' '*PromptTaskFileTests' \
  '*TorchCheckpointReasonTests' '*StoredZipTests' '*PickleReaderTests' '*SafetensorsHeaderTests' '*MetadataFieldsTests' '*TensorStoreTests' \
  '*ConfigReasonTests' '*JsonTextTests' '*StrictTextTests' '*RowReasonTests' '*SentencePieceReasonTests' \
  '*PromptTaskReasonTests' '*PromptTasksTests' '*CheckpointFolderTests' '*TodaysCheckpointTests' \
  '*MergeRecipe*' '*ModelMergeTests' '*Peft*' '*GraftAdapterTests' '*RunRecord*' '*TrainingDynamicsTests' '*Hub*' '*StrangersFolderTests' '*SentenceModuleTests'
cover SkillLoc.Onnx.Tests '*Graft*' '*Damaged*' '*Base*' '*Mapped*' '*EmbeddedSentencePieceTests' '*PromptTests' '*SentencePromptsTests'
cover SkillLoc.Studies.Tests '*'

python3 eng/coverage.py "$out"/results-*/ | tee "$out/readers.tsv"
