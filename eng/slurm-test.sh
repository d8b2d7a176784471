#!/usr/bin/env bash
# slurm-test.sh [FOLDER]: a study on the real Slurm, one node that is this machine (as root; Debian's slurm-wlm and munge are installed
# where they are missing). The same small study is done by one process; by an array of 4 shards with folders of their own, of which one is
# cancelled and one is requeued, merged; and by 16 workers on one folder. All must have the same bytes. FOLDER, in artifacts by default,
# keeps what they wrote. What ran of Slurm before is not touched; what this starts is ended.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD folder=$(realpath -m "${1:-artifacts/slurm-test}")
eng/install.sh slurmctld:slurm-wlm munged:munge
. eng/setup.sh
tool=${SKILLLOC_DLL:-$root/src/SkillLoc.Tool/bin/Release/net10.0/skillloc.dll}
[ -n "${SKILLLOC_DLL:-}" ] || dotnet build src/SkillLoc.Tool -c Release -v quiet -clp:NoSummary
rm -rf "$folder"
mkdir -p "$folder"/{slurmctld,slurmd,logs}
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE
study() { dotnet "$tool" study "$@"; }
say() { echo "[slurm-test] $(date -u +%T) $*"; }
fail() { echo "slurm-test.sh: $*" >&2; exit 1; }

rows='"format": { "header": true, "text": 1, "label": 0 }'
cat >"$folder/plan.json" <<PLAN
{
  "study": "grafting", "checkpoint": "$root/models/mini-roberta", "data": "$folder",
  "shots": [4], "seeds": [1, 2], "sparsities": [0.01], "test_rows": 16, "random_draws": 1,
  "fine_tuning": { "optimizer": "adam_w", "learning_rate": 5e-4, "epochs": 4, "batch_size": 4, "evaluation_interval": 4, "max_length": 32 },
  "masks": { "epochs": 2, "learning_rate": 1e9, "max_batches": 1 },
  "tasks": [{ "name": "SST-2", "task": "sst-2", "train": { "path": "rows.tsv", $rows } }]
}
PLAN
awk 'BEGIN { print "label\ttext"; for (i = 0; i < 48; i++) print i % 2 "\t" (i % 2 ? "a good" : "a bad") " film, seen " i " times" }' >"$folder/rows.tsv"

# Slurm. Whatever is done, its processes end with this script.
pids=()
stop() {
  for pid in ${pids[@]+"${pids[@]}"}; do kill "$pid" 2>/dev/null || true; done
  [ -z "${munge:-}" ] || kill "$munge" 2>/dev/null || true
}
trap stop EXIT
if ! munge -n </dev/null >/dev/null 2>&1; then
  [ -s /etc/munge/munge.key ] || { dd if=/dev/urandom bs=1 count=1024 of=/etc/munge/munge.key 2>/dev/null; chown munge: /etc/munge/munge.key; chmod 400 /etc/munge/munge.key; }
  mkdir -p /run/munge && chown munge: /run/munge
  runuser -u munge -- munged --foreground >"$folder/logs/munged" 2>&1 &
  munge=$!
  for _ in $(seq 50); do munge -n </dev/null >/dev/null 2>&1 && break; sleep 0.2; done
fi
host=$(hostname -s)
export SLURM_CONF=$folder/slurm.conf
cat >"$SLURM_CONF" <<CONF
ClusterName=skillloc
SlurmctldHost=$host
SlurmctldPort=26817
SlurmdPort=26818
SlurmUser=root
AuthType=auth/munge
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
ReturnToService=2
SchedulerParameters=sched_interval=2,batch_sched_delay=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
StateSaveLocation=$folder/slurmctld
SlurmdSpoolDir=$folder/slurmd
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/logs/slurmctld
SlurmdLogFile=$folder/logs/slurmd
MinJobAge=3600
KillWait=30
NodeName=$host CPUs=16 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
slurmctld -D >/dev/null 2>&1 & pids+=($!)
slurmd -D >/dev/null 2>&1 & pids+=($!)
for _ in $(seq 150); do [ "$(sinfo -h -o %t 2>/dev/null)" = idle ] && break; sleep 0.2; done
[ "$(sinfo -h -o %t)" = idle ] || fail "the node is not idle; see $folder/logs"
say "$(sinfo --version): $(sinfo -h -o '%D node, %c processors')"

