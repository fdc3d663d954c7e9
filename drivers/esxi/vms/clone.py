"""How a VM is made: one clone of a template to one host and one datastore, off, with our mark.

The mark and the VM's own id are part of the clone, so that a reply that is lost makes no second
one: whoever looks for the id, or the name in our folder, finds the first.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pyVmomi import vim

from drivers.contract import Deploy, Nic
from drivers.esxi import marker, names, places, queries
from drivers.esxi.connection.paging import PropertyPage, one, read
from drivers.esxi.connection.session import Service
from drivers.esxi.marker import ExtraConfigMarker
from drivers.esxi.options import EsxiOptions
from drivers.esxi.places import HostResources
from drivers.esxi.vms import devices
from drivers.esxi.vms.operations import Check
from drivers.facts import PowerState, Sighting
from drivers.faults import Indeterminate, Rejected

_EDIT = vim.vm.device.VirtualDeviceSpec.Operation.edit
_ADD = vim.vm.device.VirtualDeviceSpec.Operation.add
_REMOVE = vim.vm.device.VirtualDeviceSpec.Operation.remove


@dataclass(frozen=True, slots=True)
class Setting:
    """The host's object, its networks by tag, and the options."""

    host: Any
    networks: Mapping[str, str]
    options: EsxiOptions


def begin(service: Service, order: Deploy, task: UUID, setting: Setting, check: Check) -> Any:
    """The clone's task, or None when the VM is there already."""
    host, networks, options = setting.host, setting.networks, setting.options
    spec = order.spec
    seen = queries.see(service, spec.vm, {order.at.host: host})
    if seen.vm is not None:
        if seen.mark.task != task:
            raise Rejected("the VM is there already", host=order.at.host)
        return None
    folder = places.folder(service, options)
    if unfinished(service, order, task, folder) is not None:
        return None
    at = places.ground(service, host, order.at.host, options)
    source = places.template(service, options, spec.disk.template)
    (found,) = read(service, [one(source)], {vim.VirtualMachine: ("config.hardware.device",)})
    hardware = found.get("config.hardware.device", ())
    disks = devices.disks_among(hardware)
    changes = [
        *_disk(disks, spec.disk.capacity_bytes),
        *_no_nics(hardware),
        *_nics(service, spec.nics, networks, at),
    ]
    store = at.datastore(order.at.datastore)
    clone = vim.vm.CloneSpec(
        location=vim.vm.RelocateSpec(host=host, pool=at.pool, datastore=store),
        config=vim.vm.ConfigSpec(
            instanceUuid=str(spec.vm),
            numCPUs=spec.cpu,
            numCoresPerSocket=1,
            memoryMB=spec.ram_mib,
            extraConfig=marker.written(
                spec.vm, task, store._moId, spec.disk.volume, [each.key for each in disks]
            ),
            deviceChange=changes,
        ),
        powerOn=False,
        template=False,
    )
    check()
    return source.CloneVM_Task(folder, spec.name, clone)


def unfinished(service: Service, order: Deploy, task: UUID, folder: Any) -> Any:
    """The task's own VM, found by its name because it does not have its id yet; None when
    nothing has that name, Rejected when something else does."""
    named = service.content.searchIndex.FindChild(folder, names.encoded(order.spec.name))
    if named is None:
        return None
    mark = _mark_of(service, named)
    if mark is None or (mark.vm, mark.task) != (order.spec.vm, task):
        raise Rejected(f"the name {order.spec.name} is taken", host=order.at.host)
    return named


def finish(service: Service, order: Deploy, task: UUID, setting: Setting, check: Check) -> Any:
    """The task that gives a clone one thing that it was not given, or was given otherwise; None
    when there is no such thing."""
    seen = queries.see(service, order.spec.vm, {order.at.host: setting.host})
    if seen.vm is None:
        named = unfinished(service, order, task, places.folder(service, setting.options))
        if named is None:
            raise Indeterminate("a clone has ended, but its VM is not found", host=order.at.host)
        check()
        return named.ReconfigVM_Task(vim.vm.ConfigSpec(instanceUuid=str(order.spec.vm)))
    if seen.mark.task != task:
        raise Rejected("the VM is there already", host=order.at.host)
    sighting = seen.sighting(order.at.host)
    if sighting is None and seen.power is PowerState.ON:
        return None  # it was started and is where DRS, or somebody, placed it
    if sighting is None:
        check()
        return seen.vm.ref.RelocateVM_Task(vim.vm.RelocateSpec(host=setting.host), None)
    if not as_ordered(order, sighting):
        change = vim.vm.ConfigSpec(
            numCPUs=order.spec.cpu, numCoresPerSocket=1, memoryMB=order.spec.ram_mib
        )
        check()
        return seen.vm.ref.ReconfigVM_Task(change)
    return None


