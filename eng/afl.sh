#!/usr/bin/env bash
# afl.sh TARGET [SECONDS]: fuzzes one target of tests/Fuzz by AFL++, guided by the branches of SkillLoc's readers, which SharpFuzz instruments in a
# copy of the program. What is found lies in artifacts/afl/TARGET. Needs Debian's afl++ and the tool SharpFuzz.CommandLine 2.3.0, which are
# installed where they are missing.
set -euo pipefail
cd "$(dirname "$0")/.."
. eng/setup.sh
target=$1 seconds=${2:-600}
eng/install.sh afl-fuzz:afl++
tools=$PWD/artifacts/afl/tools folder=$PWD/artifacts/afl/$target program=$PWD/artifacts/afl/program
[ -x "$tools/sharpfuzz" ] || dotnet tool install SharpFuzz.CommandLine --version 2.3.0 --tool-path "$tools"
rm -rf "$program" "$folder/seeds"
mkdir -p "$folder"
dotnet build tests/Fuzz -c Release -v quiet -clp:NoSummary -p:RunAnalyzers=false -o "$program"
dotnet "$program/Fuzz.dll" seeds "$folder/all"
mv "$folder/all/$target" "$folder/seeds"
rm -rf "$folder/all"
for assembly in "$program"/SkillLoc.{Text,Models,Data.Parquet,Onnx,Studies}.dll; do "$tools/sharpfuzz" "$assembly"; done
export OMP_NUM_THREADS=1 AFL_SKIP_BIN_CHECK=1 AFL_SKIP_CPUFREQ=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 AFL_NO_AFFINITY=1 AFL_NO_UI=1
nice -n 19 afl-fuzz -i "$folder/seeds" -o "$folder" -t 60000 -m none -V "$seconds" -- dotnet "$program/Fuzz.dll" afl "$target"
grep -E "execs_done|execs_per_sec|corpus_count|saved_crashes|saved_hangs|bitmap_cvg" "$folder/default/fuzzer_stats"
