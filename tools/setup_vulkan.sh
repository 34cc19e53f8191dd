#!/bin/sh
# A software Vulkan driver, where the machine has no Vulkan driver at all and we may install one.
set -eu
for folder in /usr/share/vulkan/icd.d /etc/vulkan/icd.d /usr/local/share/vulkan/icd.d /usr/local/nvidia/share/vulkan/icd.d; do
    for driver in "$folder"/*.json; do
        [ -e "$driver" ] && have_driver=yes
    done
done
if command -v ldconfig >/dev/null 2>&1; then ldconfig=ldconfig; else ldconfig=/sbin/ldconfig; fi
if "$ldconfig" -p 2>/dev/null | grep -q 'libvulkan\.so\.1'; then have_loader=yes; fi
if [ -n "${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-}" ]; then have_driver=yes; fi
if [ -n "${have_driver:-}" ] && [ -n "${have_loader:-}" ]; then exit 0; fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "no Vulkan here: installing mesa-vulkan-drivers and libvulkan1, which draw on the CPU"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends mesa-vulkan-drivers libvulkan1 >/dev/null
else
    echo "no Vulkan driver here, and no right to install one: ask for the packages mesa-vulkan-drivers and libvulkan1" >&2
    echo "(Debian, Ubuntu; on a GPU machine the NVIDIA driver's libnvidia-gl). Tests that draw will fail without." >&2
fi
