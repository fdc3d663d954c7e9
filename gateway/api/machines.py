"""Machines: the hosts of a rack, as administrators list, register, change and remove them."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from drivers.addresses import AddressError
from gateway.api.access import conflict
from gateway.api.datacenters import find_rack
from gateway.api.representations import places as shown
from gateway.api.request_bodies import as_object, checked_text, invalid, text
from gateway.api.request_context import RequestContext
from gateway.api.rules.rule_events import drop_about
from gateway.denial import ApiError, ErrorKind
from gateway.events.event import Event
from gateway.store import host_addresses, places
from gateway.store.capacity import ledger
from gateway.store.db.pool import Connection
from gateway.store.host_addresses import AddressRow
from gateway.store.places import HostRow, NewHost, Rack

NAME_MAX = 255
ADDRESS_MAX = 1024
DATASTORES_MAX = 256
NETWORKS_MAX = 64
STATES = ("MANAGED", "NOT_MANAGED", "HALTED")
"""What an administrator may choose; the other states are what the gateway found."""


async def find(turn: RequestContext, c: Connection) -> HostRow:
    """The machine the path names; ApiError MACHINE-0 when there is none."""
    datacenter_id, rack_id, host_id = turn.ids("dc", "rack", "machine")
    one = await places.host(c, host_id)
    if one is None or (one.datacenter_id, one.rack_id) != (datacenter_id, rack_id):
        raise ApiError(ErrorKind.ABSENT, "MACHINE-0", "The machine does not exist")
    return one


async def _show(turn: RequestContext, c: Connection, one: HostRow) -> dict[str, Any]:
    return shown.machine(turn.links, one, await places.datastores(c, one.id))


async def list_all(request: web.Request) -> web.Response:
    """GET: the machines of a rack."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        found = await places.hosts(c, (await find_rack(turn, c)).id)
        rows = [await _show(turn, c, one) for one in found]
    return turn.whole("machines", rows)


async def read(request: web.Request) -> web.Response:
    """GET: one machine."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        body = await _show(turn, c, await find(turn, c))
    return turn.ok("machine", body)


async def check_state(request: web.Request) -> web.Response:
    """GET: the state as it was last observed."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        one = await find(turn, c)
    return turn.ok("machinestate", {"state": shown.machine_state(one), "links": []})


