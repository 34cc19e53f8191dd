#!/bin/sh
# Nsight Systems from Debian's non-free packages. Adds a package source; run only when asked (make nsys).
set -eu
# A recording names the processors that /sys lists; without /sys (a bare chroot) it can't be imported.
if [ ! -d /sys/devices/system/cpu ]; then
    mount -t sysfs -o ro sysfs /sys 2>/dev/null || echo "no /sys here, and it can't be mounted: nsys records nothing usable" >&2
fi
if command -v nsys >/dev/null 2>&1; then
    echo "nsys is here already: $(nsys --version)"
    exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "make nsys needs root and apt-get; elsewhere install Nsight Systems from NVIDIA's site" >&2
    exit 1
fi
. /etc/os-release
if [ "${ID:-}" != debian ]; then
    echo "make nsys knows Debian's packages only; install Nsight Systems from NVIDIA's site" >&2
    exit 1
fi
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
cat >/etc/apt/sources.list.d/motrace-non-free.sources <<SOURCES
Types: deb
URIs: http://deb.debian.org/debian
Suites: $VERSION_CODENAME
Components: contrib non-free
Signed-By: $keyring
SOURCES
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends nsight-systems >/dev/null
nsys --version
