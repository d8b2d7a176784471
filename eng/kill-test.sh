#!/usr/bin/env bash
# kill-test.sh [N]: kills trainings of each kind and workers of a study with SIGKILL at N random moments each (200), and checks that what
# goes on has the same bits. `make test` does the same at 3.
set -euo pipefail
cd "$(dirname "$0")/.."
. eng/setup.sh
dotnet build tests/SkillLoc.EndToEnd.Tests -c Release -v quiet -clp:NoSummary
SKILLLOC_KILLS=${1:-200} exec dotnet tests/SkillLoc.EndToEnd.Tests/bin/Release/net10.0/SkillLoc.EndToEnd.Tests.dll -class '*KilledTrainingTests' -diagnostics -noColor
