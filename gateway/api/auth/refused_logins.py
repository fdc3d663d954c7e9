"""What is on record of refused log-ins: counters, a log line and an event, all of them bounded.

Neither names a password or a token. The login is what somebody typed: it is cut, and characters
that could forge a line are replaced.
"""

import asyncio
import logging
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.events.event import Event, Severity, emit
from gateway.store.db.pool import Store, StoreError
from gateway.store.users import User

_log = logging.getLogger(__name__)
_STRANGE = re.compile(r"[^\w.@+-]")
_LOGIN_MAX = 64
EVENTS_A_MINUTE = 60


class LoginRefusal(StrEnum):
    """Why a log-in was refused; the label of the counter."""

    CREDENTIALS = "credentials"
    MALFORMED = "malformed"
    THROTTLED = "throttled"
    BUSY = "busy"
    ORIGIN = "origin"


@dataclass(slots=True)
class LoginCounts:
    """This process's counts since it started."""

    refused: Counter[LoginRefusal] = field(default_factory=Counter)
    verified: int = 0
    renewed: int = 0


@dataclass(frozen=True, slots=True)
class RefusedLogin:
    """Wrong credentials: who tried, how often in a row, and how long the next try has to wait."""

    login: str
    address: str
    failures: int
    wait_s: float
    begins_wait: bool = False
    user: User | None = None

    @property
    def is_news(self) -> bool:
        """True for the first failure, each time that their number has doubled, and the first wait.

        Tokens end by themselves, so one that is good no more is news only if it is sent on and on.
        """
        doubled = self.failures & (self.failures - 1) == 0
        return (doubled and (bool(self.login) or self.wait_s > 0)) or self.begins_wait


def shown(login: str) -> str:
    """Return a login as logs and events may show it."""
    cut = login[:_LOGIN_MAX]
    return _STRANGE.sub("?", cut) + ("..." if len(login) > _LOGIN_MAX else "")


class RefusedLogins:
    """Writes the record; events in the background, at most EVENTS_A_MINUTE of them."""

    def __init__(self, store: Store, committed: Callable[[], None], counts: LoginCounts) -> None:
        self._store = store
        self._committed = committed
        self.counts = counts
        self._minute = 0
        self._events = 0
        self._passed_over = 0
        self._writing: set[asyncio.Task[None]] = set()

    def wrong(self, one: RefusedLogin) -> None:
        """Record wrong credentials."""
        self.counts.refused[LoginRefusal.CREDENTIALS] += 1
        _log.warning("%s", _sentence(one))
        if one.is_news:
            self._tell(one)

    async def aclose(self) -> None:
        """Give up the events that are not written yet."""
        for task in self._writing:
            task.cancel()
        await asyncio.gather(*self._writing, return_exceptions=True)

    def _tell(self, one: RefusedLogin) -> None:
        minute = int(time.monotonic() // 60)
        if minute != self._minute:
            self._minute, self._events = minute, 0
        if self._events >= EVENTS_A_MINUTE:
            self._passed_over += 1
            return
        self._events += 1
        passed_over, self._passed_over = self._passed_over, 0
        task = asyncio.get_running_loop().create_task(self._write(one, passed_over))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _write(self, one: RefusedLogin, passed_over: int) -> None:
        try:
            async with self._store.transaction() as c:
                await emit(c, _event(one, passed_over))
        except StoreError as away:
            _log.warning("an event of a refused log-in was lost: %s", away)
        else:
            self._committed()


def _sentence(one: RefusedLogin) -> str:
    what = f"log-in as {shown(one.login)}" if one.login else "token"
    wait = f"; the next try has to wait {one.wait_s:.0f} s" if one.wait_s > 0 else ""
    return f"{what} from {one.address} refused: wrong credentials, {one.failures} in a row{wait}"


def _event(one: RefusedLogin, passed_over: int) -> Event:
    sentence = _sentence(one)
    if passed_over:
        sentence += f"; {passed_over} more events of refused log-ins were passed over"
    return Event(
        "USER",
        "LOGIN_REFUSED",
        "" if one.user is None else one.user.id,
        message=sentence[0].upper() + sentence[1:],
        severity=Severity.WARN,
        enterprise_id=None if one.user is None else one.user.enterprise_id,
        entity_name=shown(one.login),
        details={
            "address": one.address,
            "failures": one.failures,
            "retry_after_s": round(one.wait_s, 1),
            "passed_over": passed_over,
        },
    )
