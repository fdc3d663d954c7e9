"""What goes when a VM goes: the VM, then the one disk that is named, then the interface we made.

Each step looks first and sends one change; what is gone stays gone.
"""

from uuid import UUID

from drivers.azure import marker, removal_objections, vm_operations
from drivers.azure.connection.arm import COMPUTE_DISKS_VERSION, NETWORK_VERSION, ArmOperation, Json
from drivers.azure.connection.transport import Guard
from drivers.azure.faults import AzureRefused, RetryLater
from drivers.azure.vm_operations import CallContext
from drivers.azure.vm_parser import AzureVm, properties
from drivers.contract import Remove
from drivers.facts import PowerState
from drivers.faults import Rejected


async def remove(scene: CallContext, order: Remove, guard: Guard) -> ArmOperation | None:
    """The next thing to delete, or None when all is gone; raises Rejected for a VM that runs."""
    host = order.at.host
    scene.link(host)
    seen = await vm_operations.see(scene, order.vm)
    if seen is None:
        return await leftovers(scene, order.vm, order.volume, guard)
    if not vm_operations.is_at(scene, seen, host):
        raise Rejected(f"the VM is not at {host} any more", host=host)
    if seen.mark.vm != order.vm:
        raise Rejected("the VM was not created by vmgate, so it is not removed", host=host)
    if seen.busy:
        raise RetryLater(f"{host}: another operation on the VM is running")
    if seen.failed and not seen.power and not seen.never_ran:
        # Its making failed, perhaps before it had any compute: afterwards Azure says it has none.
        return await scene.arm.act(guard, "begin_deallocate", seen.name)
    if not _is_off(seen, host):
        raise Rejected(f"a VM that is {seen.state} is not removed", host=host)
    told = await removal_objections.locked(scene, seen, order)
    if told:  # else the VM might go and its disk stay
        raise Rejected(f"{host}: {'; '.join(told)}", host=host)
    return await scene.arm.act(guard, "begin_delete", seen.name)


async def leftovers(scene: CallContext, vm: UUID, volume: str, guard: Guard) -> ArmOperation | None:
    """Delete the disk, then the interface, of a VM that is gone; None when both are gone."""
    deleting = await disk(scene, volume, guard)
    if deleting is not None:
        return deleting
    nic = await scene.arm.found(vm_operations.nic_path(scene, vm), NETWORK_VERSION)
    if nic is None or marker.read_from(nic).vm != vm:
        return None
    if properties(nic).get("virtualMachine"):
        raise RetryLater("the interface still belongs to the VM")
    try:
        return await scene.arm.send(
            guard, "DELETE", vm_operations.nic_path(scene, vm), NETWORK_VERSION
        )
    except AzureRefused as no:
        if no.said.code.lower() != "nicinuse":
            raise
        raise RetryLater(
            no.message
        ) from no  # of a VM that is gone already: Network hears of it late


async def disk(scene: CallContext, volume: str, guard: Guard) -> ArmOperation | None:
    """Delete the disk of a VM that is gone; None when it is gone too."""
    found = await _disk(scene, volume)
    if found is None:
        return None
    if found.get("managedBy"):
        raise RetryLater(f"the disk {volume} still belongs to a VM")
    return await scene.arm.send(
        guard, "DELETE", vm_operations.disk_path(scene, volume), COMPUTE_DISKS_VERSION
    )


async def is_gone(scene: CallContext, vm: UUID, volume: str) -> bool:
    """Whether nothing is left of a VM that is gone itself."""
    if await _disk(scene, volume) is not None:
        return False
    nic = await scene.arm.found(vm_operations.nic_path(scene, vm), NETWORK_VERSION)
    return nic is None or marker.read_from(nic).vm != vm


async def _disk(scene: CallContext, volume: str) -> Json | None:
    if not volume:
        return None
    return await scene.arm.found(vm_operations.disk_path(scene, volume), COMPUTE_DISKS_VERSION)


def _is_off(seen: AzureVm, host: str) -> bool:
    """Seen to be off, or seen never to have got the compute it was to be made with."""
    return seen.never_ran or vm_operations.known(seen, host) is PowerState.OFF
