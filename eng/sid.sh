#!/usr/bin/env bash
# sid.sh COMMAND...: runs a command in a root of Debian sid with PyTorch, transformers and OpenBLAS, as root; this repository is its /mnt.
# The root is made by debootstrap on first use (2.5 GB) in SKILLLOC_SID, artifacts/sid by default.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
root=${SKILLLOC_SID:-$here/artifacts/sid}
[ "$(id -u)" = 0 ] || { echo "[sid] this needs root, for debootstrap and chroot" >&2; exit 1; }
if [ ! -e "$root/usr/lib/python3/dist-packages/transformers" ]; then
  "$here/eng/install.sh" debootstrap:debootstrap
  echo "[sid] making $root" >&2
  [ -e "$root/usr/bin/python3" ] || debootstrap --variant=minbase --include=ca-certificates,python3 sid "$root" >&2
  # A mirror may be a snapshot, whose date has passed.
  unshare --mount sh -ec 'mount --bind /proc "$0/proc"; exec chroot "$0" env DEBIAN_FRONTEND=noninteractive sh -c "apt-get update -qq -o Acquire::Check-Valid-Until=false &&
    apt-get install -y -qq --no-install-recommends libopenblas0-pthread python3-torch python3-transformers"' "$root" >&2
fi
# /proc and /sys: without them PyTorch takes its slowest code, for any processor. The environment of this shell stays outside.
exec unshare --mount sh -ec 'root=$0 here=$1; shift
  mount --bind /proc "$root/proc"; mount --rbind /sys "$root/sys"; mount --bind "$here" "$root/mnt"
  exec chroot "$root" env -i PATH=/usr/bin HOME=/tmp HF_HUB_OFFLINE=1 ${OMP_NUM_THREADS:+OMP_NUM_THREADS=$OMP_NUM_THREADS} "$@"' \
  "$root" "$here" "$@"
