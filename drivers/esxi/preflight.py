"""Before a move the vCenter is asked whether it could be; a check begins nothing.

Where the vCenter cannot say, or not in time, the move is tried: it then refuses by itself what
cannot be, and the VM stays.
"""

from collections.abc import Callable

from pyVmomi import vim

from drivers.contract import Relocate
from drivers.esxi.connection.paging import PropertyPage, one, read
from drivers.esxi.connection.session import Service
from drivers.esxi.connection.task_wait import Ends
from drivers.esxi.connection.vcenter import Vcenter
from drivers.esxi.faults import refusal_of
from drivers.esxi.queries import RUNNING
from drivers.esxi.vms import migrate
from drivers.esxi.vms.migrate import Way

_PATHS = ("info.state", "info.result")


async def foresee(
    vcenter: Vcenter, ends: Ends, order: Relocate, way: Callable[[Service], Way], for_s: float
) -> None:
    """Ask, wait for the answer for so long, and raise what it says against the move."""
    task = await vcenter.look(lambda service: migrate.begin_check(service, order, way(service)))
    if task is None:
        return
    said: list[PropertyPage] = []

    def reading(service: Service) -> list[PropertyPage]:
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
