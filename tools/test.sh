#!/usr/bin/env bash
# Run every test; install what they need where that is possible. Under CI a skip is a failure.
set -euo pipefail
bin=$1
# Where this is set, each of the processes that tests start would compile all that it imports.
unset PYTHONDONTWRITEBYTECODE
if [ "$(uname)" = Linux ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  for each in curl openssl; do
    command -v "$each" >/dev/null || { apt-get update -qq >/dev/null && apt-get install -y -qq "$each" >/dev/null; }
  done
  make --no-print-directory .venv/.kvm || echo "tests on real hypervisors will be skipped" >&2
  if ! ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1; then
    apt-get update -qq >/dev/null
    # Debian would start a server of its own; the tests start theirs.
    mkdir -p /etc/postgresql-common
    [ -e /etc/postgresql-common/createcluster.conf ] ||
      echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq postgresql >/dev/null
  fi
fi
if bash tools/vsphere.sh; then
  "$bin/python" -m tests.lab.vsphere.build &
else
  echo "tests on a vSphere API server will be skipped" >&2
fi
"$bin/python" -m tests.lab.azure.recordings || echo "tests on recorded Azure traffic will be skipped" >&2
wait
exec "$bin/pytest" -n 2 --dist loadgroup -q
