"""The driver of ESXi hosts keeps the contract of drivers, on a vCenter of the project's own lab."""

import asyncio
import time

import pytest
from pyVmomi import vim

from drivers.capabilities import HypervisorType
from drivers.contract import Deploy, Driver, Power, PowerRequest, Remove, Verdict, VmSpec
from drivers.esxi.connection.paging import PropertyPage
from drivers.esxi.survey import _load
from drivers.facts import HostLoad, PowerState
from drivers.faults import Indeterminate, Rejected
from tests.drivers.contract_suite import DriverContract
from tests.drivers.rigs import closing, made_by, permitted, reported, surveyed, ticket, until
from tests.drivers.vsphere_rig import VsphereRig, ended

AT_ONCE_S = 5.0
LONG_S = 60.0


async def told(driver: Driver, heard: list[str]) -> None:
    """All that is reported, in a word each."""
    stream = driver.changes()
    async for change in stream:
        heard.append(change.what.value)  # noqa: PERF401 - the stream has no end


@pytest.fixture
async def rig(vsphere: VsphereRig) -> VsphereRig:
    return vsphere


class TestEsxi(DriverContract):
    kind = HypervisorType.VMX_04

    async def test_a_name_that_is_taken_is_a_refusal(self, rig: VsphereRig) -> None:
        """Names are unique in a folder; the other VM is as it was, and none is begun."""
        spec = await rig.deployed()
        before = await rig.driver.look(spec.vm, rig.first)
        permit, fresh = permitted(), rig.spec()
        same = made_by(permit.task, VmSpec(fresh.vm, spec.name, 1, 16, fresh.disk))
        order = Deploy(same, rig.at(rig.first))
        rig.vc.forget_calls()
        with pytest.raises(Rejected, match=spec.name):
            await rig.driver.deploy(permit, order)
        assert "CloneVM_Task" not in rig.vc.calls()
        assert (await rig.driver.settle(ticket(permit, order))).verdict is Verdict.FAILED
        assert await rig.everything(rig.first) == {spec.vm}
        assert await rig.driver.look(spec.vm, rig.first) == before

    @pytest.mark.parametrize("force", [False, True], ids=["asked", "forced"])
    async def test_without_guest_tools_nobody_waits_for_the_guest(
        self, rig: VsphereRig, force: bool
    ) -> None:
        """That no guest can be asked is final: refused at once, or the plug is pulled at once."""
        spec = await rig.deployed()
        rig.vc.guest(rig.admin.vm(spec.vm)._moId, tools=False)
        await rig.power(spec, PowerRequest.ON)
        order = Power(spec.vm, rig.first, PowerRequest.SHUTDOWN, grace_s=LONG_S, force=force)
        began_s = time.monotonic()
        if force:
            await rig.driver.power(permitted(), order)
        else:
            with pytest.raises(Rejected, match="guest tools"):
                await rig.driver.power(permitted(), order)
        assert time.monotonic() - began_s < AT_ONCE_S
        seen = await rig.driver.look(spec.vm, rig.first)
        assert seen is not None
        assert seen.state is (PowerState.OFF if force else PowerState.ON)

    async def test_a_guest_that_still_boots_is_asked_once_it_listens(self, rig: VsphereRig) -> None:
        """Its tools are installed, and start within the grace."""
        spec = await rig.started()
        moid = rig.admin.vm(spec.vm)._moId
        booting = {"guest.toolsRunningStatus": "guestToolsNotRunning"}
        rig.vc.set("VirtualMachine", moid, {**booting, "guest.toolsStatus": "toolsNotRunning"})
        order = Power(spec.vm, rig.first, PowerRequest.SHUTDOWN, grace_s=LONG_S)
        rig.vc.forget_calls()
        shutting = asyncio.create_task(rig.driver.power(permitted(), order))
        await until(lambda: bool(rig.vc.calls().get("RetrievePropertiesEx")))
        assert "ShutdownGuest" not in rig.vc.calls()
        rig.vc.set("VirtualMachine", moid, {"guest.toolsRunningStatus": "guestToolsRunning"})
        await shutting
        assert rig.vc.calls()["ShutdownGuest"] == 1
        assert "PowerOffVM_Task" not in rig.vc.calls()

    async def test_a_host_in_maintenance_takes_no_vm(self, rig: VsphereRig) -> None:
        """Neither a new one nor one that moves."""
        spec = await rig.deployed()
        moid = rig.vc.named("HostSystem")[rig.second]
        rig.vc.set("HostSystem", moid, {"runtime.inMaintenanceMode": True})
        try:
            permit, order = rig.relocation(spec)
            with pytest.raises(Rejected, match="maintenance"):
                await rig.driver.relocate(permit, order)
            with pytest.raises(Rejected, match="maintenance"):
                await rig.deployed(rig.at(rig.second))
            seen = [(await surveyed(rig.driver, each)).hosts for each in (rig.first, rig.second)]
            assert [host.accepting for (host,) in seen] == [True, False]
        finally:
            rig.vc.set("HostSystem", moid, {"runtime.inMaintenanceMode": False})
        assert await rig.everything(rig.second) == set()

    async def test_a_change_from_outside_is_seen_within_two_seconds(self, rig: VsphereRig) -> None:
        spec = await rig.deployed()
        await surveyed(rig.driver, rig.first)
        async with asyncio.timeout(2), reported(rig.driver, (rig.first, spec.vm, "STARTED")):
            await asyncio.to_thread(ended, rig.admin.vm(spec.vm).PowerOnVM_Task())

    async def test_what_comes_by_the_page_is_whole(self, rig: VsphereRig) -> None:
        """A listing, and what the watch knows, though each reply tells of one object only."""
        specs = [await rig.deployed() for _ in range(3)]
        async with closing(rig.opened(page=1)) as driver:
            facts = await surveyed(driver, rig.first)
            assert {vm.vm for vm in facts.vms} == {spec.vm for spec in specs}
            assert {vm.task for vm in facts.vms} == {
                seen.task
                for seen in [await driver.look(spec.vm, rig.first) for spec in specs]
                if seen
            }
            heard: list[str] = []
            listening = asyncio.create_task(told(driver, heard))
            for spec in specs:
                await rig.power(spec, PowerRequest.ON)
            await until(lambda: heard.count("STARTED") == 3)
            listening.cancel()
        assert set(heard) == {"STARTED"}  # what was there before is no news

    async def test_a_host_that_is_lost_and_found_is_reported(self, rig: VsphereRig) -> None:
        await surveyed(rig.driver, rig.first)
        async with reported(rig.driver, (rig.first, None, "LOST")):
            await rig.cut(rig.first)
        async with reported(rig.driver, (rig.first, None, "REGAINED")):
            await rig.mend(rig.first)

    async def test_a_copy_that_carries_our_marks_is_nobody_s(self, rig: VsphereRig) -> None:
        """Who clones a VM by hand clones its marks; its id is another."""
        spec, stranger = await rig.deployed(), await rig.foreign(rig.first)
        marks = [
            vim.option.OptionValue(key=each.key, value=each.value)
            for each in rig.admin.vm(spec.vm).config.extraConfig
            if each.key.startswith("vmgate.")
        ]
        assert len(marks) == 4
        copy = rig.admin.vm(stranger)
        await asyncio.to_thread(ended, copy.ReconfigVM_Task(vim.vm.ConfigSpec(extraConfig=marks)))
        seen = await rig.driver.look(stranger, rig.first)
        assert seen is not None
        assert (seen.task, seen.volumes) == (None, ())

    async def test_a_vm_without_our_marks_is_not_removed(self, rig: VsphereRig) -> None:
        """It may be off, and asked for by its id: its disks are somebody's."""
        stranger = await rig.foreign(rig.first)
        await asyncio.to_thread(ended, rig.admin.vm(stranger).PowerOffVM_Task())
        order = Remove(stranger, rig.at(rig.first), "any")
        with pytest.raises(Rejected, match="not created by vmgate"):
            await rig.driver.remove(permitted(), order)
        assert await rig.everything(rig.first) == {stranger}

    async def test_a_vm_that_cannot_be_read_is_neither_on_nor_off(self, rig: VsphereRig) -> None:
        """Its datastore is away, say: nothing is begun, and nobody says that nothing was."""
        spec = await rig.started()
        moid = rig.admin.vm(spec.vm)._moId
        order = Power(spec.vm, rig.first, PowerRequest.OFF)
        rig.vc.set("VirtualMachine", moid, {"runtime.connectionState": "inaccessible"})
        seen = await rig.driver.look(spec.vm, rig.first)
        assert seen is not None
        assert seen.state is PowerState.UNKNOWN
        with pytest.raises(Rejected):
            await rig.driver.power(permitted(), order)
        with pytest.raises(Indeterminate):
            await rig.driver.settle(ticket(permitted(), order))
        rig.vc.set("VirtualMachine", moid, {"runtime.connectionState": "connected"})
        assert (await rig.driver.settle(ticket(permitted(), order))).verdict is Verdict.ABSENT

    async def test_ends_of_tasks_are_heard_and_not_waited_for(self, rig: VsphereRig) -> None:
        """A look each minute is only the net below."""
        spec = await rig.deployed()
        async with closing(rig.opened(poll_s=LONG_S)) as driver, asyncio.timeout(AT_ONCE_S):
            await surveyed(driver, rig.first)
            await driver.power(permitted(), Power(spec.vm, rig.first, PowerRequest.ON))

    async def test_what_is_not_heard_is_looked_for(self, rig: VsphereRig) -> None:
        """The watch may be deaf: the net below holds."""
        rig.vc.fault("WaitForUpdatesEx", "hold", times=0)
        spec = await rig.deployed()
        await rig.power(spec, PowerRequest.ON)
        rig.vc.clear()

    async def test_the_measured_load_comes_with_the_list(self, rig: VsphereRig) -> None:
        """One call for all hosts, and none for what is not measured yet."""
        moid = rig.vc.named("HostSystem")[rig.first]
        path = "summary.quickStats.overall"
        rig.vc.set("HostSystem", moid, {f"{path}CpuUsage": 2600, f"{path}MemoryUsage": 4096})
        rig.vc.forget_calls()
        facts = await rig.driver.survey("lab")
        assert rig.vc.calls()["RetrievePropertiesEx"] == 1
        loads = {host.name: host.load for host in facts.hosts}
        assert loads[rig.first] == HostLoad(2600, 4096)
        unmeasured = PropertyPage("HostSystem", "host-1", {f"{path}CpuUsage": 2600})
        assert _load(unmeasured) is None
