"""The errors of a move times its true outcomes again, on real libvirt and QEMU, and on a vCenter of
the lab; there also a start that DRS places, and a removal of what somebody took away (L2 to L6)."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from drivers.contract import Location
from drivers.simulated.world import World
from gateway.lifecycle import Operation
from gateway.reconcile.observer import SurveyIntervals
from gateway.store.capacity import ledger
from gateway.store.db.pool import Store
from gateway.store.tasks import leftovers
from tests.drivers.kvm_rig import KvmRig
from tests.drivers.vsphere_rig import SHAPE, Admin, VsphereRig, ended
from tests.lab.hosts import BRIDGE, SHARED, TEMPLATE, Lab, missing
from tests.lab.vcenter import VCenter, vcenter
from tests.lab.vcenter import missing as no_vcenter
from tests.tasks.outcomes import KINDS, LASTING, Erring, Plan, places
from tests.tasks.rig import QUICK_LIMITS, QUIET, Rig, running, seed, seen_again

SOME = ("Rejected", "Missing", "Unreachable", "Indeterminate", "Bug")
"""Of the kinds, for hosts on which each move takes seconds."""
DEPLOY, MOVE = Operation.DEPLOY, Operation.RELOCATE
ROUNDS = SurveyIntervals(period_s=0.5, unknown_after_s=30, lease_s=15, spacing_s=0.05)
PATIENT: dict[str, Any] = {"pace": QUIET["pace"], "rounds": ROUNDS, "limits": QUICK_LIMITS}
ON_KVM = f"""
update host set name = case id when 1 then '{{first}}' else '{{second}}' end,
  address = case id when 1 then '{{first_at}}' else '{{second_at}}' end,
  networks = '{{{{"default": "{BRIDGE}"}}}}';
update datastore set pool = '{SHARED}';
update template set source = '{TEMPLATE}', disk_bytes = {2**20};
update vm set ram_mib = 16, disk_bytes = {2**20};
"""
ON_VCENTER = f"""
update host set name = 'esxi-1-' || id, address = 'esxi-1-' || id, type = 'VMX_04',
  networks = '{{"default": "lan-1"}}';
update datastore set pool = 'shared-1-1';
update template set source = 'template-1', types = '{{VMX_04}}', disk_bytes = {2**30};
update virtualdatacenter set type = 'VMX_04';
update vm set type = 'VMX_04', disk_bytes = {2**30};
"""


@asynccontextmanager
async def engine(store: Store, driver: Any, script: str) -> AsyncIterator[tuple[Rig, Erring]]:
    """An engine on two hosts, whose driver errs as planned."""
    made: list[Erring] = []

    def wrap(inner: Any) -> Erring:
        made.append(Erring(inner))
        return made[0]

    await seed(store, hosts=2, vms=len(KINDS))
    async with store.transaction() as c:
        await c.execute(script)
        await ledger.refresh_limits(c)
    async with running(store, World(), driver=driver, wrap=wrap, **PATIENT) as rig:
        yield rig, made[0]


async def uuid_of(store: Store, vm: int) -> UUID:
    async with store.read() as c:
        return UUID(str(await c.fetchval("select uuid from vm where id = $1", vm)))


async def moved_wrongly(on: tuple[Rig, Erring], vm: int, plan: Plan) -> dict[str, Any]:
    """Deploy a VM on the first host, and move it to the second with that error."""
    rig, erring = on
    made = await rig.run(vm, DEPLOY, host_id=1)
    assert made["result"] == "success", made["error"]
    erring.plans[await uuid_of(rig.store, vm)] = plan
    task = await rig.run(vm, MOVE, host_id=2)
    for _ in range(2):  # a look that began while the task held the VM tells nothing of it
        await seen_again(rig.store)
    assert task["state"] == "done"
    return task


class OnKvm:
    """An administrator of both hosts of the lab, in virsh's words."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.first, self.second = lab.hosts

    def defined_on(self, vm: UUID, there: Any, here: Any) -> None:
        """`here` gets the definition that is `there` as well."""
        path = self.lab.home / f"{vm}.xml"
        path.write_text(there.virsh("dumpxml", "--inactive", "--security-info", str(vm)))
        here.virsh("define", str(path))

    def bring_about(self, name: str, vm: UUID) -> None:
        match name:
            case "moved, source not undefined":
                self.defined_on(vm, self.second, self.first)
            case "not moved, target defined":
                self.defined_on(vm, self.first, self.second)
            case "stopped, on both":
                self.first.virsh("destroy", str(vm))
                self.defined_on(vm, self.first, self.second)
            case "nowhere":
                self.kept(vm).write_text(self.first.virsh("dumpxml", "--inactive", str(vm)))
                self.first.virsh("destroy", str(vm))
                self.first.virsh("undefine", str(vm))

    def kept(self, vm: UUID) -> Path:
        """Where its definition is kept while no host has it."""
        return self.lab.home / f"{vm}.kept.xml"

    def comes_back(self, vm: UUID) -> None:
        """Somebody defines and starts it on the second host."""
        self.second.virsh("define", str(self.kept(vm)))
        self.second.virsh("start", str(vm))

    def where(self, vm: UUID) -> dict[str, str]:
        """Where it is, and as what."""
        found = {}
        for host in self.lab.hosts:
            if str(vm) in host.virsh("-q", "list", "--all", "--uuid"):
                found[host.name] = host.virsh("domstate", str(vm)).strip()
        return found


