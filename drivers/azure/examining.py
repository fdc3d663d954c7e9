"""What an administrator should know of a subscription before VMs are made there; looks only."""

from uuid import UUID

from drivers.azure import acts
from drivers.azure.acts import Scene
from drivers.azure.arm import PERMISSIONS_VERSION
from drivers.azure.forbidding import lacked
from drivers.azure.places import place_at
from drivers.azure.sizes import CORES
from drivers.azure.trouble import Later
from drivers.contract import HostLink
from drivers.facts import Remark
from drivers.faults import Fault

_NOBODY = UUID(int=0)


async def examined(scene: Scene) -> tuple[Remark, ...]:
    """The resource group, our rights, and for each place its sizes and quota."""
    name = scene.arm.name
    try:
        await acts.see(scene, _NOBODY)  # only a group that is there says that it has no such VM
        found = [Remark(True, name, f"VMs are made in {scene.options.resource_group}")]
        found.append(await _rights(scene))
        for link in scene.links.values():
            found += await _place(scene, link)
    except (Fault, Later) as silent:
        return (Remark(False, name, silent.message),)
    return tuple(found)


async def _rights(scene: Scene) -> Remark:
    name = scene.arm.name
    path = scene.arm.of_group("providers/Microsoft.Authorization/permissions")
    try:
        held = await scene.arm.found(path, PERMISSIONS_VERSION)
    except (Fault, Later) as silent:
        return Remark(False, name, f"the rights of the role cannot be read: {silent.message}")
    lacking = lacked(held.get("value", ()) if held is not None else ())
    if lacking:
        return Remark(False, name, f"our role lacks {', '.join(lacking)}")
    return Remark(True, name, "our role has all rights")


async def _place(scene: Scene, link: HostLink) -> list[Remark]:
    place = place_at(link)
    known = await scene.sizes.of(place.region)
    unknown = [name for name in scene.options.allowed if name.lower() not in known]
    offered = [size.name for size in await scene.sizes.allowed(place)]
    quota = (await scene.sizes.quota(place.region)).get(CORES)
    found = []
    if unknown:
        found.append(Remark(False, link.name, f"{place.region} knows no {', '.join(unknown)}"))
    said = f"sizes for us: {', '.join(offered) or 'none'}"
    found.append(Remark(bool(offered), link.name, said))
    if quota is not None:
        left = quota.limit - quota.used
        said = f"{left} of {quota.limit} vCPUs are left in {place.region}"
        found.append(Remark(left > 0, link.name, said))
    if not any(link.networks.values()):
        found.append(Remark(False, link.name, "no network is mapped to a subnet or an interface"))
    return found
