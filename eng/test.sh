#!/usr/bin/env bash
# Builds everything with warnings as errors, runs every test project, ends with one line of totals.
set -uo pipefail
cd "$(dirname "$0")/.."
log=artifacts/test.log
rm -f artifacts/test.totals
eng/setup.sh || exit 1
dotnet build SkillLoc.MLNet.sln -c Release -v quiet -clp:NoSummary || { echo "the build failed"; exit 1; }
dotnet test SkillLoc.MLNet.sln -c Release --no-build -m:1 --logger 'console;verbosity=minimal' "$@" 2>&1 | tee "$log"
status=${PIPESTATUS[0]}
total() { grep -oE "$1: +[0-9]+" "$log" | grep -oE '[0-9]+' | paste -sd+ | sed 's/^$/0/' | { read -r sum; echo $((sum)); }; }
passed=$(total Passed) failed=$(total Failed) skipped=$(total Skipped)
[ "$passed" -gt 0 ] || status=1
[ "$failed" -eq 0 ] || status=1
if [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then echo "a test run ended with an error, see $log"; fi
echo "$passed passed, $failed failed, $skipped skipped" | tee artifacts/test.totals
exit "$status"
