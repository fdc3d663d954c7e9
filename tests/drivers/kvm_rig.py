"""The KVM rig: two real libvirt/QEMU hosts of the project's own lab, at 127.0.77.x."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from drivers.capabilities import HypervisorType
from drivers.contract import Driver, HostLink, Location, PowerRequest, VmSpec
from tests.drivers.rigs import Rig, until
from tests.lab import guest
from tests.lab.guest import READY, SIZE_BYTES
from tests.lab.hosts import BRIDGE, LOCAL, SHARED, TEMPLATE, Lab, LabHost

DEAF = "deaf.raw"
SLEEPY = "sleepy.raw"
TEMPLATES = {TEMPLATE, DEAF, SLEEPY, "serial"}
_FOREIGN = """<domain type='qemu'><name>foreign-{vm}</name><uuid>{vm}</uuid>
<memory unit='MiB'>16</memory><os><type arch='x86_64' machine='pc'>hvm</type></os></domain>"""
_SWEEP = """for each in $(virsh -q list --uuid); do virsh -q destroy $each; done
for each in $(virsh -q list --all --uuid); do
  virsh -q undefine --managed-save --snapshots-metadata --checkpoints-metadata $each; done"""


class KvmRig(Rig):
    """The lab outlives a rig; what a test broke is mended and swept afterwards."""

    template = TEMPLATE

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.first, self.second = (host.name for host in lab.hosts)
        self._mending: dict[str, Callable[[], None]] = {}
        for folder in map(self._folder, self._places()):
            with (folder / DEAF).open("wb") as file:
                file.truncate(SIZE_BYTES)
            guest.write(folder / SLEEPY, sleepy=True)
        self.driver = self.opened()

    def opened(self, **options: Any) -> Driver:
        """A driver on the lab's hosts."""
        from drivers.kvm import open_driver  # where libvirt is not, only these tests are skipped

        told = {
            "domain": "qemu",
            "disk_bus": "ide",
            "nic_model": "e1000",
            "serial_log_dir": str(self.lab.shared / "serial"),
            "transports": "tcp",
            "local_addresses": True,
            **options,
        }
        driver = open_driver("lab", HypervisorType.KVM, told)
        for host in self.lab.hosts:
            networks = {"default": BRIDGE}
            driver.attach(HostLink(host.name, host.address, networks, (SHARED, LOCAL), (SHARED,)))
        return driver

    def impatient(self) -> Driver:
        return self.opened(look_timeout_s=1.0, call_timeout_s=1.0)

    def slow(self) -> Driver:
        return self.opened(bandwidth_mib_s=1)

    async def volumes(self, at: Location) -> set[str]:
        return {path.name for path in self._folder(at).iterdir()} - TEMPLATES

    async def everything(self, host: str) -> set[UUID]:
        listed = await asyncio.to_thread(self.host(host).virsh, "-q", "list", "--all", "--uuid")
        return {UUID(line) for line in listed.split()}

    async def foreign(self, host: str) -> UUID:
        vm = uuid4()
        path = self.lab.home / f"{vm}.xml"
        path.write_text(_FOREIGN.format(vm=vm))
        await asyncio.to_thread(self.host(host).virsh, "create", str(path))
        return vm

    async def guest_is_up(self, vm: UUID, times: int) -> None:
        await until(lambda: self.boots(vm) >= times)

    def boots(self, vm: UUID) -> int:
        return self.lab.serial(str(vm)).count(READY)

    async def started_deaf(self) -> VmSpec:
        """Its disk is empty: the BIOS finds nothing to start, and does not listen."""
        spec = await self.deployed_as(DEAF)
        await self.power(spec, PowerRequest.ON)
        return spec

    async def deployed_as(self, template: str) -> VmSpec:
        """A VM of another template."""
        self.template = template
        spec = await self.deployed()
        self.template = TEMPLATE
        return spec

    async def virsh(self, host: str, *command: str) -> str:
        """What an administrator does on a host; its output."""
        return await asyncio.to_thread(self.host(host).virsh, *command)

    async def definition(self, spec: VmSpec, host: str = "") -> str:
        """The definition that is kept, its secrets too."""
        asked = "dumpxml", spec.name, "--inactive", "--security-info"
        return await self.virsh(host or self.first, *asked)

    async def redefine(self, spec: VmSpec, old: str, new: str) -> str:
        """Somebody edits the definition: the first `old` becomes `new`; what libvirt made of it."""
        before = await self.definition(spec)
        assert old in before
        path = self.lab.home / f"{spec.vm}.edited.xml"
        path.write_text(before.replace(old, new, 1))
        await self.virsh(self.first, "define", str(path))
        return await self.definition(spec)

    async def cut(self, host: str) -> None:
        self._mending[host] = self.host(host).start_daemon
        await asyncio.to_thread(self.host(host).kill_daemon)

    async def freeze(self, host: str) -> None:
        self._mending[host] = self.host(host).thaw_daemon
        await asyncio.to_thread(self.host(host).freeze_daemon)

    async def lose_power(self, host: str) -> None:
        self._mending[host] = self.host(host).boot
        await asyncio.to_thread(self.host(host).power_loss)

    async def mend(self, host: str) -> None:
        mending = self._mending.pop(host, None)
        if mending is not None:
            await asyncio.to_thread(mending)

    thaw = boot = mend

    async def sweep(self) -> None:
        """All hosts are well, without VMs and without disks."""
        for host in self.lab.hosts:
            await self.mend(host.name)
            await asyncio.to_thread(host.inside, "sh", "-c", _SWEEP)
        for at in self._places():
            for name in await self.volumes(at):
                (self._folder(at) / name).unlink()

    def host(self, name: str) -> LabHost:
        """The lab's host called `name`."""
        return next(host for host in self.lab.hosts if host.name == name)

    def _places(self) -> list[Location]:
        own = [Location(host.name, LOCAL) for host in self.lab.hosts]
        return [Location(self.first, SHARED, shared=True), *own]

    def _folder(self, at: Location) -> Path:
        if at.shared:
            return self.lab.shared
        return self.host(at.host).home / "lib" / "images"
