"""What each verb asks of Azure: it looks, then sends one change, whose operation it returns.

None in place of an operation means that there is nothing left to do. RetryLater means that nothing
was sent, or nothing done, and that the verb may be begun again, with a new look.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from drivers.azure import marker
from drivers.azure.connection.arm import Arm, ArmOperation
from drivers.azure.connection.transport import Guard
from drivers.azure.faults import RetryLater
from drivers.azure.options import AzureOptions
from drivers.azure.places import AzurePlaces
from drivers.azure.sizes import Sizes
from drivers.azure.vm_parser import AzureVm, seen_in
from drivers.contract import HostLink, Power, PowerRequest, Redeploy, Reset
from drivers.facts import PowerState
from drivers.faults import Missing, Rejected, Unreachable


@dataclass(frozen=True, slots=True)
class CallContext:
    """The subscription, its sizes, the hosts that are known, and VMs by what others call them."""

    arm: Arm
    sizes: Sizes
    options: AzureOptions
    links: Mapping[str, HostLink]
    foreign: Mapping[UUID, tuple[str, str]]

    def link(self, host: str) -> HostLink:
        """The host's link; raises Unreachable."""
        found = self.links.get(host)
        if found is None:
            raise Unreachable(f"{self.arm.name} does not know a host called {host}", host=host)
        return found


def nic_path(scene: CallContext, vm: UUID) -> str:
    """Where the interface is that we make for a VM."""
    name = marker.name_of(vm)
    return scene.arm.of_group(f"providers/Microsoft.Network/networkInterfaces/{name}")


def disk_path(scene: CallContext, volume: str) -> str:
    """Where a VM's disk is."""
    return scene.arm.of_group(f"providers/Microsoft.Compute/disks/{volume}")


async def see(scene: CallContext, vm: UUID) -> AzureVm | None:
    """The VM wherever it is, by one look at it alone; None when it is positively not there."""
    group, name = scene.foreign.get(vm, ("", marker.name_of(vm)))
    record = await scene.arm.vm(name, group)
    return seen_in(record) if record is not None else None


def is_at(scene: CallContext, seen: AzureVm | None, host: str) -> bool:
    """Whether the VM is at that place."""
    places = AzurePlaces(scene.links.values())
    return seen is not None and places.host_of(seen.record) == host


async def at(scene: CallContext, vm: UUID, host: str) -> AzureVm:
    """The VM at its place, ready to be changed; raises Missing, Rejected, RetryLater."""
    scene.link(host)
    seen = await see(scene, vm)
    if seen is None or not is_at(scene, seen, host):
        raise Missing(f"the VM does not exist at {host}", host=host)
    if seen.mark.vm != vm:
        raise Rejected("the VM was not created by vmgate, so it is not changed", host=host)
    if seen.busy:
        raise RetryLater(f"{host}: another operation on the VM is running")
    return seen


def known(seen: AzureVm, host: str) -> PowerState:
    """Its power; RetryLater while Azure does not say."""
    if seen.state is PowerState.UNKNOWN:
        raise RetryLater(f"{host}: Azure does not say whether the VM runs")
    return seen.state


async def power(scene: CallContext, order: Power, guard: Guard) -> ArmOperation | None:
    """Ask for a state. Graceful is powerOff, which asks the guest; with `release` deallocate."""
    seen = await at(scene, order.vm, order.host)
    state = known(seen, order.host)
    if is_done(order, seen):
        return None
    match order.request:
        case PowerRequest.ON:
            return await scene.arm.act(guard, "begin_start", seen.name)
        case PowerRequest.OFF | PowerRequest.SHUTDOWN if order.release:
            return await scene.arm.act(guard, "begin_deallocate", seen.name)
        case PowerRequest.OFF | PowerRequest.SHUTDOWN:
            pulled = order.request is PowerRequest.OFF
            return await scene.arm.act(guard, "begin_power_off", seen.name, skip_shutdown=pulled)
    raise Rejected(f"a VM that is {state} cannot {order.request}", host=order.host)


def is_done(order: Power, seen: AzureVm) -> bool:
    """Whether the VM is as the order wants it, whoever made it so."""
    if seen.busy:
        return False
    if order.request is PowerRequest.ON:
        return seen.state is PowerState.ON
    return seen.state is PowerState.OFF and (seen.deallocated or not order.release)


async def reset(scene: CallContext, order: Reset, guard: Guard) -> ArmOperation | None:
    """Restart a running VM."""
    return await _running(scene, order, guard, "begin_restart")


async def redeploy(scene: CallContext, order: Redeploy, guard: Guard) -> ArmOperation | None:
    """Have Azure move a running VM to another of its machines; its temporary disk is lost."""
    return await _running(scene, order, guard, "begin_redeploy")


async def _running(
    scene: CallContext, order: Reset | Redeploy, guard: Guard, verb: str
) -> ArmOperation | None:
    seen = await at(scene, order.vm, order.host)
    if known(seen, order.host) is not PowerState.ON:
        raise Rejected("that needs a VM that is running", host=order.host)
    return await scene.arm.act(guard, verb, seen.name)


def no_size(host: str, cpu: int, ram_mib: int) -> str:
    """Why a VM fits nowhere at a place."""
    return f"{host} has no size with {cpu} vCPUs and {ram_mib} MiB for us"
