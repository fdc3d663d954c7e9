"""Actions on one VM become tasks, protection changes at once."""

from uuid import UUID

from aiohttp import web

from gateway.api.access import conflict, find_vm, require_free
from gateway.api.capacity.hold_body import hold_of
from gateway.api.capacity.hold_reading import require_hold
from gateway.api.representations.consequences import consequences
from gateway.api.representations.tasks import accepted
from gateway.api.request_bodies import flag, read_cause
from gateway.api.request_context import RequestContext
from gateway.api.vms import vm_updates
from gateway.api.vms.sizes import require_size
from gateway.lifecycle import Operation
from gateway.store.vms import Vm
from gateway.tasks.submission import Order, submit

_FLAGS = ("forceEnterpriseSoftLimits", "forceVdcLimits", "forceUndeploy")


async def deploy(request: web.Request) -> web.Response:
    """POST: place, create and power on."""
    return await _operation(RequestContext(request), Operation.DEPLOY)


async def undeploy(request: web.Request) -> web.Response:
    """POST: take the VM off its hypervisor, with its disk."""
    return await _operation(RequestContext(request), Operation.UNDEPLOY)


async def reset(request: web.Request) -> web.Response:
    """POST: press the reset button."""
    return await _operation(RequestContext(request), Operation.RESET)


async def redeploy(request: web.Request) -> web.Response:
    """POST: have the hypervisor start the VM on another machine of its own choice."""
    return await _operation(RequestContext(request), Operation.REDEPLOY)


async def _operation(turn: RequestContext, operation: Operation) -> web.Response:
    hold = await read_options(turn)
    if operation is not Operation.DEPLOY:
        hold = None
    async with turn.store.read() as c:
        vm = await find_vm(c, turn.vm_path(), turn.caller)
        await require_hold(c, hold, vm)
    _require_able(turn, vm, operation)
    payload = {} if hold is None else {"hold": str(hold)}
    done = await submit(turn.store, Order(operation, vm.id, payload), turn.caller)
    turn.services.wake()
    return turn.accepted(accepted(turn.links, [(vm, done)]) | consequences(operation))


def _require_able(turn: RequestContext, vm: Vm, operation: Operation) -> None:
    able = turn.services.capabilities.get(vm.type)
    if operation is Operation.RESET and able is not None and not able.reset:
        require_free(vm)
        raise conflict("VM-26", f"{able.type} cannot reset a virtual machine")
    if operation is Operation.DEPLOY:
        require_size(able, vm.cpu, vm.ram_mib)
    if operation is Operation.REDEPLOY and (able is None or not able.redeploy):
        require_free(vm)
        raise conflict("VM-REDEPLOY-1", f"{vm.type} cannot redeploy a virtual machine")


async def read_options(turn: RequestContext) -> UUID | None:
    """The hold of a `virtualmachinetask` if one was sent; none, or null, is as good.

    Nothing else in it changes what we do: there are no soft limits to force.
    """
    body = await turn.optional_json()
    if body is None:
        return None
    for name in _FLAGS:
        flag(body, name)
    return hold_of(body)


async def protect(request: web.Request) -> web.Response:
    """POST the reason, as text: 204."""
    turn = RequestContext(request)
    cause = read_cause(await turn.text_or_json())
    async with turn.store.read() as c:
        vm = await find_vm(c, turn.vm_path(), turn.caller)
    await vm_updates.protect(turn.writer, vm.id, cause)
    return turn.nothing()


async def unprotect(request: web.Request) -> web.Response:
    """POST: 204."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        vm = await find_vm(c, turn.vm_path(), turn.caller)
    await vm_updates.unprotect(turn.writer, vm.id)
    return turn.nothing()
