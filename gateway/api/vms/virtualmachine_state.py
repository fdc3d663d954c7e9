"""A VM's state, read and asked for: ON, OFF or PAUSED; a reset is an action, not a state."""

from typing import Any

from aiohttp import web

from drivers.capabilities import Capabilities
from gateway.api.access import conflict, find_vm, require_free
from gateway.api.representations.consequences import consequences
from gateway.api.representations.tasks import accepted
from gateway.api.representations.virtualmachines import virtual_machine_state
from gateway.api.request_bodies import GRACE_DEFAULT_S, StateBody, invalid, read_state
from gateway.api.request_context import RequestContext
from gateway.lifecycle import Operation, VmState, power_operation
from gateway.store.vms import Vm
from gateway.tasks.submission import Order, submit


async def read(request: web.Request) -> web.Response:
    """GET the state."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        vm = await find_vm(c, turn.vm_path(), turn.caller)
    return turn.ok("virtualmachinestate", virtual_machine_state(turn.viewer, vm))


async def change(request: web.Request) -> web.Response:
    """PUT the state: 202 with the task that brings it."""
    turn = RequestContext(request)
    wanted = read_state(await turn.json())
    async with turn.store.read() as c:
        vm = await find_vm(c, turn.vm_path(), turn.caller)
    order = power_order(vm, wanted, turn.services.capabilities.get(vm.type))
    done = await submit(turn.store, order, turn.caller)
    turn.services.wake()
    means = consequences(order.operation, release=bool(order.payload.get("release")))
    return turn.accepted(accepted(turn.links, [(vm, done)]) | means)


def power_order(vm: Vm, wanted: StateBody, able: Capabilities | None) -> Order:
    """The operation that brings the wanted state; Denied when it is reached, a task holds the
    VM, or the hypervisor cannot do it."""
    require_free(vm)
    release = releasing(vm, wanted, able)
    if vm.state is wanted.state and not (release and wanted.release and not vm.deallocated):
        raise conflict("VM-4", _already(vm, able), "state")
    graceful = wanted.graceful and vm.state is not VmState.OFF
    operation = power_operation(wanted.state, vm.state, graceful=graceful)
    assert operation is not None, "the body's reader lets only states pass that can be asked for"
    _require_able(operation, able)
    payload: dict[str, Any] = {"release": True} if release else {}
    if operation is Operation.SHUTDOWN:
        payload |= {
            "grace_s": wanted.force_after_s or GRACE_DEFAULT_S,
            "force": wanted.force_after_s is not None,
        }
    return Order(operation, vm.id, payload)


def releasing(vm: Vm, wanted: StateBody, able: Capabilities | None) -> bool:
    """Whether the compute is given back: where that can be, as asked for; else a hard off does so
    and a graceful one does not."""
    if able is None or not able.deallocation:
        if wanted.release is not None:
            raise invalid("azureMode", f"{vm.type} cannot deallocate a virtual machine")
        return False
    if wanted.release is not None:
        return wanted.release
    return wanted.state is VmState.OFF and not wanted.graceful


def _already(vm: Vm, able: Capabilities | None) -> str:
    if vm.state is not VmState.OFF or able is None or not able.deallocation:
        return f"The virtual machine is {vm.state} already"
    if vm.deallocated:
        return "The virtual machine is OFF and deallocated already"
    return (
        "The virtual machine is OFF already, and still charged; with azureMode deallocate it "
        "gives its compute back"
    )


def _require_able(operation: Operation, able: Capabilities | None) -> None:
    if able is None:
        return
    pausing = operation in (Operation.PAUSE, Operation.RESUME)
    if pausing and not able.pause:
        raise conflict("VM-4", f"{able.type} cannot pause a virtual machine", "state")
    if operation is Operation.SHUTDOWN and not able.graceful_shutdown:
        raise conflict("VM-4", f"{able.type} cannot shut down gracefully", "gracefulShutdown")