def on_kvm(lab: Lab) -> str:
    """The script that has the records on both hosts of the lab."""
    first, second = lab.hosts
    return ON_KVM.format(
        first=first.name, second=second.name, first_at=first.address, second_at=second.address
    )


KVM_TRUTHS = {
    "moved": (True, "second", "running"),
    "moved, source not undefined": (True, "second", "running"),
    "not moved": (False, "first", "running"),
    "not moved, target defined": (False, "first", "running"),
    "stopped, on both": (False, "first", "shut off"),
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    reason = missing()
    if reason:
        pytest.skip(reason)
    with Lab(tmp_path_factory.mktemp("lab"), 2) as made:
        yield made


@pytest.fixture
async def kvm(lab: Lab) -> AsyncIterator[KvmRig]:
    rig = KvmRig(lab)
    yield rig
    await rig.sweep()


@pytest.mark.xdist_group("kvm")
@pytest.mark.parametrize("name", KVM_TRUTHS)
async def test_a_move_on_kvm(lab: Lab, kvm: KvmRig, store: Store, name: str) -> None:
    """L2, L3: each kind of error, early where it did not move and late where it did."""
    late, lives, state = KVM_TRUTHS[name]
    hosts = OnKvm(lab)
    first, second = lab.hosts
    async with engine(store, kvm.opened(cpus=64), on_kvm(lab)) as on:
        for vm, kind in enumerate(LASTING if name == "not moved" else SOME, 1):
            uuid = await uuid_of(store, vm)

            async def act(vm: UUID = uuid) -> None:
                await asyncio.to_thread(hosts.bring_about, name, vm)

            task = await moved_wrongly(on, vm, Plan("relocate", kind, act, late=late))
            record, seen = await places(store, vm), await asyncio.to_thread(hosts.where, uuid)
            said = (kind, task["error"])
            assert record["booked"] == [record["host"]], said
            assert (task["result"] == "success") is (lives == "second"), said
            there = {"first": first.name, "second": second.name}[lives]
            assert (seen, record["host"]) == ({there: state}, there), said
            assert record["state"] == ("ON" if state == "running" else "OFF"), said
            assert (await on[0].run(vm, Operation.UNDEPLOY))["result"] == "success"


@pytest.mark.xdist_group("kvm")
async def test_a_move_on_kvm_of_what_is_nowhere(lab: Lab, kvm: KvmRig, store: Store) -> None:
    """L2: no host has it: it is UNKNOWN, booked where it was, and followed where it comes back."""
    hosts = OnKvm(lab)
    async with engine(store, kvm.opened(cpus=64), on_kvm(lab)) as on:
        for vm, kind in enumerate(SOME, 1):
            uuid = await uuid_of(store, vm)

            async def act(vm: UUID = uuid) -> None:
                await asyncio.to_thread(hosts.bring_about, "nowhere", vm)

            task = await moved_wrongly(on, vm, Plan("relocate", kind, act))
            record, said = await places(store, vm), (kind, task["error"])
            assert task["result"] != "success", said
            assert (record["state"], record["booked"]) == ("UNKNOWN", [lab.hosts[0].name]), said
            assert await asyncio.to_thread(hosts.where, uuid) == {}, said
            await asyncio.to_thread(hosts.comes_back, uuid)
            for _ in range(2):
                await seen_again(store)
            record, second = await places(store, vm), lab.hosts[1].name
            assert (record["state"], record["host"], record["booked"]) == ("ON", second, [second])
            assert (await on[0].run(vm, Operation.UNDEPLOY))["result"] == "success"


@pytest.mark.xdist_group("kvm")
async def test_undeploy_over_an_inactive_pool(lab: Lab, kvm: KvmRig, store: Store) -> None:
    """L5: it fails in words and takes nothing away; once the pool is active it leaves nothing."""
    hosts = OnKvm(lab)
    async with engine(store, kvm.opened(cpus=64), on_kvm(lab)) as (rig, _):
        assert (await rig.run(1, DEPLOY, host_id=1))["result"] == "success"
        uuid = await uuid_of(store, 1)
        await asyncio.to_thread(hosts.first.virsh, "pool-destroy", SHARED)
        try:
            task = await rig.run(1, Operation.UNDEPLOY)
        finally:
            await asyncio.to_thread(hosts.first.virsh, "pool-start", SHARED)
        record = await places(store, 1)
        assert (task["state"], task["result"]) == ("done", "failure")
        assert task["error"] == f"it cannot be removed: the storage pool {SHARED} is not active"
        assert (record["state"], record["booked"]) == ("ON", [hosts.first.name])
        assert await asyncio.to_thread(hosts.where, uuid) == {hosts.first.name: "running"}
        assert (await rig.run(1, Operation.UNDEPLOY))["result"] == "success"
        assert await asyncio.to_thread(hosts.where, uuid) == {}
        assert (await places(store, 1))["booked"] is None
        async with store.read() as c:
            assert await leftovers.listed(c) == []
    assert await kvm.volumes(Location(hosts.first.name, SHARED, shared=True)) == set()


@pytest.fixture(scope="module")
def vc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VCenter]:
    if no_vcenter():
        pytest.skip(no_vcenter())
    with vcenter(tmp_path_factory.mktemp("vsphere") / "one", SHAPE) as running_one:
        yield running_one


