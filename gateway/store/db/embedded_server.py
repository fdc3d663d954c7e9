"""A PostgreSQL of our own runs as long as anybody uses it, and comes back when it is killed.

Kernel locks tell who uses it, never lists of pids: the kernel drops them with their holder, so
that a killed user counts no more. `home`/lock is held alone around every start and stop, and
`home`/users is shared by all who use the server.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, TypeVar

from gateway.store.db.data_directory import DataDirectory, made_by
from gateway.store.db.faults import ServerFailed
from gateway.store.db.server_binaries import Source, locate

T = TypeVar("T")
_log = logging.getLogger(__name__)
# A start under another's lock may include a long recovery.
_LOCK_PATIENCE_S = 360.0
_LOCK_PAUSE_S = 0.02
_SILENT_FOR_S = 2.0
_KEEPER_PERIOD_S = 0.5


def sign_lock(lock: IO[str]) -> None:
    """Write into a lock file, which is held, who holds it: for people who wait."""
    lock.seek(0)
    lock.truncate()
    lock.write(f"process {os.getpid()} ({' '.join(sys.argv)[:200]})")
    lock.flush()


def lock_holder(lock: IO[str]) -> str:
    """Return who holds a lock file, as its holder wrote it."""
    lock.seek(0)
    return lock.read(300) or "another program"


class Supervisor:
    """One user of the server under `home`. Blocking; see `supervised` for the event loop."""

    def __init__(
        self,
        home: Path,
        source: Source = Source.AUTO,
        options: Mapping[str, str] | None = None,
    ) -> None:
        self.home = home.absolute()
        self._source = source
        self._options = dict(options or {})
        self._cluster: DataDirectory | None = None
        self._users: IO[str] | None = None

    @property
    def cluster(self) -> DataDirectory:
        """The server and its folder; raises ServerFailed before `start`."""
        if self._cluster is None:
            raise ServerFailed("the supervisor was not started")
        return self._cluster

    def start(self) -> str:
        """Use the server: adopt it where it runs, else make and start it. Returns its address.

        Raises ServerFailed.
        """
        try:
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as refused:
            raise ServerFailed(f"cannot make {self.home}: {refused.strerror}") from refused
        with contextlib.ExitStack() as on_failure, self._alone():
            users = on_failure.enter_context((self.home / "users").open("a"))
            fcntl.flock(users, fcntl.LOCK_SH)
            binaries = locate(self._source, made_by(self.home))
            self._cluster = DataDirectory(self.home, binaries, self._options)
            self._raise_server(self._cluster)
            self._users = users
            on_failure.pop_all()
        return self._cluster.url

    def revive(self) -> None:
        """Start the server again unless it is alive; raises ServerFailed."""
        with self._alone():
            self._raise_server(self.cluster)

    def stop(self) -> bool:
        """Use the server no more; the last user stops it. True when that was us."""
        users, self._users = self._users, None
        if users is None:
            return False
        with users, self._alone():
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            if self._cluster is None or not self._cluster.alive():
                return False
            self._cluster.halt()
            return True

    @staticmethod
    def _raise_server(cluster: DataDirectory) -> None:
        cluster.create()
        if not cluster.alive():
            cluster.launch()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the lock around a start or a stop; say who has it when that takes long."""
        began = time.monotonic()
        said = False
        with (self.home / "lock").open("a+") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    waited = time.monotonic() - began
                if waited > _LOCK_PATIENCE_S:
                    raise ServerFailed(
                        f"{lock_holder(lock)} has held {lock.name} for {_LOCK_PATIENCE_S:.0f} s"
                    )
                if waited > _SILENT_FOR_S and not said:
                    said = True
                    _log.warning("waiting for %s, which %s holds", lock.name, lock_holder(lock))
                time.sleep(_LOCK_PAUSE_S)
            sign_lock(lock)
            yield


@contextlib.asynccontextmanager
async def supervised(supervisor: Supervisor) -> AsyncIterator[str]:
    """The server's address; meanwhile a keeper starts the server again whenever it dies."""
    keeper: asyncio.Task[None] | None = None
    try:
        url = await _whole(supervisor.start)
        keeper = asyncio.create_task(_keep(supervisor), name="postgresql keeper")
        yield url
    finally:
        if keeper is not None:
            keeper.cancel()
            await asyncio.wait([keeper])
        await _whole(supervisor.stop)


async def _keep(supervisor: Supervisor) -> None:
    while True:
        await asyncio.sleep(_KEEPER_PERIOD_S)
        if supervisor.cluster.alive():
            continue
        _log.error("PostgreSQL is gone; starting it again")
        try:
            await _whole(supervisor.revive)
        except ServerFailed as failed:
            _log.error("PostgreSQL does not start, will try again: %s", failed)


async def _whole(work: Callable[[], T]) -> T:
    """Run blocking `work` in a thread, to its end even when cancelled: it may hold the locks."""
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        if not running.cancelled() and (failed := running.exception()) is not None:
            _log.warning("PostgreSQL, while we were being cancelled: %s", failed)
        raise
