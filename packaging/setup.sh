#!/bin/sh
# Sets up a checkout on a Debian-like machine: system packages, npm packages, build.
#   packaging/setup.sh            what mounting needs
#   packaging/setup.sh --tests    also what the tests and the benchmark hold us against
# Installs system packages only where one is missing, with apt-get, as root or through sudo.
set -eu
cd "$(dirname "$0")/.."

need='fuse3'
if [ "${1:-}" = --tests ]; then
  need="$need makefs sleuthkit libfuse2 fuse2fs zstd attr bubblewrap fdisk gdisk e2fsprogs git man-db python3 linux-libc-dev genisoimage xorriso libcdio-utils libarchive-tools p7zip-full fuseiso dosfstools mtools fatcat exfatprogs exfat-fuse fusefat ntfs-3g xfsprogs btrfs-progs"
fi

missing=''
for package in $need; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
if [ -n "$missing" ]; then
  sudo=''
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { echo "setup: these packages are missing and only root can install them:$missing" >&2; exit 1; }
    sudo=sudo
  fi
  echo "setup: installing$missing"
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get update -qq
  # shellcheck disable=SC2086 -- a list of words on purpose
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi

version=$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)
[ "$version" -ge 20 ] || { echo 'setup: Node.js 20 or later is needed (node --version)' >&2; exit 1; }

# Up to date already? Then a second run costs nothing.
stamp=node_modules/.rumpfuse-setup
if [ ! -f "$stamp" ] || ! cmp -s package-lock.json "$stamp"; then
  npm ci --no-fund --no-audit --loglevel=error
  cp package-lock.json "$stamp"
fi
npm run --silent build
