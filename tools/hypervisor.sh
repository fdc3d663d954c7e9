#!/usr/bin/env bash
# Install what the project's own libvirt/QEMU hosts need, or say in one line what is missing.
set -euo pipefail
packages="libvirt-daemon libvirt-daemon-driver-qemu libvirt-clients libvirt-dev qemu-system-x86 qemu-utils gcc pkg-config python3-dev iproute2 util-linux openssl"
if [ "$(uname)" != Linux ]; then
  echo "real libvirt/QEMU hosts need Linux, this is $(uname)" >&2
  exit 1
fi
if [ "$(id -u)" != 0 ]; then
  echo "real libvirt/QEMU hosts need root: each is a libvirtd in namespaces of its own" >&2
  exit 1
fi
# Since libvirt 11 Debian has the storage driver in a package of its own.
storage=libvirt-daemon-driver-storage
missing=""
for each in libvirtd qemu-system-x86_64 qemu-img virsh gcc pkg-config ip nsenter unshare; do
  command -v "$each" >/dev/null || missing="$missing $each"
done
ls /usr/lib/*/libvirt/connection-driver/libvirt_driver_storage.so >/dev/null 2>&1 || missing="$missing libvirt-storage"
pkg-config --exists libvirt 2>/dev/null || missing="$missing libvirt-headers"
[ -z "$missing" ] && exit 0
if ! command -v apt-get >/dev/null; then
  echo "missing:$missing; install libvirt, QEMU and libvirt's headers with your package manager" >&2
  exit 1
fi
echo "installing:$missing" >&2
apt-get update -qq >/dev/null
apt-cache show "$storage" >/dev/null 2>&1 && packages="$packages $storage"
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null
