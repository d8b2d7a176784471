#!/usr/bin/env bash
# debian13.sh FOLDER [TARGET ...]: does what a newcomer does on a fresh Debian 13, `make demo` and `make test` or the targets named: a clean
# clone of this repository's HEAD (and ../shared, where it is) in a root that debootstrap makes in FOLDER, with this machine's .NET SDK.
# Needs root. The exit status is the first failing target's.
set -euo pipefail
root=$(realpath -m "${1:?usage: debian13.sh FOLDER [TARGET ...]}")
shift
[ $# -gt 0 ] || set -- demo test
cd "$(dirname "$0")/.."

eng/install.sh debootstrap:debootstrap
if [ ! -f "$root/.made" ]; then
  # The mirror that this machine's own packages come from.
  mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep -v security | head -1)
  debootstrap --variant=minbase --include=ca-certificates,make,git trixie "$root" "$mirror" >"$root.log" 2>&1 ||
    { tail -5 "$root.log"; exit 1; }
  cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
  mkdir -p "$root/usr/share" && cp -r "$(dirname "$(readlink -f "$(command -v dotnet)")")" "$root/usr/share/dotnet"
  ln -s /usr/share/dotnet/dotnet "$root/usr/bin/dotnet"
  touch "$root/.made"
fi
cp /etc/resolv.conf /etc/hosts "$root/etc/"

home=$root/root/work
rm -rf "$home" && mkdir -p "$home"
git clone -q --no-local . "$home/repository"
[ ! -d ../shared ] || cp -r ../shared "$home/shared"

mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
trap 'umount -l "$root/dev"; umount -l "$root/proc"' EXIT
inside() {
  # CoreCLR needs /proc; certificates and ICU as a plain machine has them.
  chroot "$root" /usr/bin/env -i PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin HOME=/root LANG=C.UTF-8 DOTNET_CLI_TELEMETRY_OPTOUT=1 \
    DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1 MSBUILDDISABLENODEREUSE=1 SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt SSL_CERT_DIR=/etc/ssl/certs \
    NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*' \
    bash -c "cd /root/work/repository && $1"
}
for target in "$@"; do
  echo "== Debian $(cat "$root/etc/debian_version"), make $target"
  inside "make $target"
done
inside '[ ! -f artifacts/native/libstdc++.so.6 ]' || { echo "debian13.sh: a libstdc++ was made where none is needed" >&2; exit 1; }
