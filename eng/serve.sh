#!/usr/bin/env bash
# serve.sh [ARGS]: sets up and runs examples/Serve. With no folder of skills named it serves artifacts/serve/skills, where the first start
# trains one: whether the subject of an e-mail is spam's. ARGS go to the service, such as --skills FOLDER --urls http://127.0.0.1:5080.
set -euo pipefail
cd "$(dirname "$0")/.."
. eng/setup.sh
work=artifacts/serve
if [[ " $* " != *" --skills"[\ =]* ]]; then
  rows=$work/spam-subjects.tsv
  if [ ! -f $rows ]; then
    eng/corpus.sh
    mkdir -p $work
    corpus=artifacts/data/spam-assassin
    # The first subject of each message, without the marks of mailing lists, which would tell ham at once.
    { printf 'label\ttext\n'
      for group in easy-ham-1:ham hard-ham-1:ham spam-1:spam; do
        LC_ALL=C grep -m 1 -h -a -i '^Subject:' "$corpus/${group%%:*}"/*.txt |
          sed -E 's/^[^:]*:[[:space:]]*//; s/\r//g; s/\t/ /g; s/^((Re|RE|Fwd?): *|\[[^]]*\] *)*//' |
          LC_ALL=C grep -v '=?' | LC_ALL=C grep -av '[^ -~]' | awk 'length > 2' | sort -u | awk -v label="${group##*:}" '{ print label "\t" $0 }'
      done
    } > $rows.part
    mv $rows.part $rows
  fi
  set -- --skills $work/skills --train $rows "$@"
fi
dotnet build examples/Serve -c Release -v quiet -clp:NoSummary
exec dotnet examples/Serve/bin/Release/net10.0/Serve.dll "$@"
