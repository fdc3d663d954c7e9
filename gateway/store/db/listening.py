"""Notifications that survive a lost server: every gap is told as an empty payload."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator

from gateway.store.db import session as sessions
from gateway.store.db.session import Session
from gateway.store.db.settings import StoreSettings

GAP = ""
_WAITING_MAX = 1024
_PAUSE_S = 0.25
# A quiet server and a vanished one look alike; asking now and then tells them apart.
_QUIET_S = 20.0
_log = logging.getLogger(__name__)


class _Inbox:
    """What one session has heard, None once it is lost; to overflow is a gap too."""

    def __init__(self) -> None:
        self.waiting: asyncio.Queue[str | None] = asyncio.Queue(_WAITING_MAX)

    def hear(self, _session: object, _pid: int, _channel: str, payload: object) -> None:
        self._put(str(payload))

    def hang_up(self, _session: object) -> None:
        self._put(None)

    def _put(self, payload: str | None) -> None:
        if self.waiting.full():
            while not self.waiting.empty():
                self.waiting.get_nowait()
            self.waiting.put_nowait(GAP)
        self.waiting.put_nowait(payload)


async def listen(url: str, settings: StoreSettings, channel: str) -> AsyncGenerator[str, None]:
    """See `Store.listen`."""
    while True:
        inbox = _Inbox()
        session = await _connected(url, settings, channel, inbox)
        if session is None:
            await asyncio.sleep(_PAUSE_S)
            continue
        try:
            yield GAP
            while (payload := await _next(session, inbox)) is not None:
                yield payload
        finally:
            session.remove_termination_listener(inbox.hang_up)
            with contextlib.suppress(*sessions.TROUBLE):
                await session.close(timeout=1.0)
        _log.warning("lost the server while listening on %s; connecting again", channel)


async def _connected(
    url: str, settings: StoreSettings, channel: str, inbox: _Inbox
) -> Session | None:
    try:
        session = await sessions.connect(url, settings)
    except sessions.TROUBLE as trouble:
        _log.debug("cannot listen yet: %r", trouble)
        return None
    session.add_termination_listener(inbox.hang_up)
    try:
        await session.add_listener(channel, inbox.hear)
    except sessions.TROUBLE:
        session.terminate()
        return None
    except BaseException:
        session.terminate()
        raise
    return session


async def _next(session: Session, inbox: _Inbox) -> str | None:
    """The next payload; None when the session is lost."""
    while True:
        try:
            async with asyncio.timeout(_QUIET_S):
                return await inbox.waiting.get()
        except TimeoutError:
            with contextlib.suppress(*sessions.TROUBLE):
                await session.execute("select 1")
                continue
            return None
