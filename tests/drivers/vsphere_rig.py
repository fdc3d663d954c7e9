"""The vSphere rig: two hosts of a vCenter of the project's own lab, and another vCenter beside."""

import asyncio
import os
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from pyVmomi import vim

from drivers.capabilities import HypervisorType
from drivers.contract import Driver, HostLink, Location, PowerRequest, VmSpec
from drivers.esxi import open_driver
from drivers.esxi.driver import EsxiDriver
from tests.drivers.rigs import Rig, surveyed, until
from tests.lab.administrator import stub
from tests.lab.administrator import until as ended_at_last
from tests.lab.vcenter import Shape, VCenter

SHAPE = Shape(clusters=1, hosts=2, vms=0, datastores=1, networks=1, task_ms=100)
SHARED = "shared-1-1"
PASSWORD = "VMGATE_TEST_VCENTER"
SLOW_MS = 1000


class Admin:
    """An administrator of the vCenter, who knows nothing of vmgate."""

    def __init__(self, vc: VCenter, home: Path) -> None:
        self._vc = vc
        self._home = home
        self._stub = stub(vc)
        self._login()

    def _login(self) -> None:
        self._content = vim.ServiceInstance("ServiceInstance", self._stub).RetrieveContent()
        self._content.sessionManager.Login(self._vc.user, self._vc.password)

    def close(self) -> None:
        """Leave."""
        self._stub.poolSize = 0
        self._content.sessionManager.Logout()

    def vms(self) -> list[Any]:
        """All VMs that are no templates."""
        try:
            folder = self._content.searchIndex.FindByInventoryPath("lab/vm")
        except vim.fault.NotAuthenticated:
            self._login()
            return self.vms()
        vms = [each for each in folder.childEntity if isinstance(each, vim.VirtualMachine)]
        return [vm for vm in vms if not vm.config.template]

    def vm(self, vm: UUID) -> Any:
        """One of them."""
        return next((each for each in self.vms() if each.config.instanceUuid == str(vm)), None)

    def on(self, host: str) -> list[Any]:
        """Those on a host."""
        return [vm for vm in self.vms() if vm.runtime.host.name == host]

    def disks(self, datastore: str) -> set[str]:
        """The volumes of the VMs whose folders lie in a datastore; folders nobody owns as well."""
        folders = {path.name for path in (self._home / datastore).iterdir()}
        owners = {vm.name: vm for vm in self.vms()}
        return {volume_of(owners.get(name), name) for name in folders}

    def foreign(self, host: str) -> UUID:
        """A VM that somebody else made, running."""
        at = next(each for each in self._hosts() if each.name == host)
        source = self._content.searchIndex.FindByInventoryPath("lab/vm/template-1")
        vm = uuid4()
        where = vim.vm.RelocateSpec(host=at, pool=at.parent.resourcePool, datastore=at.datastore[0])
        config = vim.vm.ConfigSpec(instanceUuid=str(vm))
        made = vim.vm.CloneSpec(location=where, config=config, powerOn=True, template=False)
        ended(source.CloneVM_Task(source.parent, f"foreign-{vm}", made))
        return vm

    def move(self, vm: UUID, to: str) -> None:
        """Move a VM to another host of its cluster, as DRS does."""
        (at,) = [each for each in self._hosts() if each.name == to]
        ended(self.vm(vm).RelocateVM_Task(vim.vm.RelocateSpec(host=at)))

    def boots(self, vm: UUID) -> int:
        """How often it was started or reset, by the tasks the vCenter remembers."""
        return sum(1 for kind in self.kinds(vm) if kind in ("powerOn", "reset"))

    def kinds(self, vm: UUID) -> list[str]:
        """The last ten tasks of a VM, as far as they succeeded, in order; a start after a pause
        is a `resume`."""
        found: list[str] = []
        mine = self.vm(vm)
        for task in mine.recentTask if mine is not None else ():
            if task.info.state != "success":
                continue
            kind = task.info.descriptionId.partition(".")[2]
            paused = kind == "powerOn" and "suspend" in found[-1:]
            found.append("resume" if paused else kind)
        return found

    def sweep(self) -> None:
        """No VM is left."""
        for vm in self.vms():
            if vm.runtime.powerState != "poweredOff":
                ended(vm.PowerOffVM_Task())
            ended(vm.Destroy_Task())

    def _hosts(self) -> list[Any]:
        cluster = self._content.searchIndex.FindByInventoryPath("lab/host/rack-1")
        return list(cluster.host)


