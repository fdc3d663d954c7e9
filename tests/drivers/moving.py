"""What drivers promise about moves: the guest goes on, the VM is in one place, leftovers go."""

import pytest

from drivers.contract import Clear, Power, PowerRequest, Verdict
from drivers.facts import PowerState
from drivers.faults import Fault, Indeterminate, Missing, Rejected, Unreachable
from tests.drivers.rigs import Rig, closing, permitted, reported, surveyed, ticket


class Moving:
    """Relocate and clear, over shared storage and from one host's own to the other's."""

    async def test_a_guest_moves_live_over_shared_storage(self, rig: Rig) -> None:
        """It was not started anew, still answers its power button, and exists once; its disk
        stayed where it was, and a fresh worker sees the same."""
        spec = await rig.started()
        before = await rig.driver.look(spec.vm, rig.first)
        permit, order = rig.relocation(spec)
        assert (await rig.driver.settle(ticket(permit, order))).verdict is Verdict.ABSENT
        assert before is not None
        async with reported(
            rig.driver, (rig.first, spec.vm, "DEPARTED"), (rig.second, spec.vm, "ARRIVED")
        ):
            await surveyed(rig.driver, rig.second)
            await rig.driver.relocate(permit, order)
        outcome = await rig.driver.settle(ticket(permit, order))
        seen = await rig.driver.look(spec.vm, rig.second)
        assert (outcome.verdict, outcome.sighting) == (Verdict.DONE, seen)
        async with closing(rig.impatient()) as fresh:
            assert await fresh.settle(ticket(permit, order)) == outcome
        assert seen is not None
        assert (seen.state, seen.arriving, seen.task) == (PowerState.ON, False, before.task)
        assert (seen.name, seen.cpu, seen.ram_mib) == (before.name, before.cpu, before.ram_mib)
        assert seen.volumes == before.volumes
        assert await rig.driver.look(spec.vm, rig.first) is None
        assert await rig.everything(rig.first) == set()
        assert await rig.volumes(rig.at(rig.first)) == {spec.disk.volume}
        await rig.power(spec, PowerRequest.SHUTDOWN, rig.second)
        assert rig.boots(spec.vm) == 1

    async def test_a_guest_moves_live_with_its_disk(self, rig: Rig) -> None:
        """The disk at the target has the name the order gave it; clearing the source takes the
        old one, by name, and leaves the new one. Clearing again is harmless."""
        at = rig.at(rig.first, shared=False)
        spec = await rig.started(at)
        permit, order = rig.relocation(spec, shared=False)
        await rig.driver.relocate(permit, order)
        outcome = await rig.driver.settle(ticket(permit, order))
        assert outcome.verdict is Verdict.DONE
        assert outcome.sighting is not None
        assert outcome.sighting.volumes == (order.spec.disk.volume,)
        assert await rig.driver.look(spec.vm, rig.first) is None
        assert await rig.volumes(order.target) == {order.spec.disk.volume}
        clearing = permitted()
        clear = Clear(spec.vm, order.source, rig.second, order.volume)
        for _ in range(2):
            await rig.driver.clear(clearing, clear)
            cleared = await rig.driver.settle(ticket(clearing, clear))
            assert (cleared.verdict, cleared.sighting) == (Verdict.DONE, None)
            assert await rig.volumes(order.source) == set()
            assert await rig.volumes(order.target) == {order.spec.disk.volume}
        await rig.power(spec, PowerRequest.SHUTDOWN, rig.second)
        assert rig.boots(spec.vm) == 1

    async def test_a_move_can_be_taken_back(self, rig: Rig) -> None:
        """There and back again: nothing of the first move is in the way of the second."""
        spec = await rig.started()
        permit, order = rig.relocation(spec)
        await rig.driver.relocate(permit, order)
        back = permitted()
        order = type(order)(spec, order.target, order.source, spec.disk.volume)
        await rig.driver.relocate(back, order)
        assert (await rig.driver.settle(ticket(back, order))).verdict is Verdict.DONE
        assert await rig.everything(rig.second) == set()
        assert rig.boots(spec.vm) == 1

    @pytest.mark.parametrize("state", ["OFF", "PAUSED"])
    async def test_a_vm_that_does_not_run_moves_as_it_is(self, rig: Rig, state: str) -> None:
        spec = await rig.deployed()
        if state == "PAUSED":
            await rig.power(spec, PowerRequest.ON)
            await rig.power(spec, PowerRequest.PAUSE)
        permit, order = rig.relocation(spec)
        await rig.driver.relocate(permit, order)
        outcome = await rig.driver.settle(ticket(permit, order))
        assert outcome.verdict is Verdict.DONE
        assert outcome.sighting is not None
        assert outcome.sighting.state.value == state
        assert await rig.driver.look(spec.vm, rig.first) is None

    async def test_a_move_begun_again_is_the_same_move(self, rig: Rig) -> None:
        """After the end the repeated call may not know that it is done; looking does."""
        spec = await rig.deployed()
        permit, order = rig.relocation(spec)
        await rig.driver.relocate(permit, order)
        try:
            await rig.driver.relocate(permit, order)
        except Fault as unclear:
            assert isinstance(unclear, Indeterminate)  # noqa: PT017 - or no fault at all
        outcome = await rig.driver.settle(ticket(permit, order))
        assert outcome.verdict is Verdict.DONE
        assert await rig.everything(rig.first) == set()
        assert await rig.everything(rig.second) == {spec.vm}

    async def test_a_move_is_settled_by_looking_at_both_hosts(self, rig: Rig) -> None:
        """While one of the two does not answer nobody can say where the VM is."""
        spec = await rig.deployed()
        permit, order = rig.relocation(spec)
        for host in (rig.first, rig.second):
            await rig.cut(host)
            with pytest.raises(Unreachable):
                await rig.driver.settle(ticket(permit, order))
            await rig.mend(host)
        assert (await rig.driver.settle(ticket(permit, order))).verdict is Verdict.ABSENT

    async def test_a_move_whose_target_is_gone_leaves_nothing(self, rig: Rig) -> None:
        """The guest goes on at the source, and can be moved or shut down later."""
        await self._not_moved(rig, rig.second)

    async def test_a_move_whose_source_is_gone_leaves_nothing(self, rig: Rig) -> None:
        """Unreachable means that nothing is left behind anywhere: nobody will take it back."""
        await self._not_moved(rig, rig.first)

    async def _not_moved(self, rig: Rig, lost: str) -> None:
        spec = await rig.started(rig.at(rig.first, shared=False))
        permit, order = rig.relocation(spec, shared=False)
        await rig.cut(lost)
        with pytest.raises((Unreachable, Rejected, Indeterminate)) as refused:
            await rig.driver.relocate(permit, order)
        await rig.mend(lost)
        assert (await rig.driver.settle(ticket(permit, order))).verdict is Verdict.ABSENT
        assert await rig.everything(rig.second) == set()
        if isinstance(refused.value, Unreachable):
            assert await rig.volumes(order.target) == set()
        await rig.power(spec, PowerRequest.SHUTDOWN)
        assert rig.boots(spec.vm) == 1

    @pytest.mark.parametrize("shared", [True, False], ids=["shared", "own"])
    async def test_a_move_of_a_vm_that_is_nowhere_is_refused(self, rig: Rig, shared: bool) -> None:
        """It makes nothing at the target, neither a VM nor a disk; settling cannot decide."""
        permit, order = rig.relocation(rig.spec(), shared=shared)
        with pytest.raises((Missing, Rejected)):
            await rig.driver.relocate(permit, order)
        with pytest.raises(Indeterminate):
            await rig.driver.settle(ticket(permit, order))
        assert await rig.everything(rig.second) == set()
        assert await rig.volumes(order.target) == set()

    async def test_nothing_is_cleared_before_the_vm_was_seen_elsewhere(self, rig: Rig) -> None:
        """Neither where it is the only one, nor while the other host cannot be asked."""
        spec = await rig.deployed()
        at = rig.at(rig.first)
        permit, order = permitted(), Clear(spec.vm, at, rig.second, spec.disk.volume)
        assert (await rig.driver.settle(ticket(permit, order))).verdict is Verdict.ABSENT
        with pytest.raises(Rejected):
            await rig.driver.clear(permit, order)
        await rig.cut(rig.second)
        with pytest.raises((Rejected, Unreachable)):
            await rig.driver.clear(permit, order)
        await rig.mend(rig.second)
        assert (await rig.driver.settle(ticket(permit, order))).verdict is Verdict.ABSENT
        assert await rig.everything(rig.first) == {spec.vm}
        assert await rig.volumes(at) == {spec.disk.volume}

    async def test_a_vm_that_runs_is_not_cleared(self, rig: Rig) -> None:
        spec = await rig.started()
        permit, order = rig.relocation(spec)
        await rig.driver.relocate(permit, order)
        clear = Clear(spec.vm, order.target, rig.second, spec.disk.volume)
        with pytest.raises(Rejected):
            await rig.driver.clear(permitted(), clear)
        assert await rig.volumes(order.target) == {spec.disk.volume}
        off = Power(spec.vm, rig.second, PowerRequest.OFF)
        assert (await rig.driver.settle(ticket(permit, off))).verdict is Verdict.ABSENT

    async def test_clearing_after_a_shared_move_leaves_the_disk_alone(self, rig: Rig) -> None:
        spec = await rig.deployed()
        permit, order = rig.relocation(spec)
        await rig.driver.relocate(permit, order)
        clearing, clear = permitted(), Clear(spec.vm, order.source, rig.second)
        await rig.driver.clear(clearing, clear)
        assert (await rig.driver.settle(ticket(clearing, clear))).verdict is Verdict.DONE
        assert await rig.volumes(order.target) == {spec.disk.volume}
        assert await rig.everything(rig.second) == {spec.vm}
