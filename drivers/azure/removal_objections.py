"""What stands against a removal before anything is begun: locks of others, and rights we lack.

A lock of a resource group or a subscription is inherited by all in it, and one on a part of a VM,
such as an extension, keeps the VM too. Who may not read locks or rights is told nothing here, and
by Azure's refusal later.
"""

import fnmatch
from collections.abc import Iterable

from drivers.azure import marker, vm_operations
from drivers.azure.connection.arm import NETWORK_VERSION, PERMISSIONS_VERSION, Json
from drivers.azure.faults import AccessDenied
from drivers.azure.role import ACTIONS
from drivers.azure.vm_operations import CallContext
from drivers.azure.vm_parser import AzureVm, properties
from drivers.contract import Order, Remove

LOCKS_VERSION = "2020-05-01"
_AT = "/providers/microsoft.authorization/locks/"
_KINDS = {
    "virtualmachines": "the virtual machine",
    "disks": "its disk",
    "networkinterfaces": "its interface",
}
_DELETES = (
    "Microsoft.Compute/virtualMachines/delete",
    "Microsoft.Compute/disks/delete",
    "Microsoft.Network/networkInterfaces/delete",
)


async def objections(scene: CallContext, order: Order) -> tuple[str, ...]:
    """Why an order would be refused now, each a sentence; only of removals something is known."""
    if not isinstance(order, Remove):
        return ()
    seen = await vm_operations.see(scene, order.vm)
    if seen is None or seen.mark.vm != order.vm:
        return ()
    told = await locked(scene, seen, order)
    lacking = await _lacking(scene)
    if lacking:
        told.append(f"our role lacks {', '.join(lacking)}: grant it and ask again")
    return tuple(told)


async def locked(scene: CallContext, seen: AzureVm, order: Remove) -> list[str]:
    """The locks that keep the VM, its disk or its interface, each named."""
    path = scene.arm.of_group("providers/Microsoft.Authorization/locks")
    try:
        pages = scene.arm.pages(path, f"api-version={LOCKS_VERSION}")
        locks = [lock async for page in pages for lock in page]
    except AccessDenied:
        return []
    if not locks:
        return []
    kept = [str(seen.record.get("id", ""))]
    if order.volume:
        kept.append(vm_operations.disk_path(scene, order.volume))
    nic = await scene.arm.found(vm_operations.nic_path(scene, order.vm), NETWORK_VERSION)
    if nic is not None and marker.read_from(nic).vm == order.vm:
        kept.append(vm_operations.nic_path(scene, order.vm))
    return [told for lock in locks if (told := _told(lock, kept))]


def _told(lock: Json, kept: Iterable[str]) -> str:
    """What a lock keeps from being deleted, empty for nothing of these."""
    scope, at, _ = str(lock.get("id") or "").lower().rpartition(_AT)
    level = str(properties(lock).get("level") or "")
    if not at or level.lower() in ("", "notspecified"):
        return ""
    for each in kept:
        path = each.lower()
        if f"{path}/".startswith(f"{scope}/") or scope.startswith(f"{path}/"):
            what = _KINDS.get(path.split("/")[-2], path.rpartition("/")[2])
            named = f"the lock {lock.get('name')} ({level}) on {_place(scope)}"
            return f"{named} keeps {what}: remove the lock"
    return ""


def _place(scope: str) -> str:
    """Where a lock is, as its last two words say."""
    words = scope.strip("/").split("/")
    kinds = {"resourcegroups": "the resource group", "subscriptions": "the subscription"}
    kind = words[-2] if len(words) > 1 else ""
    return f"{kinds.get(kind, kind)} {words[-1]}"


async def _lacking(scene: CallContext) -> list[str]:
    """The rights to delete that our role lacks; none where it may not read its own."""
    path = scene.arm.of_group("providers/Microsoft.Authorization/permissions")
    try:
        held = await scene.arm.found(path, PERMISSIONS_VERSION)
    except AccessDenied:
        return []
    return lacked(held.get("value") or () if held is not None else (), _DELETES)


def lacked(permissions: Iterable[Json], actions: Iterable[str] = ACTIONS) -> list[str]:
    """The rights of these that none of the permissions gives."""
    held = list(permissions)
    return [action for action in actions if not any(_gives(each, action) for each in held)]


def _gives(permission: Json, action: str) -> bool:
    def named(words: str) -> bool:
        patterns = permission.get(words) or ()
        return any(fnmatch.fnmatchcase(action.lower(), str(each).lower()) for each in patterns)

    return named("actions") and not named("notActions")
