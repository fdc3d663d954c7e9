"""A whole appliance is deployed or undeployed by one request: a task for each VM, or none."""

from collections.abc import Sequence

from aiohttp import web

from gateway.api.access import conflict, find_ground
from gateway.api.capacity.hold_reading import require_hold
from gateway.api.representations.tasks import accepted
from gateway.api.request_context import RequestContext
from gateway.api.vms.sizes import require_size
from gateway.api.vms.virtualmachine_actions import read_options
from gateway.denial import ApiError
from gateway.lifecycle import Operation, VmState
from gateway.store import vms
from gateway.store.vms import Vm
from gateway.tasks.submission import Order, submit_group


async def deploy(request: web.Request) -> web.Response:
    """POST: deploy every VM that is not, in the order of their labels."""
    return await _group(RequestContext(request), Operation.DEPLOY)


async def undeploy(request: web.Request) -> web.Response:
    """POST: undeploy every VM that is deployed."""
    return await _group(RequestContext(request), Operation.UNDEPLOY)


async def _group(turn: RequestContext, operation: Operation) -> web.Response:
    hold = await read_options(turn)
    path = turn.ids("vdc", "vapp")
    async with turn.store.read() as c:
        ground = await find_ground(c, (path[0], path[1]), turn.caller)
        members = await vms.of_appliance(c, ground.id)
    if not members:
        raise conflict("VAPP-12", "The virtual appliance has no virtual machines")
    wanted = concerned(members, operation)
    if not wanted:
        return turn.nothing()
    if operation is Operation.DEPLOY:
        for vm in wanted:
            require_size(turn.services.capabilities.get(vm.type), vm.cpu, vm.ram_mib)
    held = {"hold": str(hold)} if hold is not None and operation is Operation.DEPLOY else {}
    if held:
        async with turn.store.read() as c:
            for vm in wanted:
                await require_hold(c, hold, vm)
    orders = [Order(operation, vm.id, dict(held)) for vm in wanted]
    try:
        done = await submit_group(turn.store, orders, turn.caller)
    except ApiError as denied:
        raise without_link(denied) from denied
    turn.services.wake()
    return turn.accepted(accepted(turn.links, zip(wanted, done, strict=True)))


def without_link(denied: ApiError) -> ApiError:
    """The same refusal with its task in words: it is not one of the appliance's own."""
    if denied.task is None:
        return denied
    return ApiError(denied.kind, denied.code, f"{denied.message} ({denied.task})")


def concerned(members: Sequence[Vm], operation: Operation) -> tuple[Vm, ...]:
    """The VMs an operation is still to be done to; ApiError VM-2 while a task holds any."""
    held = next((vm for vm in members if vm.open_task is not None), None)
    if held is not None:
        raise conflict("VM-2", f"{held.label} is locked by task {held.open_task}")
    deploying = operation is Operation.DEPLOY
    return tuple(vm for vm in members if (vm.state is VmState.NOT_ALLOCATED) is deploying)
