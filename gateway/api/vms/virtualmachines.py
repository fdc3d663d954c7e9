"""VMs: listed wherever something holds them, made, read, edited and deleted."""

from typing import Any

from aiohttp import web

from gateway.api.access import find_ground, find_vdc, find_vm
from gateway.api.http.paging import rendered
from gateway.api.representations.tasks import accepted
from gateway.api.representations.virtualmachines import virtual_machine
from gateway.api.request_bodies import VmBody, invalid, read_vm, refuse_changed
from gateway.api.request_context import RequestContext
from gateway.api.vms import vm_updates
from gateway.lifecycle import Operation
from gateway.store import nics, vms
from gateway.store.vms import Vm, VmScope
from gateway.tasks.submission import Order, submit


async def list_of_appliance(request: web.Request) -> web.Response:
    """GET the VMs of a virtual appliance."""
    turn = RequestContext(request)
    path = turn.ids("vdc", "vapp")
    async with turn.store.read() as c:
        ground = await find_ground(c, (path[0], path[1]), turn.caller)
    return await _listing(turn, VmScope(virtualappliance_id=ground.id))


async def list_of_vdc(request: web.Request) -> web.Response:
    """GET the VMs of a virtual datacenter."""
    turn = RequestContext(request)
    (vdc,) = turn.ids("vdc")
    async with turn.store.read() as c:
        await find_vdc(c, vdc, turn.caller)
    return await _listing(turn, VmScope(virtualdatacenter_id=vdc))


async def list_of_caller(request: web.Request) -> web.Response:
    """GET the VMs of the caller's enterprise."""
    turn = RequestContext(request)
    return await _listing(turn, VmScope(enterprise_id=turn.caller.enterprise_id))


async def list_of_all(request: web.Request) -> web.Response:
    """GET the VMs of every enterprise."""
    return await _listing(RequestContext(request), VmScope())


async def list_of_enterprise(request: web.Request) -> web.Response:
    """GET the VMs of an enterprise."""
    turn = RequestContext(request)
    (enterprise,) = turn.ids("enterprise")
    turn.require_sight(enterprise)
    return await _listing(turn, VmScope(enterprise_id=enterprise))


async def list_of_user(request: web.Request) -> web.Response:
    """GET the VMs that a user made."""
    turn = RequestContext(request)
    enterprise, user = turn.ids("enterprise", "user")
    turn.require_sight(enterprise)
    return await _listing(turn, VmScope(enterprise_id=enterprise, user_id=user))


async def list_of_machine(request: web.Request) -> web.Response:
    """GET the VMs that live on a host."""
    turn = RequestContext(request)
    (host,) = turn.ids("machine")
    return await _listing(turn, VmScope(host_id=host))


async def _listing(turn: RequestContext, scope: VmScope) -> web.Response:
    scope, sort = turn.scoped(scope, vms.SORTS)
    async with turn.store.read() as c:
        page = await vms.page(c, scope, sort)
        of = await nics.of_vms(c, [vm.id for vm in page.rows])
    viewer = turn.viewer
    shown = await rendered(page.rows, lambda vm: virtual_machine(viewer, vm, of.get(vm.id, ())))
    return turn.page("virtualmachines", shown, page, sort)


async def _shown(turn: RequestContext, vm: Vm) -> dict[str, Any]:
    async with turn.store.read() as c:
        return virtual_machine(turn.viewer, vm, (await nics.of_vms(c, [vm.id])).get(vm.id, ()))


async def create(request: web.Request) -> web.Response:
    """POST a VM into an appliance: 201 with the VM."""
    turn = RequestContext(request)
    path = turn.ids("vdc", "vapp")
    body = read_vm(await turn.json())
    async with turn.store.read() as c:
        ground = await find_ground(c, (path[0], path[1]), turn.caller)
    vm = await vm_updates.create(turn.writer, ground, body)
    return turn.created("virtualmachine", await _shown(turn, vm))


async def read(request: web.Request) -> web.Response:
    """GET one VM."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        vm = await find_vm(c, turn.vm_path(), turn.caller)
    return turn.ok("virtualmachine", await _shown(turn, vm))


async def edit(request: web.Request) -> web.Response:
    """PUT a VM: 204 when all could be written at once, 202 when its size needs a task."""
    turn = RequestContext(request)
    body = read_vm(await turn.json())
    async with turn.store.read() as c:
        vm = await find_vm(c, turn.vm_path(), turn.caller)
    shown = await _shown(turn, vm)
    _refuse_undriven(vm, body, shown)
    size = await vm_updates.edit(turn.writer, vm.id, body)
    if size is None:
        return turn.nothing()
    order = Order(Operation.RECONFIGURE, vm.id, {"cpu": size[0], "ram_mib": size[1]})
    done = await submit(turn.store, order, turn.caller)
    turn.services.wake()
    await vm_updates.edit_words(turn.writer, vm.id, body)
    return turn.accepted(accepted(turn.links, [(vm, done)]))


def _refuse_undriven(vm: Vm, body: VmBody, shown: dict[str, Any]) -> None:
    """Refuse what would mean something and cannot be done; the rest is passed over."""
    if body.cores_per_socket not in (None, vm.cores_per_socket):
        raise invalid("coresPerSocket", f"only {vm.cores_per_socket} is supported")
    refuse_changed(body.links, shown["links"])


async def delete(request: web.Request) -> web.Response:
    """DELETE a VM: 204 once its record is gone, 202 with the task that undeploys it first. Who
    takes an accepted request only gets one with a task that is done."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        vm = await find_vm(c, turn.vm_path(), turn.caller)
    wants_task = turn.preferred("", "acceptedrequest") != ""
    done = await vm_updates.delete(turn.writer, vm.id, wants_task=wants_task)
    turn.services.wake()
    if done.task is None:
        return turn.nothing(done.warning)
    return turn.accepted(accepted(turn.links, [(vm, done.task)]), done.warning)
