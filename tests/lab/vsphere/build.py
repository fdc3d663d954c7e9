"""The server's program and certificates, made once and kept in the user's cache.

The program's name carries a hash of all it is made of, so a change of its source or of Debian's
package makes a new one; a lock lets only one of several test workers build it.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.lab.certificate import certify

SOURCE = Path(__file__).parent
# Debian's own: another Go in PATH may not know the way of building that needs no network.
GO = Path("/usr/lib/go/bin/go")
GOPATH = Path("/usr/share/gocode")
SIMULATOR = GOPATH / "src/github.com/vmware/govmomi/simulator"
CERTIFICATE, OTHER_CERTIFICATE = "tls", "other"
_UNUSED_S = 7 * 86400.0


class BuildError(Exception):
    """It cannot be built, in one sentence."""


def missing() -> str:
    """Why this computer cannot run the server; empty when it can."""
    absent = [
        name
        for name, there in (
            ("golang-go", GO.exists()),
            ("golang-github-vmware-govmomi-dev", SIMULATOR.is_dir()),
            ("openssl", shutil.which("openssl") is not None),
        )
        if not there
    ]
    if absent:
        return f"the vSphere API server is built from Debian's packages {', '.join(absent)}"
    return ""


def cache() -> Path:
    """Where program, certificates and Go's own cache are kept."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "vmgate" / "vsphere"


def program() -> Path:
    """The server's program, built if need be; the certificates lie beside it."""
    if reason := missing():
        raise BuildError(reason)
    folder = cache()
    built = folder / f"vsphere-{_fingerprint()}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name in (CERTIFICATE, OTHER_CERTIFICATE):
            if not (folder / f"{name}.crt").exists():
                certify(folder, name)
        if not built.exists():
            _build(folder, built)
            _tidy(folder)
        built.touch()
    return built


def _tidy(folder: Path) -> None:
    """Programs that nobody has started for long are of sources that are gone."""
    for old in folder.glob("vsphere-*"):
        if time.time() - old.stat().st_mtime > _UNUSED_S:
            old.unlink()


def _fingerprint() -> str:
    made_of = hashlib.sha256()
    for path in (*sorted(SOURCE.glob("*.go")), *sorted(SIMULATOR.glob("*.go"))):
        made_of.update(path.name.encode() + path.read_bytes())
    return made_of.hexdigest()[:16]


def _build(folder: Path, target: Path) -> None:
    # No -trimpath: Debian's compiled standard library would not match and be built anew.
    environment = dict(os.environ, GO111MODULE="off", GOFLAGS="", GOPATH=str(GOPATH))
    environment["GOCACHE"] = str(folder / "go")
    partial = target.with_suffix(".partial")
    files = sorted(str(path) for path in SOURCE.glob("*.go"))
    done = subprocess.run(
        [str(GO), "build", "-o", str(partial), *files],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BuildError(f"the vSphere API server does not build: {done.stderr}")
    partial.rename(target)


def main() -> int:
    """Builds, and says how long it took or what is missing."""
    begin_s = time.monotonic()
    try:
        built = program()
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{built} ({time.monotonic() - begin_s:.1f} s)", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
