"""What a client says about a hold: for whom, for how long, and one entry for each sort of VM."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote
from uuid import UUID, uuid4

from gateway.api.request_bodies import (
    SIZE_MAX,
    BodyLink,
    as_object,
    id_of,
    invalid,
    links,
    path_of,
    text,
    whole,
)
from scheduler.model.demand import Demand

HOLD_TTL_MAX_S = 86_400
HOLD_VMS_MAX = 256
HOLD_NAME_MAX = 255
DISK_MAX = 2**53


@dataclass(frozen=True, slots=True)
class HoldEntry:
    """So many VMs of one size; `tier` is an id, None for any, `layer` the number of an appliance
    and the name of a layer of it, None for none."""

    count: int
    cpu: int
    ram_mib: int
    disk_bytes: int
    type: str
    network: str | None
    tier: int | None
    layer: tuple[int, str] | None

    def demands(self, datacenter: int, enterprise: int | None, layer: int | None) -> list[Demand]:
        """One demand a VM, each under a name of its own."""
        return [
            Demand(
                uuid4(),
                self.cpu,
                self.ram_mib,
                self.disk_bytes,
                self.type,
                datacenter,
                self.network,
                enterprise=enterprise,
                layer=layer,
                tier=self.tier,
            )
            for _ in range(self.count)
        ]


@dataclass(frozen=True, slots=True)
class HoldBody:
    """A hold as a client asked for it."""

    name: str
    ttl_s: float
    datacenter: int
    enterprise: int | None
    entries: tuple[HoldEntry, ...]


def read_hold(body: object) -> HoldBody:
    """The body of POST holds."""
    given = as_object(body)
    found = {link.rel: link for link in links(given)}
    if "datacenter" not in found:
        raise invalid("links[datacenter]", "a link to a datacenter is needed")
    entries = tuple(_entry(one) for one in _collection(given))
    if not 1 <= sum(entry.count for entry in entries) <= HOLD_VMS_MAX:
        raise invalid("virtualmachines", f"1 to {HOLD_VMS_MAX} virtual machines in all")
    owner = found.get("enterprise")
    return HoldBody(
        text(given, "name", HOLD_NAME_MAX) or "",
        read_ttl(given),
        id_of(found["datacenter"], "datacenters"),
        None if owner is None else id_of(owner, "enterprises"),
        entries,
    )


def read_ttl(body: Mapping[str, Any]) -> float:
    """`ttl`: how many seconds the hold lasts from now."""
    value = body.get("ttl")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise invalid("ttl", "a number of seconds is needed")
    if not 0 < value <= HOLD_TTL_MAX_S:
        raise invalid("ttl", f"more than 0 and at most {HOLD_TTL_MAX_S} s are allowed")
    return float(value)


def hold_of(body: Mapping[str, Any]) -> UUID | None:
    """The hold that a deploy or a move is to take its place from."""
    given = text(body, "hold", 64)
    if given is None:
        return None
    try:
        return UUID(given)
    except ValueError:
        raise invalid("hold", "the id of a hold is needed") from None


def _collection(body: Mapping[str, Any]) -> list[Any]:
    given = body.get("virtualmachines")
    rows = given.get("collection") if isinstance(given, Mapping) else given
    if not isinstance(rows, list) or len(rows) > HOLD_VMS_MAX:
        raise invalid("virtualmachines", f"a collection of 1 to {HOLD_VMS_MAX} is needed")
    return rows


def _entry(row: object) -> HoldEntry:
    given = as_object(row)
    found = {link.rel: link for link in links(given)}
    tier, layer = found.get("datastoretier"), found.get("layer")
    type_ = text(given, "type", HOLD_NAME_MAX)
    if not type_:
        raise invalid("type", "a hypervisor type is needed")
    return HoldEntry(
        whole(given, "count") or 1,
        _needed(given, "cpu"),
        _needed(given, "ram"),
        _disk(given),
        type_,
        text(given, "network", HOLD_NAME_MAX),
        None if tier is None else id_of(tier, "datastoretiers"),
        None if layer is None else _layer(layer),
    )


def _layer(link: BodyLink) -> tuple[int, str]:
    before, _, name = path_of(link).rpartition("/layers/")
    if not name or "/" in name:
        raise invalid("links[layer]", "the href does not name a layer")
    return id_of(BodyLink(link.rel, before), "virtualappliances"), unquote(name)


def _needed(given: Mapping[str, Any], name: str) -> int:
    value = whole(given, name)
    if value is None:
        raise invalid(name, f"a number from 1 to {SIZE_MAX} is needed")
    return value


def _disk(given: Mapping[str, Any]) -> int:
    value = given.get("disk", 0)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= DISK_MAX:
        raise invalid("disk", f"bytes from 0 to {DISK_MAX} are needed")
    return value