# What docs/scale.md shows.
cat >"$folder/job.sh" <<JOB
#!/bin/bash
#SBATCH --signal=USR1@90
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --time=30
out=\$1; shift
srun dotnet $tool study run $folder/plan.json --out "\${out/@/\$SLURM_ARRAY_TASK_ID}" "\$@"
code=\$?
echo "task \${SLURM_ARRAY_TASK_ID} of \${SLURM_ARRAY_JOB_ID}, restart \${SLURM_RESTART_COUNT:-0}: exit code \$code" >>$folder/logs/codes
[ \$code -ne 75 ] || scontrol requeue "\${SLURM_ARRAY_JOB_ID}_\${SLURM_ARRAY_TASK_ID}"
exit \$code
JOB
submit() { sbatch --parsable --output="$folder/logs/%x-%a" "$@"; }
state() { scontrol -o show job "$1" | grep -o 'JobState=[A-Z]*' | head -1 | cut -d= -f2; }
wait_for() { # JOB STATE: until it has it
  for _ in $(seq 6000); do [[ $(state "$1") =~ ^($2)$ ]] && return; sleep 0.2; done
  fail "$1 is $(state "$1") and not $2; see $folder/logs"
}
wait_end() { for task in $2; do wait_for "$1_$task" 'COMPLETED|FAILED|CANCELLED|TIMEOUT|NODE_FAIL'; done; }
working() { # FOLDER: until a run of it began
  for _ in $(seq 3000); do [ -n "$(ls "$1/leases" 2>/dev/null)" ] && return; sleep 0.1; done
  fail "nothing begins in $1; see $folder/logs"
}
same() { # FOLDER: has the bytes of one process
  diff -r "$folder/one/runs" "$1/runs" >/dev/null || fail "$1/runs differs from $folder/one/runs"
  cmp "$folder/one/results.csv" "$1/results.csv"
}

say "one process"
time study run "$folder/plan.json" --out "$folder/one" --shard 0/1 >/dev/null 2>"$folder/logs/one"

say "an array of 4 shards with folders of their own"
array=$(submit --job-name=shards --array=10-13 "$folder/job.sh" "$folder/shard-@")
working "$folder/shard-11"
scancel "${array}_11"
say "task 11 is cancelled"
working "$folder/shard-12"
scontrol requeue "${array}_12"
say "task 12 is requeued"
wait_end "$array" "10 11 12 13"
[ "$(state "${array}_11")" = CANCELLED ] || fail "task 11 is $(state "${array}_11")"
study status "$folder/shard-11" >"$folder/logs/status-1" 2>&1 && fail "a task that was cancelled is done" || [ $? = 75 ]
say "task 11 again, by its share's number"
again=$(submit --job-name=again --array=11 "$folder/job.sh" "$folder/shard-@" --shard 1/4)
wait_end "$again" 11
study merge "$folder"/shard-1? --out "$folder/merged" >/dev/null
same "$folder/merged"

say "16 workers on one folder"
many=$(submit --job-name=many --array=0-15 "$folder/job.sh" "$folder/many" --shard 0/1)
wait_end "$many" "$(seq -s ' ' 0 15)"
same "$folder/many"
runs=$(ls "$folder/one/runs" | wc -l) lines=$(wc -l <"$folder/many/log.jsonl")
[ "$runs" = "$lines" ] || fail "$runs runs have $lines lines: one was done twice"
say "$runs runs, each done once by one of $(grep -o '"process":[0-9]*' "$folder/many/log.jsonl" | sort -u | wc -l) workers"
! grep -v ': exit code 0$' "$folder/logs/codes" || fail "a task did not end with 0; see $folder/logs"
cat "$folder/logs/codes"
say "all have the same bytes"
