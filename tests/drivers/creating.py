"""What drivers promise about making, seeing, resizing and deleting VMs."""

from dataclasses import replace
from uuid import uuid4

import pytest

from drivers.contract import Deploy, PowerRequest, Reconfigure, Remove, Verdict, VmSpec
from drivers.facts import PowerState
from drivers.faults import Rejected
from tests.drivers.rigs import Rig, cut_short, made_by, permitted, permitted_times, surveyed, ticket

GIVEN_UP_AT = 8


def resized(spec: VmSpec) -> VmSpec:
    """The VM with two processors and 32 MiB."""
    return VmSpec(spec.vm, spec.name, 2, 32, spec.disk, spec.nics)


async def not_resized(rig: Rig, spec: VmSpec) -> None:
    """A resize is refused, and has no effect."""
    before = await rig.driver.look(spec.vm, rig.first)
    permit, order = permitted(), Reconfigure(resized(spec), rig.first)
    with pytest.raises(Rejected):
        await rig.driver.reconfigure(permit, order)
    assert (await rig.driver.settle(ticket(permit, order))).verdict is Verdict.ABSENT
    assert await rig.driver.look(spec.vm, rig.first) == before


class Creating:
    """Deploy, reconfigure, remove; look and survey."""

    async def test_a_deployed_vm_is_off_and_carries_our_task(self, rig: Rig) -> None:
        """What a saga may rely on after its first step; before it, nothing is there."""
        permit, at = permitted(), rig.at(rig.first)
        spec = made_by(permit.task, rig.spec())
        order = Deploy(spec, at)
        assert (await rig.driver.settle(ticket(permit, order))).verdict is Verdict.ABSENT
        await rig.driver.deploy(permit, order)
        outcome = await rig.driver.settle(ticket(permit, order))
        seen = await rig.driver.look(spec.vm, rig.first)
        assert outcome.verdict is Verdict.DONE
        assert outcome.sighting == seen
        assert seen is not None
        assert (seen.state, seen.task, seen.arriving) == (PowerState.OFF, permit.task, False)
        assert (seen.name, seen.cpu, seen.ram_mib) == (spec.name, 1, 16)
        assert seen.volumes == (spec.disk.volume,)
        assert await rig.volumes(at) == {spec.disk.volume}

    async def test_a_deploy_begun_twice_is_one_vm_with_one_disk(self, rig: Rig) -> None:
        """At least one attempt, at most one effect, for one task."""
        permit, at = permitted(), rig.at(rig.first)
        order = Deploy(made_by(permit.task, rig.spec()), at)
        await rig.driver.deploy(permit, order)
        await rig.driver.deploy(permit, order)
        assert (await rig.driver.settle(ticket(permit, order))).verdict is Verdict.DONE
        assert await rig.everything(rig.first) == {order.spec.vm}
        assert await rig.volumes(at) == {order.spec.disk.volume}

    async def test_a_deploy_that_was_cut_anywhere_is_finished_by_the_next(self, rig: Rig) -> None:
        """A worker may lose its lease between any two calls to the hypervisor."""
        for times in range(GIVEN_UP_AT):
            task, at = uuid4(), rig.at(rig.first)
            order = Deploy(made_by(task, rig.spec()), at)
            cut = await cut_short(rig.driver.deploy(permitted_times(task, times), order))
            verdict = (await rig.driver.settle(ticket(permitted(task), order))).verdict
            assert verdict is (Verdict.ABSENT if cut else Verdict.DONE)
            await rig.driver.deploy(permitted(task), order)
            outcome = await rig.driver.settle(ticket(permitted(task), order))
            assert outcome.verdict is Verdict.DONE
            assert {each for each in await rig.volumes(at) if str(order.spec.vm) in each} == {
                order.spec.disk.volume
            }
            if not cut:
                return
        raise AssertionError("the deploy asked its permit without end")

    async def test_another_task_cannot_deploy_the_same_vm(self, rig: Rig) -> None:
        """It is refused, settles as failed, and leaves neither a mark nor a disk."""
        spec, at = await rig.deployed(), rig.at(rig.first)
        before = await rig.driver.look(spec.vm, rig.first)
        permit = permitted()
        order = Deploy(made_by(permit.task, spec), at)
        with pytest.raises(Rejected):
            await rig.driver.deploy(permit, order)
        assert (await rig.driver.settle(ticket(permit, order))).verdict is Verdict.FAILED
        assert await rig.driver.look(spec.vm, rig.first) == before
        assert await rig.volumes(at) == {spec.disk.volume}

    async def test_a_vm_that_is_off_is_resized_and_stays_the_same_vm(self, rig: Rig) -> None:
        """Doing it again is harmless; our mark and the disk stay."""
        spec = await rig.deployed()
        before = await rig.driver.look(spec.vm, rig.first)
        assert before is not None
        permit, order = permitted(), Reconfigure(resized(spec), rig.first)
        assert (await rig.driver.settle(ticket(permit, order))).verdict is Verdict.ABSENT
        for _ in range(2):
            await rig.driver.reconfigure(permit, order)
            outcome = await rig.driver.settle(ticket(permit, order))
            assert outcome.verdict is Verdict.DONE
            # A cloud may have to take a VM's compute back before it gives it another size.
            assert outcome.sighting is not None
            given_back = rig.driver.capabilities.deallocation and outcome.sighting.deallocated
            assert outcome.sighting == replace(before, cpu=2, ram_mib=32, deallocated=given_back)
        await rig.power(spec, PowerRequest.ON)
        seen = await rig.driver.look(spec.vm, rig.first)
        assert seen == replace(before, cpu=2, ram_mib=32, state=PowerState.ON)

    async def test_a_vm_that_is_not_off_is_not_resized(self, rig: Rig) -> None:
        spec = await rig.deployed()
        await rig.power(spec, PowerRequest.ON)
        await not_resized(rig, spec)

    async def test_a_running_vm_is_not_removed(self, rig: Rig) -> None:
        """Neither the VM nor its disk goes."""
        spec = await rig.deployed()
        await rig.power(spec, PowerRequest.ON)
        permit, order = permitted(), Remove(spec.vm, rig.at(rig.first), spec.disk.volume)
        with pytest.raises(Rejected):
            await rig.driver.remove(permit, order)
        outcome = await rig.driver.settle(ticket(permit, order))
        assert outcome.verdict is Verdict.ABSENT
        assert outcome.sighting is not None
        assert outcome.sighting.state is PowerState.ON
        assert await rig.volumes(rig.at(rig.first)) == {spec.disk.volume}

    async def test_a_removed_vm_is_gone_with_its_disk_and_no_other(self, rig: Rig) -> None:
        """Removing it again is harmless: what is gone stays gone."""
        spec, other = await rig.deployed(), await rig.deployed()
        permit, order = permitted(), Remove(spec.vm, rig.at(rig.first), spec.disk.volume)
        for _ in range(2):
            await rig.driver.remove(permit, order)
            outcome = await rig.driver.settle(ticket(permit, order))
            assert (outcome.verdict, outcome.sighting) == (Verdict.DONE, None)
            assert await rig.driver.look(spec.vm, rig.first) is None
            assert await rig.everything(rig.first) == {other.vm}
            assert await rig.volumes(rig.at(rig.first)) == {other.disk.volume}

    async def test_a_remove_that_was_cut_anywhere_is_finished_by_the_next(self, rig: Rig) -> None:
        """Until the disk is gone too, a remove is not done."""
        for times in range(GIVEN_UP_AT):
            spec = await rig.deployed()
            task, order = uuid4(), Remove(spec.vm, rig.at(rig.first), spec.disk.volume)
            cut = await cut_short(rig.driver.remove(permitted_times(task, times), order))
            verdict = (await rig.driver.settle(ticket(permitted(task), order))).verdict
            assert verdict is (Verdict.ABSENT if cut else Verdict.DONE)
            await rig.driver.remove(permitted(task), order)
            outcome = await rig.driver.settle(ticket(permitted(task), order))
            assert (outcome.verdict, outcome.sighting) == (Verdict.DONE, None)
            assert await rig.volumes(rig.at(rig.first)) == set()
            if not cut:
                return
        raise AssertionError("the remove asked its permit without end")

    async def test_none_means_positively_not_there(self, rig: Rig) -> None:
        spec = await rig.deployed()
        assert await rig.driver.look(uuid4(), rig.first) is None
        assert await rig.driver.look(spec.vm, rig.second) is None
        assert await rig.driver.look(spec.vm, rig.first) is not None

    async def test_a_survey_lists_every_vm_and_the_host(self, rig: Rig) -> None:
        """Also VMs that are not ours, without a mark; a host it does not list is not there."""
        off, on = await rig.deployed(), await rig.deployed()
        await rig.power(on, PowerRequest.ON)
        stranger = await rig.foreign(rig.first)
        facts = await surveyed(rig.driver, rig.first)
        seen = {one.vm: one for one in facts.vms}
        assert set(seen) == {off.vm, on.vm, stranger} == await rig.everything(rig.first)
        for vm in (off.vm, on.vm):
            assert seen[vm].datastores in ((), (rig.at(rig.first).datastore,))
            looked = await rig.driver.look(vm, rig.first)
            assert looked is not None
            assert replace(seen[vm], datastores=()) == replace(looked, datastores=())
        assert (seen[stranger].task, seen[stranger].state) == (None, PowerState.ON)
        assert facts.taken_at.tzinfo is not None
        (host,) = facts.hosts
        assert host.name == rig.first
        assert min(host.cpus, host.memory_mib) > 0
        assert host.hypervisor
        assert host.version
        places = [rig.at(rig.first), rig.at(rig.first, shared=False)]
        assert [store.name for store in host.datastores] == [at.datastore for at in places]
        for store in host.datastores:
            assert store.usable
            assert 0 < store.free_bytes <= store.capacity_bytes
            assert store.path
        assert (await surveyed(rig.driver, rig.second)).vms == ()
        covered = [host for hosts in rig.driver.endpoints().values() for host in hosts]
        assert sorted(covered) == sorted((rig.first, rig.second))
