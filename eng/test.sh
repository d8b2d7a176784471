#!/usr/bin/env bash
# Builds everything with warnings as errors, runs every test project, ends with one line of totals read from the result files.
# Arguments go to `dotnet test`, such as --filter-class '*GraftMask*'.
set -uo pipefail
cd "$(dirname "$0")/.."
results=artifacts/test-results
rm -rf "$results"
. eng/setup.sh
eng/gomp.sh
dotnet tool restore >/dev/null && dotnet csharpier check . --log-level Error || { echo "make format has something to do"; exit 1; }
dotnet build SkillLoc.MLNet.sln -c Release -v quiet -clp:NoSummary || { echo "the build failed"; exit 1; }
dotnet test --solution SkillLoc.MLNet.sln -c Release --no-build --max-parallel-test-modules 2 \
  --report-xunit-trx --results-directory "$results" "$@"
status=$?
total() { cat "$results"/*.trx 2>/dev/null | grep -o '<Counters [^>]*>' | grep -oE " $1=\"[0-9]+\"" | grep -oE '[0-9]+' | paste -sd+ | sed 's/^$/0/' | { read -r sum; echo $((sum)); }; }
passed=$(total passed) failed=$(total failed) skipped=$(total notExecuted)
[ "$passed" -gt 0 ] && [ "$failed" -eq 0 ] || status=1
if [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then echo "a test run ended with an error"; fi
echo "$passed passed, $failed failed, $skipped skipped" | tee artifacts/test.totals
exit "$status"
