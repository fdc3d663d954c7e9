"""Virtual datacenters: a tenant's part of a datacenter, for VMs of one type."""

from collections.abc import Mapping
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError
from typing import Any

from aiohttp import web

from gateway.api.access import EVERYWHERE, conflict, sees
from gateway.api.representations import tenants as shown
from gateway.api.request_bodies import BodyLink, as_object, id_of, invalid, links, text
from gateway.api.request_context import RequestContext
from gateway.api.rules.default_tiers import OF_VDC, linked
from gateway.denial import ApiError, ErrorKind
from gateway.events.event import Event
from gateway.store import places, tenants
from gateway.store.db.pool import Connection
from gateway.store.rules import tiers
from gateway.store.tenants import NAME_SORTS, Virtualdatacenter

NAME_MAX = 40
_NETWORK_TAG = "default"


async def list_all(request: web.Request) -> web.Response:
    """GET: those of the caller's enterprise, or all; `enterprise` and `datacenter` narrow them."""
    turn = RequestContext(request)
    sort = turn.sort(NAME_SORTS, by="name", ascending=True)
    only = None if EVERYWHERE in turn.caller.privileges else turn.caller.enterprise_id
    wanted, place = turn.query_number("enterprise"), turn.query_number("datacenter")
    if wanted is not None:
        turn.require_sight(wanted)
    async with turn.store.read() as c:
        page = await tenants.virtualdatacenters(
            c, only if wanted is None else wanted, turn.query_text("has"), sort, datacenter_id=place
        )
    rows = [shown.virtualdatacenter(turn.links, one) for one in page.rows]
    return turn.page("virtualdatacenters", rows, page, sort)


async def find(turn: RequestContext, c: Connection) -> Virtualdatacenter:
    """The one the path names; ApiError VDC-0 when it does not exist for the caller."""
    (vdc_id,) = turn.ids("vdc")
    one = await tenants.virtualdatacenter(c, vdc_id)
    if one is None or not sees(turn.caller, one.enterprise_id):
        raise ApiError(ErrorKind.ABSENT, "VDC-0", "The virtual datacenter does not exist")
    return one


async def read(request: web.Request) -> web.Response:
    """GET: one."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        one = await find(turn, c)
    return turn.ok("virtualdatacenter", shown.virtualdatacenter(turn.links, one))


async def list_templates(request: web.Request) -> web.Response:
    """GET: the templates its VMs can be made from."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        one = await find(turn, c)
        found = await tenants.templates(c, one.datacenter_id, one.enterprise_id, one.type)
    rows = [shown.template(turn.links, each, one.enterprise_id) for each in found]
    return turn.whole("virtualmachinetemplates", rows)


async def create(request: web.Request) -> web.Response:
    """POST: a new one, with its default network."""
    turn = RequestContext(request)
    body = as_object(await turn.json())
    name = name_of(body)
    type_ = body.get("hypervisorType")
    if not isinstance(type_, str) or type_ not in turn.services.capabilities:
        raise invalid("hypervisorType", f"one of {', '.join(sorted(turn.services.capabilities))}")
    datacenter_id, enterprise_id = _belongings(turn, links(body))
    network = _network(body)
    async with turn.store.transaction() as c:
        if await places.datacenter(c, datacenter_id) is None:
            raise invalid("links[location]", "there is no such location")
        if await tenants.enterprise(c, enterprise_id) is None:
            raise invalid("links[enterprise]", "there is no such enterprise")
        made = await tenants.add_virtualdatacenter(c, name, enterprise_id, datacenter_id, type_)
        if made is None:
            raise conflict("VDC-4", "The enterprise has a virtual datacenter of that name", "name")
        await tenants.add_network(c, made, network)
        one = await tenants.virtualdatacenter(c, made)
        assert one is not None
        one = await _prefer(c, one, await linked(c, body, OF_VDC, one, None))
        await _tell(c, turn, one, "CREATE")
    turn.services.wake()
    return turn.created("virtualdatacenter", shown.virtualdatacenter(turn.links, one))


async def edit(request: web.Request) -> web.Response:
    """PUT: another name, and the default tier by a link."""
    turn = RequestContext(request)
    body = as_object(await turn.json())
    name = name_of(body)
    async with turn.store.transaction() as c:
        one = await find(turn, c)
        # The tier is held before the virtual datacenter, as by whoever removes it.
        tier_id = await linked(c, body, OF_VDC, one, one.tier_id)
        if not await tenants.rename_virtualdatacenter(c, one.id, name):
            raise conflict("VDC-4", "The enterprise has a virtual datacenter of that name", "name")
        await _tell(c, turn, one, "MODIFY")
        one = await _prefer(c, await find(turn, c), tier_id)
    turn.services.wake()
    return turn.ok("virtualdatacenter", shown.virtualdatacenter(turn.links, one))


