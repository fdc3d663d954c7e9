#!/usr/bin/env bash
# Install what the project's own vSphere API server is built from, or say in one line what is missing.
set -euo pipefail
missing=""
command -v /usr/lib/go/bin/go >/dev/null || missing="$missing golang-go"
[ -d /usr/share/gocode/src/github.com/vmware/govmomi/simulator ] || missing="$missing golang-github-vmware-govmomi-dev"
command -v openssl >/dev/null || missing="$missing openssl"
[ -z "$missing" ] && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "the vSphere API server is built from Debian packages, of which are missing:$missing" >&2
  exit 1
fi
echo "installing:$missing" >&2
get() { DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=900 "$@" >/dev/null; }
get update -qq
get install -y -qq --no-install-recommends $missing
