"""One host as the driver holds it: two lanes, each with a connection of its own.

Long calls such as moves have one lane, looks the other, so that a host that is busy is still
seen. A frozen host fills its own lanes and no other's.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

import libvirt

from drivers.addresses import Address
from drivers.contract import HostLink, Permit
from drivers.faults import Unreachable
from drivers.host_executor import HostExecutor, RevocablePermit
from drivers.kvm.connection import Heard, LibvirtConnection
from drivers.kvm.faults import fault_of
from drivers.kvm.options import KvmOptions

T = TypeVar("T")
ACTS_AT_ONCE = 8
LOOKS_AT_ONCE = 4


class KvmHost:
    """Calls `heard` and `lost` in libvirt's thread."""

    def __init__(
        self,
        link: HostLink,
        at: Address,
        options: KvmOptions,
        heard: Heard,
        lost: Callable[[], None],
    ) -> None:
        self.link = link
        self.address = at.text
        self._options = options
        self._acts = HostExecutor(link.name, width=ACTS_AT_ONCE, waiting_max=256)
        self._looks = HostExecutor(link.name, width=LOOKS_AT_ONCE, waiting_max=256)
        self._acting = LibvirtConnection(link.name, at, options, None, lost)
        self._looking = LibvirtConnection(link.name, at, options, heard, lost)

    async def look(self, call: Callable[[Any], T]) -> T:
        """`call` with a connection; it only reads. Raises Unreachable, Missing, Rejected, Busy."""

        def reading() -> T:
            connection = self._looking.get()
            try:
                return call(connection)
            except libvirt.libvirtError as error:
                raise fault_of(error, self.link.name, connection, changing=False) from error

        return await self._looks.run(reading, timeout_s=self._options.look_timeout_s)

    async def act(
        self,
        call: Callable[[Any, Callable[[], None]], T],
        permit: Permit,
        timeout_s: float | None = None,
    ) -> T:
        """`call` with a connection and a check to make right before each change.

        Once the caller has given up, the check fails too: what waits in a thread for a frozen
        host must not begin when the host thaws.
        """
        limit_s = timeout_s or self._options.call_timeout_s
        return await self._act((self._acts, self._acting), call, permit, limit_s)

    async def interrupt(self, call: Callable[[Any, Callable[[], None]], T], permit: Permit) -> T:
        """As `act`, beside all calls that run: moves may fill their lane."""
        way = self._looks, self._looking
        return await self._act(way, call, permit, self._options.look_timeout_s)

    async def _act(
        self,
        way: tuple[HostExecutor, LibvirtConnection],
        call: Callable[[Any, Callable[[], None]], T],
        permit: Permit,
        timeout_s: float,
    ) -> T:
        asked = RevocablePermit(permit)
        lane, at = way

        def acting() -> T:
            connection = at.get()
            try:
                return call(connection, asked.check)
            except libvirt.libvirtError as error:
                raise fault_of(error, self.link.name, connection, changing=asked.began) from error

        with asked.while_waiting():
            return await lane.run(acting, permit=permit, timeout_s=timeout_s)

    def close(self) -> None:
        """Begin nothing more, and close in a thread: closing may block on a frozen host."""
        self._acts.close()
        self._looks.close()
        threading.Thread(target=self._drop, name=f"close-{self.link.name}", daemon=True).start()

    def _drop(self) -> None:
        for each in (self._acting, self._looking):
            with suppress(libvirt.libvirtError, Unreachable):
                each.close()