def finished(service: Service, order: Deploy, task: UUID, host: Any) -> bool:
    """Whether the VM is as ordered; one that runs elsewhere already is not called back."""
    seen = queries.see(service, order.spec.vm, {order.at.host: host})
    if seen.host is None and seen.mark.task == task and seen.power is PowerState.ON:
        return True
    sighting = seen.sighting(order.at.host)
    return sighting is not None and sighting.task == task and as_ordered(order, sighting)


def as_ordered(order: Deploy, seen: Sighting) -> bool:
    """Whether the VM has the size that was asked for."""
    return (seen.cpu, seen.ram_mib) == (order.spec.cpu, order.spec.ram_mib)


def cloning(service: Service, options: EsxiOptions, name: str, besides: Collection[str]) -> bool:
    """Whether the template called `name` is being cloned right now, by whomever, in another task
    than those `besides`."""
    try:
        source = places.template(service, options, name)
    except Rejected:
        return False
    tasks = queries.tasks_of(service, source)
    return any(_is_clone(task) and task.id not in besides for task in tasks)


def _is_clone(task: PropertyPage) -> bool:
    return "clone" in str(task.get("info.descriptionId", "")).lower()


def _mark_of(service: Service, named: Any) -> ExtraConfigMarker | None:
    if not isinstance(named, vim.VirtualMachine):
        return None
    found = read(service, [one(named)], {vim.VirtualMachine: ("config.extraConfig",)})
    return marker.read_from(found[0].get("config.extraConfig", ())) if found else None


def _disk(disks: Iterable[Any], capacity_bytes: int) -> list[Any]:
    """The system disk grows to what is asked; it never shrinks."""
    disk = next(iter(disks), None)
    if disk is None or (disk.capacityInBytes or disk.capacityInKB * 1024) >= capacity_bytes:
        return []
    disk.capacityInBytes = capacity_bytes
    disk.capacityInKB = capacity_bytes // 1024
    return [vim.vm.device.VirtualDeviceSpec(operation=_EDIT, device=disk)]


def _no_nics(hardware: Iterable[Any]) -> list[Any]:
    """The template's own interfaces go."""
    return [
        vim.vm.device.VirtualDeviceSpec(operation=_REMOVE, device=each)
        for each in hardware
        if isinstance(each, vim.vm.device.VirtualEthernetCard)
    ]


def _nics(
    service: Service, nics: Iterable[Nic], networks: Mapping[str, str], at: HostResources
) -> list[Any]:
    """One interface for each network that the host has for the tag."""
    made = []
    for number, nic in enumerate(nics):
        name = networks.get(nic.network, "")
        if not name:
            continue
        network = at.network(name)
        card = vim.vm.device.VirtualVmxnet3(
            key=-(number + 1),
            backing=_backing(service, network),
            addressType="manual",
            macAddress=nic.mac,
            wakeOnLanEnabled=False,
            connectable=vim.vm.device.VirtualDevice.ConnectInfo(
                startConnected=True, allowGuestControl=True, connected=True
            ),
        )
        made.append(vim.vm.device.VirtualDeviceSpec(operation=_ADD, device=card))
    return made


def _backing(service: Service, network: PropertyPage) -> Any:
    switch = network.get("config.distributedVirtualSwitch")
    if switch is None:
        return vim.vm.device.VirtualEthernetCard.NetworkBackingInfo(
            deviceName=network.get("name"), network=network.ref
        )
    (found,) = read(service, [one(switch)], {vim.DistributedVirtualSwitch: ("uuid",)})
    port = vim.dvs.PortConnection(portgroupKey=network.get("key"), switchUuid=found.get("uuid"))
    card = vim.vm.device.VirtualEthernetCard
    return card.DistributedVirtualPortBackingInfo(port=port)
