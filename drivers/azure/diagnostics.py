"""What an administrator should know of a subscription before VMs are made there; looks only."""

from uuid import UUID

from drivers.azure import vm_operations
from drivers.azure.connection.arm import PERMISSIONS_VERSION
from drivers.azure.faults import RetryLater
from drivers.azure.places import place_at
from drivers.azure.removal_objections import lacked
from drivers.azure.sizes import CORES
from drivers.azure.vm_operations import CallContext
from drivers.contract import HostLink
from drivers.facts import Diagnostic
from drivers.faults import Fault

_NOBODY = UUID(int=0)


async def examined(scene: CallContext) -> tuple[Diagnostic, ...]:
    """The resource group, our rights, and for each place its sizes and quota."""
    name = scene.arm.name
    try:
        await vm_operations.see(
            scene, _NOBODY
        )  # only a group that is there says that it has no such VM
        found = [Diagnostic(True, name, f"VMs are made in {scene.options.resource_group}")]
        found.append(await _rights(scene))
        for link in scene.links.values():
            found += await _place(scene, link)
    except (Fault, RetryLater) as silent:
        return (Diagnostic(False, name, silent.message),)
    return tuple(found)


async def _rights(scene: CallContext) -> Diagnostic:
    name = scene.arm.name
    path = scene.arm.of_group("providers/Microsoft.Authorization/permissions")
    try:
        held = await scene.arm.found(path, PERMISSIONS_VERSION)
    except (Fault, RetryLater) as silent:
        return Diagnostic(False, name, f"the rights of the role cannot be read: {silent.message}")
    lacking = lacked(held.get("value", ()) if held is not None else ())
    if lacking:
        return Diagnostic(False, name, f"our role lacks {', '.join(lacking)}")
    return Diagnostic(True, name, "our role has all rights")


async def _place(scene: CallContext, link: HostLink) -> list[Diagnostic]:
    place = place_at(link)
    known = await scene.sizes.of(place.region)
    unknown = [name for name in scene.options.allowed if name.lower() not in known]
    offered = [size.name for size in await scene.sizes.allowed(place)]
    quota = (await scene.sizes.quota(place.region)).get(CORES)
    found = []
    if unknown:
        found.append(Diagnostic(False, link.name, f"{place.region} knows no {', '.join(unknown)}"))
    said = f"sizes for us: {', '.join(offered) or 'none'}"
    found.append(Diagnostic(bool(offered), link.name, said))
    if quota is not None:
        left = quota.limit - quota.used
        said = f"{left} of {quota.limit} vCPUs are left in {place.region}"
        found.append(Diagnostic(left > 0, link.name, said))
    if not any(link.networks.values()):
        found.append(
            Diagnostic(False, link.name, "no network is mapped to a subnet or an interface")
        )
    return found
