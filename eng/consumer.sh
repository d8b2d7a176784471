#!/usr/bin/env bash
# A stranger's program (tests/Consumer): with the packages that eng/pack.sh wrote, in artifacts/consumer, outside of the solution, it is
# built from the README's snippet as that stands, trains and saves; a second program loads the model, and once more as a single file.
# Leaves what they predict in artifacts/consumer/run: trained.tsv, loaded.tsv and single.tsv. The snippets of docs/components are compiled beside it.
# The command skillloc is installed from its package and leaves inspected.txt.
set -euo pipefail
cd "$(dirname "$0")/.."
# A test runs this: no build server stays behind and holds its output open.
export MSBUILDDISABLENODEREUSE=1 UseSharedCompilation=false
eng/pack.sh
. eng/setup.sh
root=$PWD consumer=artifacts/consumer
rm -rf "$consumer"
cp -r tests/Consumer "$consumer"
snippets() { awk '/^```csharp$/ { inside = 1; n++; next } /^```$/ { inside = 0 } inside && ('"$1"')' "${@:2}"; }

# The README's first snippet is the program.
{ echo 'using Microsoft.ML.Data;'; snippets 'n == 1' README.md; cat "$consumer/Train/After.cs"; } >"$consumer/Train/Program.cs"
rm "$consumer/Train/After.cs"
[ "$(snippets 'n == 1' README.md | wc -l)" -le 10 ] || { echo "consumer.sh: the README's first snippet has more than 10 lines" >&2; exit 1; }

# A page's snippets are one method, on what Docs/Given.cs has.
for page in docs/components/*.md; do
  name=$(basename "$page" .md)
  [ "$name" = README ] || {
    snippets '/^using [A-Za-z.]+;$/' "$page" | sort -u
    echo "internal static partial class Pages { internal static void ${name//-/_}() {"
    snippets '!/^using [A-Za-z.]+;$/' "$page"
    echo '} }'
  } >"$consumer/Docs/$name.cs"
done

version() { sed -nE "s/$1/\1/p" "$2" | head -1; }
libtorch=$(version '.*libtorch-cpu-linux-x64 --version ([0-9.]+).*' README.md)
ours=$(basename artifacts/packages/SkillLoc.MLNet.*.nupkg .nupkg)
properties=(-p:SkillLocVersion="${ours#SkillLoc.MLNet.}" -p:LibTorchVersion="$libtorch"
  -p:NuGetFolder="$(dotnet nuget locals global-packages --list --force-english-output | sed 's/^global-packages: //')")
dotnet build "$consumer/Consumer.slnx" -c Release -v quiet -clp:NoSummary "${properties[@]}"

# Files that lie beside it, libtorch's, are links to the package's.
dotnet publish "$consumer/Predict" -c Release -v quiet -clp:NoSummary "${properties[@]}" -p:PublishSingleFile=true --self-contained false \
  --use-current-runtime -p:CreateHardLinksForPublishFilesIfPossible=true -o "$consumer/single"
[ ! -e "$consumer/single/Predict.dll" ] || { echo "consumer.sh: the single file is not one" >&2; exit 1; }

run=$consumer/run sst2=../shared/data/sst-2
# For speed a smaller model lies where Checkpoints.MiniLM() would write its own.
export SKILLLOC_CACHE=$root/$run/cache
mkdir -p "$SKILLLOC_CACHE"
cp -r models/mini-roberta "$SKILLLOC_CACHE/all-MiniLM-L6-v2-prompt-1"
touch "$SKILLLOC_CACHE/all-MiniLM-L6-v2-prompt-1/vocab.txt"
if [ -d "$sst2" ]; then
  { printf 'Label\tText\n'; sed -n '2,49p' "$sst2/train.tsv"; } >"$run/train.tsv"
  { printf 'Label\tText\n'; sed -n '2,41p' "$sst2/dev.tsv"; } >"$run/test.tsv"
else
  cp tests/Consumer/rows.tsv "$run/train.tsv"
  cp tests/Consumer/rows.tsv "$run/test.tsv"
fi
# The command, from its package.
dotnet tool install skillloc --tool-path "$consumer/tool" --source artifacts/packages --no-http-cache >/dev/null
"$consumer/tool/skillloc" inspect models/mini-roberta >"$run/inspected.txt"
rm -r "$consumer/tool"     # 1 GB

cd "$run"
export OMP_NUM_THREADS=1     # for a model this small threads would only wait for each other
dotnet ../Train/bin/Release/net10.0/Train.dll
../single/Predict
mv loaded.tsv single.tsv
dotnet ../Predict/bin/Release/net10.0/Predict.dll
