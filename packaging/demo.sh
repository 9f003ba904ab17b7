#!/bin/sh
# Sets everything up and runs the main job before your eyes: makes an FFS volume, mounts it, works in it, unmounts it,
# checks it, mounts it again read-only and compares.
set -eu
cd "$(dirname "$0")/.."
packaging/setup.sh

work=$(mktemp -d "${TMPDIR:-/tmp}/rumpfuse-demo.XXXXXX")
mnt="$work/mnt"
mkdir "$mnt"
finish() {
  bin/rumpfuse umount "$mnt" 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT
say() { printf '\n\033[1m$ %s\033[0m\n' "$*"; "$@"; }

say bin/rumpfuse newfs -s 128m --label demo "$work/disk.img"
say bin/rumpfuse info "$work/disk.img"
say bin/rumpfuse mount "$work/disk.img" "$mnt"
say bin/rumpfuse list
say df -h "$mnt"
say cp -a src docs package.json "$mnt/"
say sh -c "cd '$mnt' && tar cf src.tar src && tar df src.tar && ln -s docs/MAP.md map && ln package.json twin.json"
say sh -c "dd if=/dev/urandom of='$mnt/random' bs=1M count=32 conv=fsync 2>&1 | tail -n 1"
say ls -la "$mnt"
sum=$(cd "$mnt" && find . -type f -exec sha256sum {} + | sort | sha256sum)
say bin/rumpfuse umount "$mnt"
say bin/rumpfuse fsck "$work/disk.img"
say bin/rumpfuse mount -o ro "$work/disk.img" "$mnt"
again=$(cd "$mnt" && find . -type f -exec sha256sum {} + | sort | sha256sum)
say bin/rumpfuse umount "$mnt"
[ "$sum" = "$again" ] || { echo 'demo: the volume reads back differently' >&2; exit 1; }
printf '\nEvery file read back exactly. The volume is one that NetBSD can mount.\n'
