"""A guest is asked to shut down once its tools listen, and waited for until it is off.

Tools that are installed start a while after the guest; where none are, nobody waits for them.
"""

import time
from collections.abc import Awaitable, Callable

from drivers.contract import Power
from drivers.esxi.connection.task_wait import Ends
from drivers.esxi.queries import VsphereVm
from drivers.esxi.vms.operations import TOOLS_RUN
from drivers.facts import PowerState

_NONE = ("toolsNotInstalled", "guestToolsNotInstalled")


class GuestTools:
    """The guest of one order, from now on for its grace; `see` looks at its VM."""

    def __init__(self, order: Power, ends: Ends, see: Callable[[], Awaitable[VsphereVm]]) -> None:
        self._vm = str(order.vm)
        self._ends = ends
        self._see = see
        self._until_s = time.monotonic() + order.grace_s

    async def listens(self) -> None:
        """Wait until it can be asked, or it is clear that it never can."""
        await self._ends.until(self._vm, self._is_decided, self._left_s())

    async def is_off(self) -> bool:
        """Wait until it is off; False when its grace has passed."""

        async def off() -> bool:
            return (await self._see()).power is PowerState.OFF

        return await self._ends.until(self._vm, off, self._left_s())

    async def _is_decided(self) -> bool:
        seen = await self._see()
        if seen.vm is None or seen.power is not PowerState.ON:
            return True
        tools = (seen.vm.get("guest.toolsStatus"), seen.vm.get("guest.toolsVersionStatus2"))
        runs = seen.vm.get("guest.toolsRunningStatus") == TOOLS_RUN
        return runs or any(each in _NONE for each in tools)

    def _left_s(self) -> float:
        return self._until_s - time.monotonic()
