"""How every session with PostgreSQL is made, and what its errors mean to a caller."""

from typing import TYPE_CHECKING, Any, TypeAlias

import asyncpg
import asyncpg.pool
import msgspec

from gateway.store.db.faults import CommitUnknown, StoreConflict, StoreError, StoreUnavailable
from gateway.store.db.server_binaries import OLDEST_MAJOR
from gateway.store.db.settings import StoreSettings

if TYPE_CHECKING:
    Connection: TypeAlias = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    Session: TypeAlias = asyncpg.Connection[asyncpg.Record]
else:  # the classes take no parameters when they run
    Connection = asyncpg.pool.PoolConnectionProxy
    Session = asyncpg.Connection

TROUBLE = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # raised when a session dies between two of its states
    OSError,
    TimeoutError,
)
# The server is away, going away or coming back: the same connect may work in a moment.
_AWAY = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.TargetServerAttributeNotMatched,
)
_CONFLICTS = (
    asyncpg.TransactionRollbackError,  # class 40: serialization failure, deadlock
    asyncpg.LockNotAvailableError,
    asyncpg.InvalidCachedStatementError,  # the schema moved under a prepared statement
)
# The server lives and cannot do it now: no disk, no memory, read-only (a leader that was demoted
# under us: the next connect finds the new one), an error of its own files, rights taken away.
_UNFIT = (
    asyncpg.InsufficientResourcesError,  # class 53
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.PostgresSystemError,  # class 58: I/O errors, missing files
    asyncpg.InternalServerError,  # class XX: corrupted pages among them
    asyncpg.InsufficientPrivilegeError,
)
_REFUSALS = (asyncpg.OperatorInterventionError, *_UNFIT)  # class 57: cancelled, shut down
# The server ends slow statements first; this ends those whose server fell silent.
_SILENCE_S = 5.0


class _LeanSession(asyncpg.Connection):
    """Returns to the pool without a round trip: we keep no session state, see Store."""

    def get_reset_query(self) -> str:
        return ""


async def connect(url: str, settings: StoreSettings) -> Session:
    """One session outside the pool, with our settings and codecs."""
    session: Session = await asyncpg.connect(url, **session_options(settings))
    await prepare(session)
    return session


def session_options(settings: StoreSettings) -> dict[str, Any]:
    """The arguments both `asyncpg.connect` and the pool take."""
    return {
        "timeout": settings.acquire_timeout_s,
        "command_timeout": settings.statement_timeout_s + _SILENCE_S,
        "statement_cache_size": settings.statement_cache,
        "server_settings": settings.server_settings,
        "connection_class": _LeanSession,
    }


async def prepare(session: Session) -> None:
    """Teach a new session our JSON: jsonb and json are plain values on our side."""
    await session.set_type_codec(
        "jsonb", schema="pg_catalog", format="binary", encoder=_to_jsonb, decoder=_from_jsonb
    )
    await session.set_type_codec(
        "json",
        schema="pg_catalog",
        format="binary",
        encoder=msgspec.json.encode,
        decoder=msgspec.json.decode,
    )


def _to_jsonb(value: object) -> bytes:
    return b"\x01" + msgspec.json.encode(value)


def _from_jsonb(value: bytes) -> Any:
    return msgspec.json.decode(memoryview(value)[1:])


def require_version(major: int) -> None:
    """Raises StoreError where the server is older than all we were tested on."""
    if major < OLDEST_MAJOR:
        raise StoreError(f"PostgreSQL {major} is too old, {OLDEST_MAJOR} or newer is needed")


def is_away(trouble: Exception) -> bool:
    """Whether waiting may help, with nothing sent yet; a wrong password or name may not."""
    return isinstance(trouble, _AWAY) or not isinstance(
        trouble, (asyncpg.PostgresError, asyncpg.ClientConfigurationError)
    )


def is_unfit(trouble: BaseException | None) -> bool:
    """Whether the server answered that it cannot work now, as with a full disk."""
    return isinstance(trouble, _UNFIT) and not isinstance(trouble, _AWAY)


def in_transaction(trouble: Exception, lost: bool) -> Exception:
    """What to raise for `trouble` before COMMIT was sent; `lost`: the session is dead.

    Answers to statements, like a unique violation, stay what they are.
    """
    if isinstance(trouble, _CONFLICTS):
        return StoreConflict(_said(trouble))
    if lost or isinstance(trouble, (*_AWAY, *_REFUSALS)):
        return StoreUnavailable(_said(trouble))
    return trouble


def at_commit(trouble: Exception, lost: bool) -> Exception:
    """What to raise for `trouble` in answer to COMMIT: only the server's own no is a no."""
    if isinstance(trouble, _CONFLICTS):
        return StoreConflict(_said(trouble))
    answered = isinstance(trouble, asyncpg.PostgresError) and not isinstance(trouble, _AWAY)
    if lost or not answered:
        return CommitUnknown(_said(trouble))
    return in_transaction(trouble, lost)


def _said(trouble: Exception) -> str:
    return str(trouble) or type(trouble).__name__
