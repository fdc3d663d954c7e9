"""What drivers promise of moves that are interrupted: one that runs is seen to run; one that was
cancelled or lost sight of leaves one guest that was not started anew."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from drivers.contract import (
    Clear,
    Driver,
    Permit,
    PowerRequest,
    Relocate,
    Ticket,
    Verdict,
)
from drivers.facts import PowerState
from drivers.faults import Fault, Indeterminate, Missing, Rejected, Unreachable
from tests.drivers.rigs import PATIENCE_S, Rig, closing, permitted, ticket


@asynccontextmanager
async def moving(driver: Driver, permit: Permit, order: Relocate) -> AsyncIterator["Ended"]:
    """The move, running; it has ended afterwards."""
    task = asyncio.create_task(driver.relocate(permit, order))
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not task.done():
                if (await driver.progress(ticket(permit, order))).percent:
                    break
                await asyncio.sleep(0)  # a driver may answer without giving others their turn
            yield task
            await asyncio.wait({task})
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


Ended = asyncio.Task[None]


class Interrupted:
    """Moves that are looked at, cancelled or lost sight of midway."""

    async def test_a_move_that_runs_is_seen_to_run(self, rig: Rig) -> None:
        """By a worker that took it over too: neither absent, so that it would be begun again,
        nor unclear. Its progress only grows."""
        spec = await rig.started(rig.at(rig.first, shared=False))
        permit, order = rig.relocation(spec, shared=False)
        verdicts: list[Verdict] = []
        percents: list[int] = []
        async with closing(rig.slow()) as driver, closing(rig.impatient()) as other:
            async with moving(driver, permit, order) as task:
                while not task.done():
                    verdicts.append((await other.settle(ticket(permit, order))).verdict)
                    progress = await other.progress(ticket(permit, order))
                    percents.append(progress.percent or 0)
            assert task.exception() is None
            outcome = await other.settle(ticket(permit, order))
        assert outcome.verdict is Verdict.DONE
        running = [each for each in verdicts if each is not Verdict.DONE]
        assert running
        assert set(running) == {Verdict.RUNNING}
        assert verdicts[: len(running)] == running
        shown = percents[: len(running)]
        assert all(0 <= each <= 100 for each in shown)

    async def test_a_move_that_is_cancelled_ends_in_one_place(self, rig: Rig) -> None:
        """Where it was, or where it went if it was too late; cancelling says nothing of that."""
        spec = await rig.started(rig.at(rig.first, shared=False))
        permit, order = rig.relocation(spec, shared=False)
        async with closing(rig.slow()) as driver:
            async with moving(driver, permit, order) as task:
                with suppress(Rejected, Missing):
                    await driver.cancel(permit, ticket(permit, order))
            assert isinstance(task.exception(), Rejected | None)
        await self._in_one_place(rig, permit, order)

    async def test_a_vm_that_does_not_move_is_not_hurt_by_cancelling(self, rig: Rig) -> None:
        spec = await rig.started()
        before = await rig.driver.look(spec.vm, rig.first)
        permit, order = rig.relocation(spec)
        await rig.driver.cancel(permit, ticket(permit, order))
        assert await rig.driver.look(spec.vm, rig.first) == before
        assert (await rig.driver.settle(ticket(permit, order))).verdict is Verdict.ABSENT

    @pytest.mark.parametrize("lost", ["source", "target"])
    async def test_a_move_lost_sight_of_ends_in_one_place(self, rig: Rig, lost: str) -> None:
        """Whatever is said of it, it is not that it never began."""
        spec = await rig.started(rig.at(rig.first, shared=False))
        permit, order = rig.relocation(spec, shared=False)
        host = rig.first if lost == "source" else rig.second
        async with closing(rig.slow()) as driver:
            async with moving(driver, permit, order) as task:
                await rig.cut(host)
            assert isinstance(task.exception(), Indeterminate | Rejected | None)
        await rig.mend(host)
        await self._in_one_place(rig, permit, order)

    async def _in_one_place(self, rig: Rig, permit: Permit, order: Relocate) -> None:
        """Once everybody answers, settling says where; what is left elsewhere can be cleared,
        as the saga would, and the guest was not started anew."""
        vm = order.spec.vm
        verdict = await settled(rig.driver, ticket(permit, order))
        assert verdict in (Verdict.DONE, Verdict.ABSENT, Verdict.FAILED)
        lives, left = order.source, order.target
        volume, gone = order.volume, order.spec.disk.volume
        if verdict is Verdict.DONE:
            lives, left, volume, gone = left, lives, gone, volume
        await rig.driver.clear(permitted(), Clear(vm, left, lives.host, gone))
        assert await rig.driver.look(vm, left.host) is None
        assert (await rig.volumes(left), await rig.volumes(lives)) == (set(), {volume})
        seen = await rig.driver.look(vm, lives.host)
        assert seen is not None
        assert (seen.state, seen.volumes) == (PowerState.ON, (volume,))
        await rig.power(order.spec, PowerRequest.SHUTDOWN, lives.host)
        assert rig.boots(vm) == 1


async def settled(driver: Driver, asked: Ticket) -> Verdict:
    """The verdict once it is known."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                verdict = (await driver.settle(asked)).verdict
            except (Indeterminate, Unreachable):
                continue
            except Fault as wrong:
                raise AssertionError("settling may only be unclear or blind") from wrong
            if verdict is not Verdict.RUNNING:
                return verdict
