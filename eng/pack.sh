#!/usr/bin/env bash
# pack.sh [ARGS]: writes the NuGet packages into artifacts/packages. ARGS go to `dotnet pack`: -p:Version=1.2.3, and where the sources
# are public -p:RepositoryUrl=... with the address that a browser opens, which is then in the packages.
set -euo pipefail
cd "$(dirname "$0")/.."
. eng/setup.sh
eng/mkl.sh     # goes into a package, whatever this processor is
packages=artifacts/packages
rm -rf "$packages"
dotnet pack eng/packages.slnf -c Release -o "$packages" -v quiet -clp:NoSummary "$@"
ls -sh1 "$packages"