@pytest.fixture
async def vsphere(vc: VCenter) -> AsyncIterator[VsphereRig]:
    rig = VsphereRig(vc, vc.home, vc)
    yield rig
    await rig.other.aclose()
    await rig.sweep()


def unregistered(admin: Admin, vm: UUID) -> None:
    """Somebody takes it out of the inventory; its files stay."""
    found = admin.vm(vm)
    if found.runtime.powerState != "poweredOff":
        ended(found.PowerOffVM_Task())
    found.UnregisterVM()


VCENTER_TRUTHS = {"moved": True, "not moved": False, "nowhere": False}


@pytest.mark.parametrize("name", VCENTER_TRUTHS)
async def test_a_move_in_a_vcenter(vsphere: VsphereRig, store: Store, name: str) -> None:
    """L2: a vCenter has no half of a VM; each kind of error, whatever it is called."""
    admin, late = vsphere.admin, VCENTER_TRUTHS[name]
    async with engine(store, vsphere.driver, ON_VCENTER) as on:
        for vm, kind in enumerate(LASTING if name == "not moved" else KINDS, 1):
            uuid = await uuid_of(store, vm)

            async def act(vm: UUID = uuid) -> None:
                if name == "nowhere":
                    await asyncio.to_thread(unregistered, admin, vm)

            task = await moved_wrongly(on, vm, Plan("relocate", kind, act, late=late))
            record, said = await places(store, vm), (kind, task["error"])
            there = await asyncio.to_thread(admin.vm, uuid)
            assert record["booked"] == [record["host"]], said
            assert (task["result"] == "success") is late, said
            assert record["host"] == (vsphere.second if late else vsphere.first), said
            assert record["state"] == ("UNKNOWN" if name == "nowhere" else "ON"), said
            assert (there is None) is (name == "nowhere"), said
            assert there is None or there.runtime.host.name == record["host"], said


async def test_a_start_that_drs_places_elsewhere(vsphere: VsphereRig, store: Store) -> None:
    """L4: a deployment and a start end on the host that the vCenter chose, whatever it said."""
    admin = vsphere.admin
    async with engine(store, vsphere.driver, ON_VCENTER) as (rig, erring):
        for vm, kind in enumerate(KINDS, 1):
            uuid = await uuid_of(store, vm)

            async def act(vm: UUID = uuid) -> None:
                await asyncio.to_thread(admin.move, vm, vsphere.second)

            erring.plans[uuid] = Plan("power", kind, act, late=True)
            task = await rig.run(vm, DEPLOY, host_id=1)
            record = await places(store, vm)
            assert task["result"] == "success", (kind, task["error"])
            assert (record["state"], record["booked"]) == ("ON", [vsphere.second]), kind
            there = await asyncio.to_thread(admin.vm, uuid)
            assert there.runtime.powerState == "poweredOn", kind


async def test_undeploy_of_what_was_unregistered(vsphere: VsphereRig, store: Store) -> None:
    """L6: it is positively gone, so it is undeployed. Its files are ours, and go with it."""
    async with engine(store, vsphere.driver, ON_VCENTER) as (rig, _):
        assert (await rig.run(1, DEPLOY, host_id=1))["result"] == "success"
        await asyncio.to_thread(unregistered, vsphere.admin, await uuid_of(store, 1))
        task = await rig.run(1, Operation.UNDEPLOY)
        assert task["result"] == "success", task["error"]
        record = await places(store, 1)
        assert (record["state"], record["booked"]) == ("NOT_ALLOCATED", None)
        assert (await rig.run(2, DEPLOY, host_id=1))["result"] == "success"
        assert (await rig.run(2, Operation.UNDEPLOY))["result"] == "success"
        async with store.read() as c:
            assert await leftovers.listed(c) == []
