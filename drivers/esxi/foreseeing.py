"""Before a move the vCenter is asked whether it could be; a check begins nothing.

Where the vCenter cannot say, or not in time, the move is tried: it then refuses by itself what
cannot be, and the VM stays.
"""

from collections.abc import Callable

from pyVmomi import vim

from drivers.contract import Relocate
from drivers.esxi import moving
from drivers.esxi.looking import RUNNING
from drivers.esxi.moving import Way
from drivers.esxi.reading import Found, one, read
from drivers.esxi.session import Service
from drivers.esxi.trouble import refusal_of
from drivers.esxi.vcenter import Vcenter
from drivers.esxi.waiting import Ends

_PATHS = ("info.state", "info.result")


async def foresee(
    vcenter: Vcenter, ends: Ends, order: Relocate, way: Callable[[Service], Way], for_s: float
) -> None:
    """Ask, wait for the answer for so long, and raise what it says against the move."""
    task = await vcenter.look(lambda service: moving.begin_check(service, order, way(service)))
    if task is None:
        return
    said: list[Found] = []

    def reading(service: Service) -> list[Found]:
        return read(service, [one(service.ref(vim.Task, task._moId))], {vim.Task: _PATHS})

    async def over() -> bool:
        said[:] = await vcenter.look(reading)
        return not any(each.get("info.state") in RUNNING for each in said)

    if not await ends.until(task._moId, over, for_s):
        return
    for each in said:
        for result in each.get("info.result") or ():
            for error in result.error:
                raise refusal_of(error, order.target.host)