async def delete(request: web.Request) -> web.Response:
    """DELETE: an empty one."""
    turn = RequestContext(request)
    async with turn.store.transaction() as c:
        one = await find(turn, c)
        if not await tenants.drop_virtualdatacenter(c, one.id):
            raise conflict("VDC-6", "The virtual datacenter has virtual appliances")
        await _tell(c, turn, one, "DELETE")
    turn.services.wake()
    return turn.nothing()


async def list_networks(request: web.Request) -> web.Response:
    """GET: its networks: the default one."""
    turn = RequestContext(request)
    async with turn.store.read() as c:
        one = await find(turn, c)
    return turn.whole("vlans", [] if one.network_id is None else [shown.network(turn.links, one)])


async def read_network(request: web.Request) -> web.Response:
    """GET: one of its networks."""
    turn = RequestContext(request)
    (network_id,) = turn.ids("network")
    async with turn.store.read() as c:
        one = await find(turn, c)
    if one.network_id != network_id:
        raise ApiError(ErrorKind.ABSENT, "VLAN-0", "The network does not exist")
    return turn.ok("vlan", shown.network(turn.links, one))


async def _prefer(c: Connection, one: Virtualdatacenter, tier_id: int | None) -> Virtualdatacenter:
    if tier_id == one.tier_id:
        return one
    await tiers.prefer(c, one.id, tier_id)
    changed = await tenants.virtualdatacenter(c, one.id)
    assert changed is not None
    return changed


def name_of(body: Mapping[str, Any]) -> str:
    """The name a body must give."""
    name = text(body, "name", NAME_MAX)
    if name is None or not name.strip():
        raise invalid("name", f"a name of 1 to {NAME_MAX} characters is needed")
    return name


def _belongings(turn: RequestContext, given: tuple[BodyLink, ...]) -> tuple[int, int]:
    """The (datacenter, enterprise) its links name."""
    by_rel = {link.rel: link for link in given}
    location = by_rel.get("location") or by_rel.get("datacenter")
    if location is None:
        raise invalid("links[location]", "a link to the location is needed")
    resource = "datacenters" if "/datacenters/" in location.href else "locations"
    datacenter_id = id_of(location, resource)
    enterprise = by_rel.get("enterprise")
    if enterprise is None:
        return datacenter_id, turn.caller.enterprise_id
    enterprise_id = id_of(enterprise, "enterprises")
    turn.require_sight(enterprise_id)
    return datacenter_id, enterprise_id


def _network(body: Mapping[str, Any]) -> tuple[str, str, str, str | None]:
    """Name, tag, CIDR and gateway of the default network; a private one when left out."""
    given = body.get("network")
    if given is None:
        return "default", _NETWORK_TAG, "192.168.0.0/24", "192.168.0.1"
    network = as_object(given) if isinstance(given, Mapping) else None
    if network is None:
        raise invalid("network", "an object is needed")
    name = text(network, "name", NAME_MAX) or "default"
    tag = text(network, "tag", NAME_MAX) or _NETWORK_TAG
    try:
        address = IPv4Network(f"{network.get('address')}/{network.get('mask', 24)}", strict=False)
    except (AddressValueError, NetmaskValueError, ValueError) as wrong:
        raise invalid("network.address", "an IPv4 address and a mask are needed") from wrong
    if address.prefixlen > 30 or address.prefixlen < 8:
        raise invalid("network.mask", "from 8 to 30")
    return name, tag, str(address), _gateway(network, address)


def _gateway(network: Mapping[str, Any], address: IPv4Network) -> str | None:
    given = network.get("gateway")
    if given in (None, ""):
        return None
    try:
        gateway = IPv4Address(given)
    except (AddressValueError, ValueError, TypeError) as wrong:
        raise invalid("network.gateway", "an IPv4 address is needed") from wrong
    if gateway not in address:
        raise invalid("network.gateway", "it must lie in the network")
    return str(gateway)


async def _tell(c: Connection, turn: RequestContext, one: Virtualdatacenter, action: str) -> None:
    await turn.tell(
        c,
        Event(
            "VIRTUAL_DATACENTER",
            action,
            one.id,
            message=f"Virtual datacenter {one.name}: {action.lower()}",
            enterprise_id=one.enterprise_id,
            entity_name=one.name,
        ),
    )