def volume_of(vm: Any, folder: str) -> str:
    """What vmgate calls the disk of a VM where it lies; its folder's name if it is not ours."""
    if vm is None:
        return folder
    key = f"vmgate.volume.{vm.datastore[0]._moId}"
    options = {each.key: each.value for each in vm.config.extraConfig}
    return str(options.get(key, folder))


def ended(task: Any) -> None:
    """Wait for a task."""
    ended_at_last(lambda: task.info.state not in ("queued", "running"))
    if task.info.error is not None:
        raise task.info.error


class VsphereRig(Rig):
    """The vCenter outlives a rig; what a test broke is mended and swept afterwards."""

    template = "template-1"
    first, second = "esxi-1-1", "esxi-1-2"

    def __init__(self, vc: VCenter, home: Path, other: VCenter) -> None:
        os.environ[PASSWORD] = vc.password
        self.vc = vc
        self.admin = Admin(vc, home)
        self.driver = self.opened()
        self.other = self.opened(other)

    def told(self, vc: VCenter | None = None, **options: Any) -> dict[str, Any]:
        """The options of a driver of the vCenter, or of another."""
        at = vc or self.vc
        return {
            "server": f"{at.host}:{at.port}",
            "user": at.user,
            "password_env": PASSWORD,
            "ca_file": str(at.certificate),
            "datacenter": "lab",
            "poll_s": 0.1,
            "watch_s": 5,
            **options,
        }

    def links(self) -> list[HostLink]:
        """Both hosts."""
        return [
            HostLink(
                name,
                name,
                {"default": "lan-1"},
                (self.at(name).datastore, self.at(name, shared=False).datastore),
            )
            for name in (self.first, self.second)
        ]

    def opened(self, vc: VCenter | None = None, **options: Any) -> EsxiDriver:
        """A driver of the vCenter, or of another."""
        driver = open_driver("lab", HypervisorType.VMX_04, self.told(vc, **options))
        for link in self.links():
            driver.attach(link)
        return driver

    def at(self, host: str, *, shared: bool = True) -> Location:
        """A vCenter's names of datastores are all different."""
        own = host.replace("esxi", "local")
        return Location(host, SHARED if shared else own, shared)

    def impatient(self) -> Driver:
        return self.opened(call_timeout_s=0.5, survey_timeout_s=0.5)

    def slow(self) -> Driver:
        self.vc.fault("RelocateVM_Task", "taskdelay", times=0, ms=SLOW_MS)
        return self.opened()

    async def others_answer(self, driver: Driver) -> None:
        """Hosts of one vCenter are frozen together; those of another are not."""
        assert (await surveyed(self.other, self.first)).vms == ()

    async def volumes(self, at: Location) -> set[str]:
        return await asyncio.to_thread(self.admin.disks, at.datastore)

    async def everything(self, host: str) -> set[UUID]:
        found = await asyncio.to_thread(self.admin.on, host)
        return {UUID(vm.config.instanceUuid) for vm in found}

    async def foreign(self, host: str) -> UUID:
        return await asyncio.to_thread(self.admin.foreign, host)

    async def guest_is_up(self, vm: UUID, times: int) -> None:
        await until(lambda: self.boots(vm) >= times)

    def boots(self, vm: UUID) -> int:
        return self.admin.boots(vm)

    async def started_deaf(self) -> VmSpec:
        spec = await self.deployed()
        self.vc.guest(self.admin.vm(spec.vm)._moId, obeys=False)
        await self.power(spec, PowerRequest.ON)
        return spec

    async def cut(self, host: str) -> None:
        self.vc.lose_host(self.vc.named("HostSystem")[host])

    async def mend(self, host: str) -> None:
        self.vc.find_host(self.vc.named("HostSystem")[host])

    async def freeze(self, host: str) -> None:
        self.vc.freeze()

    async def thaw(self, host: str) -> None:
        self.vc.thaw()

    async def lose_power(self, host: str) -> None:
        await self.cut(host)
        off = {"runtime.powerState": "poweredOff"}
        for vm in self.admin.on(host):
            self.vc.set("VirtualMachine", vm._moId, off)

    async def boot(self, host: str) -> None:
        await self.mend(host)

    async def sweep(self) -> None:
        """Both hosts are well, without VMs."""
        await asyncio.to_thread(self._swept)

    def _swept(self) -> None:
        self.vc.thaw()
        self.vc.clear()
        for moid in self.vc.named("HostSystem").values():
            self.vc.find_host(moid)
        self.admin.sweep()
        self.vc.forget_tasks()
        self.admin.close()
