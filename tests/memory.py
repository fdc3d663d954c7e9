"""A folder in memory for servers that tests throw away: a database is copied there much sooner.

The process that begins the run makes it and removes it; xdist's workers learn of it from the
environment. Without such a folder, or without room in it, servers lie beside the tests' files.
"""

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from gateway.store.db.embedded_server import Supervisor
from gateway.store.db.faults import ServerFailed

ROOT = Path("/dev/shm")
ROOM_BYTES = 4 * 2**30
NAME = "VMGATE_TESTS_IN_MEMORY"
PREFIX = "vmgate-tests-"


def begin(root: Path = ROOT) -> None:
    """Make the folder of this run, after removing those of runs that were killed."""
    sweep(root)
    if root.is_dir() and os.access(root, os.W_OK) and _free_bytes(root) >= ROOM_BYTES:
        os.environ[NAME] = tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=root)


def end() -> None:
    """Remove it; its servers were stopped by their last user."""
    made = os.environ.pop(NAME, None)
    if made is not None:
        shutil.rmtree(made, ignore_errors=True)


def folder_or(beside: Path) -> Path:
    """The folder of this run, or `beside` where there is none."""
    return Path(os.environ.get(NAME, beside))


def sweep(root: Path) -> None:
    """Stop and remove what killed runs left; what somebody still uses stays."""
    for left in root.glob(f"{PREFIX}*"):
        with suppress(OSError, ServerFailed):
            if not _lives(int(left.name.removeprefix(PREFIX).split("-")[0])):
                _remove(left)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another's
        pass
    return True


def _remove(left: Path) -> None:
    for home in left.iterdir():
        supervisor = Supervisor(home)
        supervisor.start()
        if not supervisor.stop():
            return
    shutil.rmtree(left, ignore_errors=True)


def _free_bytes(root: Path) -> int:
    return shutil.disk_usage(root).free