async def list_datastores(request: web.Request) -> web.Response:
    """GET: the datastores a machine sees."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        one = await find(turn, c)
        found = await places.datastores(c, one.id)
    return turn.whole("datastores", [shown.datastore(turn.links, each, one) for each in found])


async def create(request: web.Request) -> web.Response:
    """POST: register a host; it takes VMs once it was seen."""
    turn = RequestContext(request)
    body = as_object(await turn.json())
    names = _datastores(body)
    async with turn.store.transaction() as c:
        new = _new(turn, body, await find_rack(turn, c))
        made = await places.add_host(c, new)
        if made is None:
            other = await host_addresses.owner(c, new.endpoint)
            if other is not None and (other.hypervisor, other.name) != (new.hypervisor, new.name):
                raise _taken(other)
            raise conflict("MACHINE-4", "The hypervisor has a machine of that name", "name")
        missing = await places.link_datastores(c, made, names)
        if missing:
            raise invalid("datastores", f"the datacenter has no {', '.join(missing)}")
        await ledger.refresh_limits(c, hosts=[made])
        one = await places.host(c, made)
        assert one is not None
        await _tell(c, turn, one, "CREATE")
        shown_one = await _show(turn, c, one)
    await _changed(turn, made)
    return turn.created("machine", shown_one)


async def edit(request: web.Request) -> web.Response:
    """PUT: whether it takes VMs, its description, its address; the rest is given back as it is."""
    turn = RequestContext(request)
    body = as_object(await turn.json())
    async with turn.store.transaction() as c:
        one = await find(turn, c)
        wanted = body.get("state")
        state = one.state if wanted in (None, shown.machine_state(one)) else _state(body)
        given = text(body, "description", NAME_MAX)
        description = one.description if given is None else given
        await places.edit_host(c, one.id, state, description)
        await _change_address(turn, c, one, body)
        await ledger.refresh_limits(c, hosts=[one.id])
        await _tell(c, turn, one, "MODIFY")
        shown_one = await _show(turn, c, await find(turn, c))
    await _changed(turn, one.id)
    return turn.ok("machine", shown_one)


async def delete(request: web.Request) -> web.Response:
    """DELETE: a machine without VMs is forgotten; nothing happens on it."""
    turn = RequestContext(request)
    async with turn.store.transaction() as c:
        one = await find(turn, c)
        if not await places.drop_host(c, one.id):
            raise conflict("MACHINE-6", "The machine has virtual machines")
        await drop_about(turn, c, "machine", one.id)
        await ledger.refresh_limits(c, author=turn.caller.nick)
        await _tell(c, turn, one, "DELETE")
    await _changed(turn, one.id)
    return turn.nothing()


async def _changed(turn: RequestContext, host_id: int) -> None:
    await turn.services.host_changed(host_id)
    turn.services.wake()


async def _change_address(
    turn: RequestContext, c: Connection, one: HostRow, body: Mapping[str, Any]
) -> None:
    """Another `ip`, or `ipService`, than it has; the host is looked at there from now on."""
    given = [text(body, name, ADDRESS_MAX) for name in ("ip", "ipService")]
    address = next((each for each in given if each and each != one.address), None)
    if address is None:
        return
    endpoint = _endpoint(turn, one.hypervisor, address)
    other = await host_addresses.change(c, one.id, address, endpoint)
    if other is not None:
        raise _taken(other)


def _endpoint(turn: RequestContext, hypervisor: str, address: str) -> str | None:
    try:
        return turn.services.endpoint_of(hypervisor, address)
    except AddressError as wrong:
        raise invalid("ip", str(wrong)) from wrong


def _taken(other: AddressRow) -> ApiError:
    said = f"ip: machine {other.name} of hypervisor {other.hypervisor} has that address"
    return conflict("MACHINE-7", said, "ip")


def _new(turn: RequestContext, body: Mapping[str, Any], rack: Rack) -> NewHost:
    name = text(body, "name", NAME_MAX)
    service = text(body, "ipService", ADDRESS_MAX)
    address = text(body, "ip", ADDRESS_MAX) or service
    if not name or not name.strip():
        raise invalid("name", "a name is needed")
    if not address:
        raise invalid("ip", "the address at which the hypervisor answers is needed")
    if service not in (None, "", address):
        raise invalid("ipService", "a host has one address here; leave it out, or as ip")
    hypervisor = _hypervisor(turn, body)
    return NewHost(
        rack_id=rack.id,
        datacenter_id=rack.datacenter_id,
        hypervisor=hypervisor,
        name=name,
        type=turn.services.hypervisors[hypervisor],
        address=address,
        description=text(body, "description", NAME_MAX) or "",
        state=_state(body) if body.get("state") is not None else "MANAGED",
        networks=_networks(body),
        endpoint=_endpoint(turn, hypervisor, address),
    )


def _hypervisor(turn: RequestContext, body: Mapping[str, Any]) -> str:
    """The configured block that reaches it: named, or the only one of the type."""
    known = turn.services.hypervisors
    named = text(body, "hypervisor", NAME_MAX)
    if named is not None:
        if named not in known:
            raise invalid("hypervisor", f"one of {', '.join(sorted(known))}")
        if body.get("type") not in (None, known[named]):
            raise invalid("type", f"the hosts of {named} are of type {known[named]}")
        return named
    fitting = [name for name, type_ in known.items() if type_ == body.get("type")]
    if not fitting:
        raise invalid("type", f"one of {', '.join(sorted(set(known.values())))}")
    if len(fitting) > 1:
        raise invalid("hypervisor", f"ambiguous; set it to one of {', '.join(sorted(fitting))}")
    return fitting[0]


def _state(body: Mapping[str, Any]) -> str:
    state = body.get("state")
    if not isinstance(state, str) or state not in STATES:
        raise invalid("state", f"one of {', '.join(STATES)} is needed")
    return state


def _networks(body: Mapping[str, Any]) -> dict[str, str]:
    given = body.get("networks")
    if given is None:
        return {"default": ""}
    if not isinstance(given, Mapping) or len(given) > NETWORKS_MAX:
        raise invalid("networks", f"an object of at most {NETWORKS_MAX} texts is needed")
    return {
        checked_text(tag, "networks", NAME_MAX): checked_text(bridge, "networks", NAME_MAX)
        for tag, bridge in given.items()
    }


def _datastores(body: Mapping[str, Any]) -> list[str]:
    """The names in `datastores.collection`."""
    given = body.get("datastores")
    if given is None:
        return []
    rows = given.get("collection") if isinstance(given, Mapping) else given
    if not isinstance(rows, list) or len(rows) > DATASTORES_MAX:
        raise invalid("datastores", f"a collection of at most {DATASTORES_MAX} is needed")
    names = []
    for row in rows:
        if not isinstance(row, Mapping):
            raise invalid("datastores", "each must be an object with a name")
        names.append(checked_text(row.get("name"), "datastores.name", NAME_MAX))
    return names


async def _tell(c: Connection, turn: RequestContext, one: HostRow, action: str) -> None:
    await turn.tell(
        c,
        Event(
            "MACHINE",
            action,
            one.id,
            message=f"Machine {one.name}: {action.lower()}",
            entity_name=one.name,
        ),
    )
