"""Layers of an appliance: VMs of one layer go to different machines (anti-affinity)."""

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from gateway.api.access import conflict, find_ground, readable, require_free
from gateway.api.representations import layers as shown
from gateway.api.request_bodies import BodyLink, as_object, checked_text, id_of, invalid, links
from gateway.api.request_context import RequestContext
from gateway.api.vms.vm_grouping import enter, require_leaving
from gateway.caller import Caller
from gateway.denial import ApiError, ErrorKind
from gateway.events.event import Event
from gateway.store import vms
from gateway.store.capacity import bookings
from gateway.store.db.pool import Connection
from gateway.store.rules import layers
from gateway.store.rules.layers import Layer
from gateway.store.vm_insert import AppliancePath
from gateway.store.vms import Vm

LAYER_NAME_MAX = 255
_VMS = "links[virtualmachine]"
_TAKEN = "name: the appliance has a layer of that name"


async def list_all(request: web.Request) -> web.Response:
    """GET: the layers of an appliance."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        ground = await _ground(turn, c)
        found = await layers.of_appliance(c, ground.id)
    return turn.whole("layers", [shown.layer(turn.links, ground, one) for one in found])


async def read(request: web.Request) -> web.Response:
    """GET: one layer."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        ground = await _ground(turn, c)
        one = await _find(c, ground, turn.request.match_info["layer"])
    return turn.ok("layer", shown.layer(turn.links, ground, one))


async def create(request: web.Request) -> web.Response:
    """POST: a layer of exactly two VMs, of which none is in a layer."""
    turn = RequestContext(request)
    body = as_object(await turn.json())
    name, named = _name(body.get("name")), _vms(links(body))
    if len(named) != 2:
        raise ApiError(
            ErrorKind.INVALID, "LAYER-2", f"{_VMS}: exactly two VMs are needed", field=_VMS
        )
    async with turn.store.transaction() as c:
        ground = await _ground(turn, c)
        found = await _lock(turn.caller, c, ground, named)
        if any(vm.layer_name is not None for vm in found):
            raise conflict("LAYER-3", f"{_VMS}: a VM is in a layer already", _VMS)
        made = await layers.add(c, ground.id, name)
        if made is None:
            raise conflict("LAYER-0", _TAKEN, "name")
        for vm in found:
            await enter(c, vm, made, _VMS)
        one = await _find(c, ground, name)
        await _tell(turn, c, ground, one, "was made")
    turn.services.wake()
    return turn.created("layer", shown.layer(turn.links, ground, one))


async def edit(request: web.Request) -> web.Response:
    """PUT: its name, and, where links to VMs are given, exactly those VMs; one must stay."""
    turn = RequestContext(request)
    body = as_object(await turn.json())
    name = None if body.get("name") is None else _name(body["name"])
    named = _vms(links(body))
    async with turn.store.transaction() as c:
        ground = await _ground(turn, c)
        one = await _find(c, ground, turn.request.match_info["layer"])
        if named:
            leaving = [vm_id for vm_id, _ in one.vms if vm_id not in named]
            found = await _lock(turn.caller, c, ground, sorted({*named, *leaving}))
            await _change_members(c, one, found, named)
        if name is not None and not await layers.rename(c, one.id, name):
            raise conflict("LAYER-0", _TAKEN, "name")
        one = await _find(c, ground, one.name if name is None else name)
        await _tell(turn, c, ground, one, "was changed")
    turn.services.wake()
    return turn.ok("layer", shown.layer(turn.links, ground, one))


async def delete(request: web.Request) -> web.Response:
    """DELETE: one with a single VM, which stays where it is, or with none."""
    turn = RequestContext(request)
    async with turn.store.transaction() as c:
        ground = await _ground(turn, c)
        one = await _find(c, ground, turn.request.match_info["layer"])
        found = await _lock(turn.caller, c, ground, [vm_id for vm_id, _ in one.vms])
        await layers.lock(c, ground.id, one.name)
        members = await layers.members(c, one.id)
        if len(members) > 1:
            raise conflict("LAYER-4", "More than one virtual machine is in the layer")
        for vm in found:
            if vm.id in members:
                await bookings.join_layer(c, vm.id, None)
        await layers.drop(c, one.id)
        await _tell(turn, c, ground, one, "was removed")
    turn.services.wake()
    return turn.nothing()


async def _change_members(
    c: Connection, one: Layer, found: Sequence[Vm], named: Sequence[int]
) -> None:
    """Let VMs go first, so that one may take the machine of another."""
    await layers.lock(c, one.virtualappliance_id, one.name)
    members = await layers.members(c, one.id)
    for vm in found:
        if vm.id in members and vm.id not in named:
            await bookings.join_layer(c, vm.id, None)
    for vm in found:
        if vm.id in named and vm.id not in members:
            if vm.layer_name is not None:
                await require_leaving(c, vm, _VMS)
            await enter(c, vm, one.id, _VMS)


async def _lock(
    caller: Caller, c: Connection, ground: AppliancePath, named: Sequence[int]
) -> list[Vm]:
    """These VMs of the appliance under lock, in the order of their ids, none held by a task."""
    found = []
    for vm_id in sorted(named):
        vm = await vms.lock(c, vm_id)
        if vm is None or vm.virtualappliance_id != ground.id:
            raise ApiError(
                ErrorKind.INVALID,
                "VM-68",
                f"{_VMS}: the appliance has no virtual machine {vm_id}",
                field=_VMS,
            )
        found.append(readable(vm, caller))
    for vm in found:
        require_free(vm)
    await bookings.hold_places(c, [vm.id for vm in found])
    return found


async def _ground(turn: RequestContext, c: Connection) -> AppliancePath:
    vdc, appliance = turn.ids("vdc", "vapp")
    return await find_ground(c, (vdc, appliance), turn.caller)


async def _find(c: Connection, ground: AppliancePath, name: str) -> Layer:
    for one in await layers.of_appliance(c, ground.id, name):
        return one
    raise ApiError(ErrorKind.ABSENT, "VAPP-16", "The appliance has no layer of that name")


def _name(given: object) -> str:
    if isinstance(given, str) and len(given) > LAYER_NAME_MAX:
        raise ApiError(
            ErrorKind.INVALID,
            "VAPP-17",
            f"name: at most {LAYER_NAME_MAX} characters are allowed",
            field="name",
        )
    name = checked_text(given, "name", LAYER_NAME_MAX)
    if not name.strip() or "/" in name or name in (".", ".."):
        raise invalid("name", "a name without a slash is needed")
    return name


def _vms(given: tuple[BodyLink, ...]) -> list[int]:
    named = [id_of(link, "virtualmachines") for link in given if link.rel == "virtualmachine"]
    return sorted(set(named))


async def _tell(
    turn: RequestContext, c: Connection, ground: AppliancePath, one: Layer, what: str
) -> None:
    details: dict[str, Any] = {"layer": one.name, "virtualmachines": [id_ for id_, _ in one.vms]}
    await turn.tell(
        c,
        Event(
            "VIRTUAL_APPLIANCE",
            "MODIFY",
            ground.id,
            message=f"Layer {one.name} of {ground.name} {what}",
            enterprise_id=ground.enterprise_id,
            entity_name=ground.name,
            details=details,
        ),
    )
