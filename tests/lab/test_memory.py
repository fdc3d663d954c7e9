"""A run leaves nothing in memory, not even one that was killed; without room it takes none."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.store.db.embedded_server import Supervisor
from tests import memory
from tests.lab.test_vcenter_life import runs
from tests.store.conftest import until

KILLED = f"""
import os, signal, sys
from pathlib import Path
from gateway.store.db.embedded_server import Supervisor
home = Path(sys.argv[1], f"{memory.PREFIX}{{os.getpid()}}-x", "postgres-auto")
Supervisor(home).start()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if no run had begun; afterwards the name is again what it was."""
    monkeypatch.setenv(memory.NAME, "")
    del os.environ[memory.NAME]


def test_what_a_killed_run_left_is_stopped_and_removed(tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    server = int(next(tmp_path.rglob("postmaster.pid")).read_text().split()[0])
    assert runs(server)
    memory.sweep(tmp_path)
    assert not list(tmp_path.iterdir())
    asyncio.run(until(lambda: not runs(server)))


def test_what_a_living_run_or_a_user_has_stays(tmp_path: Path) -> None:
    ours = tmp_path / f"{memory.PREFIX}{os.getpid()}-x"
    ours.mkdir()
    used = tmp_path / f"{memory.PREFIX}{2**22 + 1}-x" / "postgres-auto"
    supervisor = Supervisor(used)
    supervisor.start()
    try:
        memory.sweep(tmp_path)
        assert ours.exists()
        assert supervisor.cluster.alive()
    finally:
        supervisor.stop()


def test_a_run_begins_and_ends_with_one_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "ROOM_BYTES", 1)
    memory.begin(tmp_path)
    (made,) = tmp_path.iterdir()
    assert memory.folder_or(tmp_path / "beside") == made
    memory.end()
    assert not made.exists()


def test_without_room_the_files_lie_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "ROOM_BYTES", 2**60)
    memory.begin(tmp_path)
    assert not list(tmp_path.iterdir())
    assert memory.folder_or(tmp_path / "beside") == tmp_path / "beside"
