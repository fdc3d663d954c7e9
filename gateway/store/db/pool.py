"""The only door to the database: sessions are pooled here, and their loss has a name.

No session state may be kept: no advisory locks of the session, temporary tables, LISTEN or SET
outside a transaction. So a pooler in between works, and returning a session costs nothing.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Literal, TypeAlias

import asyncpg
import asyncpg.pool

from gateway.store.db import session as sessions
from gateway.store.db.embedded_server import Supervisor, supervised
from gateway.store.db.faults import CommitUnknown, StoreConflict, StoreError, StoreUnavailable
from gateway.store.db.listening import listen
from gateway.store.db.session import Connection
from gateway.store.db.settings import StoreSettings

__all__ = [
    "CommitUnknown",
    "Connection",
    "Store",
    "StoreConflict",
    "StoreError",
    "StoreSettings",
    "StoreUnavailable",
]

_log = logging.getLogger(__name__)
_PAUSE_S = 0.05
_CLOSE_PATIENCE_S = 10.0
_UNREADABLE = (
    "the address of the database cannot be read; it is postgresql://USER:PASSWORD@HOST:PORT/NAME,"
    " with / : @ [ ] ? # and % of the password written as %2F %3A %40 %5B %5D %3F %23 %25"
)
_ROLLBACK_S = 2.0
_UNFIT_FOR_S = 5.0
# Its rows are kept before they are counted: a quarter of a MiB, four times the memory they have.
_SPILL = "select count(*) from generate_series(1, 20000)"
_Pool: TypeAlias = "asyncpg.pool.Pool[asyncpg.Record]"


class Store:
    """A pool of sessions on one database; made by `Store.open`."""

    def __init__(self, pool: _Pool, url: str, settings: StoreSettings) -> None:
        self._pool = pool
        self._settings = settings
        self._listen_url = settings.listen_url or url
        self.url = url
        self.home = settings.home
        self._unfit = ("", float("-inf"))

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, settings: StoreSettings) -> AsyncIterator["Store"]:
        """The store, once its server answers; runs our own server where no address is given.

        Raises ServerFailed, StoreUnavailable after `open_timeout_s`, or StoreError for a server
        that will never do.
        """
        async with contextlib.AsyncExitStack() as stack:
            url = settings.database_url
            if url is None:
                supervisor = Supervisor(settings.home, settings.source)
                url = await stack.enter_async_context(supervised(supervisor))
            pool = asyncpg.create_pool(
                url,
                min_size=0,
                max_size=settings.connections_max,
                init=sessions.prepare,
                **sessions.session_options(settings),
            )
            store = cls(pool, url, settings)
            stack.push_async_callback(store._close)
            await store._wait_for_server()
            yield store

    @contextlib.asynccontextmanager
    async def read(self) -> AsyncIterator[Connection]:
        """A session that sees one moment of the database and cannot write.

        Raises StoreUnavailable, or StoreConflict when the read was cut for another's sake.
        """
        async with self._begun("repeatable_read", readonly=True) as (connection, transaction):
            yield connection
            # Nothing hangs on the outcome: a read is over when its last row is here.
            await transaction.rollback()

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A session in a read-committed transaction, committed at the end of the block.

        Raises StoreUnavailable or StoreConflict with nothing kept, CommitUnknown when nobody
        knows. The server's answers to statements (a unique violation) pass unchanged.
        """
        async with self._begun("read_committed", readonly=False) as (connection, transaction):
            yield connection
            try:
                await transaction.commit()
            except sessions.TROUBLE as trouble:
                told = sessions.at_commit(trouble, _is_lost(connection))
                raise told from (None if told is trouble else trouble)

    async def probe(self) -> None:
        """Raises StoreError unless the store can read and write now.

        A list that spills shows whether the disk takes anything. Something that failed a moment
        ago for want of disk or memory counts, too: what is small may still find a place.
        """
        said, at_s = self._unfit
        if time.monotonic() - at_s < _UNFIT_FOR_S:
            raise StoreUnavailable(said)
        async with self.transaction() as c:
            await c.execute("set local work_mem = '64kB'")
            if await c.fetchval("select current_setting('transaction_read_only')") == "on":
                raise StoreUnavailable("the database is read-only")
            await c.fetchval(_SPILL)

    async def listen(self, channel: str) -> AsyncGenerator[str, None]:
        """Payloads of NOTIFY on `channel`, on a session of their own, for as long as you iterate.

        An empty payload comes first and after each gap (reconnect, overflow): look for yourself
        what was missed. Never raises for a lost server. Close it with `contextlib.aclosing`.
        """
        async with contextlib.aclosing(
            listen(self._listen_url, self._settings, channel)
        ) as payloads:
            async for payload in payloads:
                yield payload

    @contextlib.asynccontextmanager
    async def _begun(
        self, isolation: Literal["repeatable_read", "read_committed"], *, readonly: bool
    ) -> AsyncIterator[tuple[Connection, Any]]:
        connection, transaction = await self._begin(isolation, readonly)
        try:
            yield connection, transaction
        except sessions.TROUBLE as trouble:
            lost = not await _rolled_back(connection, transaction)
            if isinstance(trouble, asyncpg.ReadOnlySQLTransactionError) and not readonly:
                await self._pool.expire_connections()
            if not readonly or not isinstance(trouble, asyncpg.ReadOnlySQLTransactionError):
                self._note(trouble)
            told = sessions.in_transaction(trouble, lost)
            if told is trouble:
                raise
            raise told from trouble
        except BaseException as trouble:
            self._note(trouble)
            await _rolled_back(connection, transaction)
            raise
        finally:
            await self._release(connection)

    def _note(self, trouble: BaseException) -> None:
        """Remember that the server is unfit; `trouble` may have been told in our words already."""
        cause = trouble if isinstance(trouble, asyncpg.PostgresError) else trouble.__cause__
        if sessions.is_unfit(cause):
            self._unfit = (f"the database cannot work: {cause}", time.monotonic())

    async def _begin(self, isolation: Any, readonly: bool) -> tuple[Connection, Any]:
        """A session with its transaction begun; nothing is lost by trying again until here."""
        end = time.monotonic() + self._settings.acquire_timeout_s
        while True:
            connection: Connection | None = None
            try:
                left = max(end - time.monotonic(), _PAUSE_S)
                connection = await self._pool.acquire(timeout=left)
                transaction = connection.transaction(isolation=isolation, readonly=readonly)
                await _start(connection, transaction, max(end - time.monotonic(), _PAUSE_S))
                return connection, transaction
            except BaseException as trouble:
                if connection is not None:
                    await self._release(connection)
                if not isinstance(trouble, sessions.TROUBLE):
                    raise
                late = self._pool.is_closing() or time.monotonic() > end
                if late or not sessions.is_away(trouble):
                    raise StoreUnavailable(f"no session: {trouble!r}") from trouble
            await asyncio.sleep(_PAUSE_S)

    async def _release(self, connection: Connection) -> None:
        # What is wrong with a session we return is told by its block, or by nobody: it is over.
        with contextlib.suppress(*sessions.TROUBLE):
            await self._pool.release(connection, timeout=_CLOSE_PATIENCE_S)

    async def _wait_for_server(self) -> None:
        end = time.monotonic() + self._settings.open_timeout_s
        await self._pool
        while True:
            try:
                async with self.read() as connection:
                    sessions.require_version(connection.get_server_version().major)
                    return
            except StoreUnavailable as away:
                cause = away.__cause__
                hopeless = isinstance(cause, Exception) and not sessions.is_away(cause)
                if hopeless or time.monotonic() > end:
                    raise
            except ValueError:
                # The parser's own words quote parts of the address, such as the password.
                raise StoreError(_UNREADABLE) from None
            await asyncio.sleep(_PAUSE_S)

    async def _close(self) -> None:
        try:
            await asyncio.wait_for(self._pool.close(), _CLOSE_PATIENCE_S)
        except (TimeoutError, *sessions.TROUBLE):
            _log.warning("sessions were still in use when the store closed")
            self._pool.terminate()


async def _start(connection: Connection, transaction: Any, within_s: float) -> None:
    """Begin a transaction; a server that does not answer in time is hung up on."""
    try:
        async with asyncio.timeout(within_s):
            await transaction.start()
    except TimeoutError:
        _abandon(connection)
        raise


async def _rolled_back(connection: Connection, transaction: Any) -> bool:
    """Whether the session still obeys; if not, the server rolls back by itself."""
    if _is_lost(connection):
        return False
    try:
        async with asyncio.timeout(_ROLLBACK_S):
            await transaction.rollback()
    except TimeoutError:
        _abandon(connection)
        return False
    except asyncpg.InterfaceError:  # COMMIT was answered with a no, which ended the transaction
        return not _is_lost(connection) and not connection.is_in_transaction()
    except sessions.TROUBLE:
        return False
    return True


def _abandon(connection: Connection) -> None:
    """Hang up on a server that does not answer, rather than ask it to cancel."""
    with contextlib.suppress(*sessions.TROUBLE):
        connection.terminate()


def _is_lost(connection: Connection) -> bool:
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:  # the pool took it back when its socket closed
        return True
