"""How a VM is made: an interface, then the VM in the smallest size that is to be had, then off.

Each step looks first and sends one change, so that whoever begins a deploy again goes on where it
stands. The VM's own name tells whose it is: two calls for one VM never make two.
"""

import math
from dataclasses import dataclass, field, replace
from uuid import UUID

from drivers.azure import delete, marker, vm_operations
from drivers.azure.connection.arm import COMPUTE_DISKS_VERSION, NETWORK_VERSION, ArmOperation, Json
from drivers.azure.connection.transport import Guard
from drivers.azure.faults import NO_CAPACITY, AzureRefused, Reaction, RetryLater, Said, refusal_of
from drivers.azure.options import AzureOptions
from drivers.azure.places import network_of, place_at
from drivers.azure.sizes import OfferedSizes, VmSize
from drivers.azure.tags import beside
from drivers.azure.vm_operations import CallContext
from drivers.azure.vm_parser import AzureVm
from drivers.contract import Deploy, HostLink, Nic, VmSpec
from drivers.facts import PowerState
from drivers.faults import Fault, Rejected

_GIB = 2**30


@dataclass(slots=True)
class Deployment:
    """One deploy as it goes on. `refusal` is the last word of Azure's on a size; `remains` says
    that a create failed, `finished` that no other size is tried, `tagged` that the disk's tags were
    looked at."""

    order: Deploy
    task: UUID
    trying: VmSize | None = None
    families_out: set[str] = field(default_factory=set)
    refusal: Said | None = None
    remains: bool = False
    finished: bool = False
    tagged: bool = False

    async def step(self, scene: CallContext, guard: Guard) -> ArmOperation | None:
        """Look, and send the next change; None when it is done. Raises what it must fail with
        once nothing of it is left, and RetryLater."""
        link = scene.link(self.order.at.host)
        seen = await vm_operations.see(scene, self.order.spec.vm)
        if seen is None:
            return await self._make_or_hear_why(scene, link, guard)
        if seen.mark.task != self.task:
            raise Rejected("the VM is there already", host=link.name)
        if not vm_operations.is_at(scene, seen, link.name):
            raise Rejected("the VM is there already, at another place", host=link.name)
        if seen.busy:
            raise RetryLater(f"{link.name}: the VM is being made")
        unmade = seen.failed and (seen.never_ran or (self.remains and not seen.power))
        if unmade or (self.finished and seen.state is PowerState.OFF):
            self.remains = True
            return await scene.arm.act(guard, "begin_delete", seen.name)
        if vm_operations.known(seen, link.name) is PowerState.ON:
            # Made and booted once; Azure makes no VM that is off.
            return await scene.arm.act(guard, "begin_power_off", seen.name, skip_shutdown=False)
        return await self._tag_disk(scene, guard)

    async def _tag_disk(self, scene: CallContext, guard: Guard) -> ArmOperation | None:
        """Give the disk the tags of the configuration that it did not get from its VM."""
        volume, given = self.order.spec.disk.volume, scene.options.tags
        if not given or self.tagged:
            return None
        self.tagged = True
        path = vm_operations.disk_path(scene, volume)
        found = await scene.arm.found(path, COMPUTE_DISKS_VERSION)
        has = (found or {}).get("tags") or {}
        wanted = beside(has, given)
        if found is None or wanted == has:
            return None
        return await scene.arm.send(guard, "PATCH", path, COMPUTE_DISKS_VERSION, {"tags": wanted})

    def failed(self, scene: CallContext, said: Said) -> None:
        """The last change came to nothing: whether another size may do is in the table; else it
        is the end, after what is left has been removed."""
        size, self.trying = self.trying, None
        self.remains = self.remains or size is not None
        if said.reaction is Reaction.LATER:
            return
        self.refusal = said
        if size is None or said.reaction not in NO_CAPACITY:
            self.finished = True
            return
        if said.reaction is Reaction.QUOTA:
            self.families_out.add(size.family)
        else:
            place = place_at(scene.link(self.order.at.host))
            scene.sizes.refused(place, size.name, said.reaction)

    async def _make_or_hear_why(
        self, scene: CallContext, link: HostLink, guard: Guard
    ) -> ArmOperation | None:
        """A refusal at once is as one that comes later: another size may do, or nothing stays."""
        while True:
            try:
                return await self._make(scene, link, guard)
            except AzureRefused as no:
                if self.finished:
                    raise
                self.failed(scene, no.said)

    async def _make(self, scene: CallContext, link: HostLink, guard: Guard) -> ArmOperation | None:
        spec = self.order.spec
        place = place_at(link)
        size = None if self.finished else await self._size(scene, place, spec)
        if size is None:
            try:
                left = await delete.leftovers(scene, spec.vm, spec.disk.volume, guard)
            except RetryLater as held:
                # The verdict stands meanwhile: whoever takes the deploy back waits for the rest.
                raise self._no(link.name, spec, held.message) from held
            if left is not None:
                return left
            raise self._no(link.name, spec)
        if self.remains:
            left = await delete.disk(scene, spec.disk.volume, guard)
            if left is not None:
                return left
        asked, network = network_of(link, spec.nics)
        there = "/networkinterfaces/" in network.lower()
        nic = (
            network.replace("{vm}", str(spec.vm))
            if there
            else vm_operations.nic_path(scene, spec.vm)
        )
        body = vm_of(spec, self.task, place, size.name, nic)
        body["tags"] = beside(body["tags"], scene.options.tags)
        body["properties"] |= login(spec, scene.options)
        managed = {"storageAccountType": scene.options.disk_type}
        body["properties"]["storageProfile"]["osDisk"]["managedDisk"] = managed
        if not there and await scene.arm.found(nic, NETWORK_VERSION) is None:
            made = interface(spec, self.task, place, (asked, network))
            made["tags"] = beside(made["tags"], scene.options.tags)
            try:
                return await scene.arm.send(guard, "PUT", nic, NETWORK_VERSION, made)
            except AzureRefused as no:
                about = f"{asked.address or 'an address'} in network {asked.network}"
                said = replace(no.said, message=f"{about}: {no.said.message}")
                raise AzureRefused(said, link.name) from no
        self.trying = size
        return await scene.arm.create(guard, marker.name_of(spec.vm), body)

    async def _size(self, scene: CallContext, place: OfferedSizes, spec: VmSpec) -> VmSize | None:
        fitting = await scene.sizes.fitting(place, spec.cpu, spec.ram_mib)
        for size in fitting:
            if size.family not in self.families_out:
                return size
        return None

    def _no(self, host: str, spec: VmSpec, left: str = "") -> Fault:
        """Why it is the end here; `left` says what is still to be deleted, and why it is not."""
        self.finished = True
        more = f"; left for now: {left}" if left else ""
        if self.refusal is not None:
            return refusal_of(self.refusal, host, more)
        said = vm_operations.no_size(host, spec.cpu, spec.ram_mib)
        return Rejected(f"{host}: no capacity: {said}{more}", host=host, no_capacity=True)


