"""What a VM is grouped by: the datastore tier its disks go to, and its anti-affinity layer."""

from typing import Protocol
from urllib.parse import unquote

from gateway.api.access import conflict
from gateway.api.request_bodies import BodyLink, VmBody, id_of, path_of
from gateway.denial import ApiError, ErrorKind
from gateway.lifecycle import VmState
from gateway.store.capacity import bookings
from gateway.store.db.pool import Connection
from gateway.store.rules import layers, tiers
from gateway.store.vms import Vm

_TIER = "links[datastoretier0]"
_LAYER = "links[layer]"


class Owned(Protocol):
    """Of an enterprise, in a datacenter."""

    @property
    def enterprise_id(self) -> int | None:
        """Whose it is; None for everybody's."""

    @property
    def datacenter_id(self) -> int:
        """Where it is."""


async def group(c: Connection, vm: Vm, body: VmBody) -> list[str]:
    """Have a locked VM ask for the tier and be in the layer that the body links; the links that
    changed something. What is not linked stays."""
    changed = []
    tier, layer = body.link("datastoretier0"), body.link("layer")
    if tier is not None and _id(tier) != vm.tier_id:
        wanted = await tier_named(c, tier, vm)
        if vm.state is not VmState.NOT_ALLOCATED:
            message = f"{_TIER}: the disks of a deployed virtual machine stay in their tier"
            raise conflict("DSTIER-6", message, _TIER)
        await tiers.ask(c, vm.id, wanted)
        changed.append("datastoretier0")
    if layer is not None and await join(c, vm, layer):
        changed.append("layer")
    return changed


async def tier_named(c: Connection, link: BodyLink, owner: Owned) -> int:
    """The tier a link names, which the owner's enterprise may use; it stays there until the
    caller's transaction ends."""
    field = f"links[{link.rel}]"
    tier_id = _id(link)
    await tiers.keep(c, tier_id)
    one = await tiers.get(c, tier_id)
    if one is None or one.datacenter_id != owner.datacenter_id:
        message = f"{field}: the location has no such tier"
        raise ApiError(ErrorKind.INVALID, "DSTIER-4", message, field=field)
    if owner.enterprise_id is None and not one.open_to_all:
        raise conflict("ENTERPRISE-16", f"{field}: not every enterprise may use the tier", field)
    if owner.enterprise_id is not None and not one.allows(owner.enterprise_id):
        raise conflict("ENTERPRISE-16", f"{field}: the enterprise may not use the tier", field)
    return tier_id


def _id(link: BodyLink) -> int:
    try:
        return id_of(link, "datastoretiers")
    except ApiError as denied:
        field = f"links[{link.rel}]"
        raise ApiError(ErrorKind.INVALID, "DSTIER-4", denied.message, field=field) from denied


async def join(c: Connection, vm: Vm, link: BodyLink) -> bool:
    """Put a locked VM into the layer its link names, out of the one it is in; False when it is
    there already."""
    name = _layer_named(link, vm)
    if name == vm.layer_name:
        return False
    layer_id = await layers.lock(c, vm.virtualappliance_id, name)
    if layer_id is None:
        raise conflict("LAYER-1", f"{_LAYER}: the appliance has no layer of that name", _LAYER)
    if vm.layer_name is not None:
        await require_leaving(c, vm, _LAYER)
    await enter(c, vm, layer_id, _LAYER)
    return True


def _layer_named(link: BodyLink, vm: Vm) -> str:
    """The name that ends the link's path, which must be of the VM's own appliance."""
    before, _, name = path_of(link).rpartition("/layers/")
    own = before.endswith(f"/virtualappliances/{vm.virtualappliance_id}")
    if not own or not name or "/" in name:
        raise ApiError(
            ErrorKind.INVALID,
            "LAYER-5",
            f"{_LAYER}: the href does not name a layer of its appliance",
            field=_LAYER,
        )
    return unquote(name)


async def require_leaving(c: Connection, vm: Vm, field: str) -> None:
    """A VM leaves its layer for another only while it is not deployed, and never as the last."""
    if vm.state is not VmState.NOT_ALLOCATED:
        message = f"{field}: {vm.label} is deployed and in the layer {vm.layer_name}"
        raise conflict("LAYER-6", message, field)
    left = await layers.of_vm(c, vm.id)
    if left is not None and await layers.members(c, left) == [vm.id]:
        message = f"{field}: {vm.label} is the last of the layer {vm.layer_name}; delete the layer"
        raise conflict("LAYER-7", message, field)


async def enter(c: Connection, vm: Vm, layer_id: int, field: str) -> None:
    """Put a locked VM into a layer, unless a VM of it lives where this one does."""
    if await bookings.join_layer(c, vm.id, layer_id) is not None:
        message = f"{field}: {vm.label} is on a machine where a VM of the layer is"
        raise conflict("LAYER-8", message, field)
