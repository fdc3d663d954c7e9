"""One vCenter as the driver holds it: a lane of threads that share one session.

A vCenter that freezes fills its own lane and no other's.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from drivers.contract import LeaseLost, Permit
from drivers.esxi.connection.session import Service, Session
from drivers.esxi.faults import fault_of
from drivers.esxi.options import EsxiOptions
from drivers.esxi.vms.operations import Check
from drivers.faults import Fault
from drivers.host_executor import HostExecutor, RevocablePermit

GOODBYE_S = 1.0
T = TypeVar("T")
WAITING_MAX = 1024


class Vcenter:
    """Opens its session with the first call."""

    def __init__(self, name: str, options: EsxiOptions) -> None:
        self.name = name
        self._options = options
        self._session = Session(name, options, options.call_timeout_s)
        self._lane = HostExecutor(name, width=options.threads, waiting_max=WAITING_MAX)

    @property
    def occupied(self) -> int:
        """Calls that have not ended, those included that nobody waits for any more."""
        return self._lane.occupied

    async def look(self, call: Callable[[Service], T], timeout_s: float | None = None) -> T:
        """`call` with a session; it only reads. Raises Unreachable, Missing, Rejected, Busy."""

        def reading() -> T:
            with self._told(None, None):
                return self._session.call(call)

        return await self._lane.run(reading, timeout_s=timeout_s or self._options.call_timeout_s)

    async def act(self, call: Callable[[Service, Check], T], permit: Permit, host: str) -> T:
        """`call` with a session and a check to make right before the one change it makes.

        Once the caller has given up, the check fails too: what waits in a thread must not begin
        when the vCenter answers again.
        """
        asked = RevocablePermit(permit)

        def acting() -> T:
            with self._told(asked, host):
                return self._session.call(lambda service: call(service, asked.check))

        with asked.while_waiting():
            return await self._lane.run(
                acting, permit=permit, timeout_s=self._options.call_timeout_s
            )

    @contextmanager
    def _told(self, asked: RevocablePermit | None, host: str | None) -> Iterator[None]:
        """What goes wrong inside is one of the six faults; they depend on what was asked."""
        try:
            yield
        except (Fault, LeaseLost):
            raise
        except Exception as error:  # pyvmomi raises much that is not documented
            changing = asked is not None and asked.began
            raise fault_of(error, self.name, changing=changing, host=host) from error

    def close(self) -> None:
        """Begin nothing more, and log out; blocks while the vCenter is frozen."""
        self._lane.close()
        self._session.close()


async def goodbye(name: str, closes: Sequence[Callable[[], None]]) -> None:
    """Close all, and wait no longer than a moment: a frozen vCenter does not say goodbye."""
    leaving = [
        threading.Thread(target=close, name=f"close-{name}", daemon=True) for close in closes
    ]
    for thread in leaving:
        thread.start()
    ends_s = time.monotonic() + GOODBYE_S
    for thread in leaving:
        await asyncio.to_thread(thread.join, max(0.0, ends_s - time.monotonic()))