def is_made(order: Deploy, seen: AzureVm) -> bool:
    """Whether the VM is there as ordered, off."""
    asked = (seen.mark.cpu, seen.mark.ram_mib) == (order.spec.cpu, order.spec.ram_mib)
    return asked and seen.state is PowerState.OFF and not seen.busy and not seen.failed


def interface(spec: VmSpec, task: UUID, place: OfferedSizes, at: tuple[Nic, str]) -> Json:
    """An interface in a subnet, with the address that the VM is said to have, if any is."""
    nic, subnet = at
    address: Json = {"subnet": {"id": subnet}, "privateIPAllocationMethod": "Dynamic"}
    if nic.address:
        address |= {"privateIPAllocationMethod": "Static", "privateIPAddress": nic.address}
    return {
        "location": place.region,
        "tags": marker.written(spec, task, ""),
        "properties": {"ipConfigurations": [{"name": "primary", "properties": address}]},
    }


def vm_of(spec: VmSpec, task: UUID, place: OfferedSizes, size: str, nic: str) -> Json:
    """The VM. Its disk and interface outlive it, so that only what is named is ever deleted."""
    disk = {
        "name": spec.disk.volume,
        "createOption": "FromImage",
        "diskSizeGB": max(1, math.ceil(spec.disk.capacity_bytes / _GIB)),
        "deleteOption": "Detach",
    }
    attached = {"id": nic, "properties": {"primary": True, "deleteOption": "Detach"}}
    body: Json = {
        "location": place.region,
        "tags": marker.written(spec, task, size),
        "properties": {
            "hardwareProfile": {"vmSize": size},
            "storageProfile": {"imageReference": image(spec.disk.template), "osDisk": disk},
            "networkProfile": {"networkInterfaces": [attached]},
        },
    }
    if place.zone:
        body["zones"] = [place.zone]
    return body


def login(spec: VmSpec, options: AzureOptions) -> Json:
    """The user that the options give to new VMs; Rejected where the secret is gone."""
    try:
        password, key = options.admin_password(), options.ssh_key()
    except ValueError as gone:
        raise Rejected(f"a new VM gets no user: {gone}") from gone
    if not password and not key:
        return {}
    user: Json = {"computerName": f"vm{spec.vm.hex[:13]}", "adminUsername": options.admin_user}
    if password:
        return {"osProfile": user | {"adminPassword": password}}
    at = f"/home/{options.admin_user}/.ssh/authorized_keys"
    linux = {
        "disablePasswordAuthentication": True,
        "ssh": {"publicKeys": [{"path": at, "keyData": key}]},
    }
    return {"osProfile": user | {"linuxConfiguration": linux}}


def image(template: str) -> Json:
    """An image by its resource id, or by publisher:offer:sku:version."""
    if template.startswith("/"):
        return {"id": template}
    parts = template.split(":")
    if len(parts) != 4:
        raise Rejected(f"the image {template} is neither an id nor publisher:offer:sku:version")
    return dict(zip(("publisher", "offer", "sku", "version"), parts, strict=True))
