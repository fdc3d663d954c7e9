"""What a driver has kept with the ticket of a begun call is what a fresh process settles it by."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from drivers.contract import KEPT_MAX, Order, Outcome, Permit, Ticket, Verdict
from drivers.faults import Fault, Indeterminate
from drivers.simulated.driver import SimulatedDriver
from drivers.simulated.world import World
from gateway.lifecycle import Operation
from gateway.store.db.pool import Store
from tests.tasks.rig import Rig, ended, running, seed, vm_row

Act = Callable[[Permit], Awaitable[None]]


@dataclass
class Keeper:
    """A driver whose resets are named by a token, which alone tells how they end."""

    driver: SimulatedDriver
    act: Act
    answer: Verdict | Fault = Verdict.DONE
    begun: int = 0
    asked: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.driver, name)

    async def reset(self, permit: Permit, order: Order) -> None:
        self.begun += 1
        await self.act(permit)

    async def settle(self, ticket: Ticket) -> Outcome:
        if ticket.step != "reset":
            return await self.driver.settle(ticket)
        self.asked.append(ticket.kept)
        if isinstance(self.answer, Fault):
            raise self.answer
        return Outcome(self.answer, reason="the cloud says so")


async def reset(store: Store, act: Act, answer: Verdict | Fault) -> tuple[dict[str, Any], Keeper]:
    """The ended task of a reset, and the driver that made it."""
    await seed(store)
    made: list[Keeper] = []

    def wrap(driver: SimulatedDriver) -> Keeper:
        made.append(Keeper(driver, act, answer))
        return made[0]

    async with running(store, World(""), wrap=wrap) as rig:
        await rig.run(1, Operation.DEPLOY)
        return await rig.run(1, Operation.RESET), made[0]


async def kept_then_lost(permit: Permit) -> None:
    """The token is kept, again as the driver learns more, and then the line goes dead."""
    await permit.keep("first")
    await permit.keep("second")
    raise Indeterminate("the line went dead")


async def never_kept(permit: Permit) -> None:
    raise Indeterminate("the line went dead")


@pytest.mark.parametrize(
    ("answer", "result"), [(Verdict.DONE, "success"), (Verdict.FAILED, "failure")]
)
async def test_the_last_text_kept_is_asked_for(store: Store, answer: Verdict, result: str) -> None:
    """I1: a reset leaves no trace, and its token tells nevertheless what became of it."""
    task, keeper = await reset(store, kept_then_lost, answer)
    assert (task["result"], keeper.begun, keeper.asked) == (result, 1, ["second"])


@pytest.mark.parametrize("act", [kept_then_lost, never_kept])
async def test_where_nothing_tells_nobody_knows_and_nothing_is_repeated(
    store: Store, act: Act
) -> None:
    """A token of which nothing is known any more is worth as much as none."""
    task, keeper = await reset(store, act, Indeterminate("the operation is not known any more"))
    assert (task["result"], keeper.begun) == ("failure", 1)
    assert "Indeterminate" in task["error"]


async def too_long(permit: Permit) -> None:
    await permit.keep("é" * (KEPT_MAX // 2 + 1))


async def test_what_is_too_long_is_not_kept(store: Store) -> None:
    """It is a bug of the driver, of which nobody knows what it did."""
    task, keeper = await reset(store, too_long, Verdict.DONE)
    assert (task["result"], keeper.begun, keeper.asked) == ("failure", 1, [])


async def test_a_fresh_process_settles_by_what_was_kept(store: Store) -> None:
    """The call was accepted, its token kept, and the process died while it waited."""
    await seed(store)
    kept = asyncio.Event()

    async def waits(permit: Permit) -> None:
        await permit.keep("token")
        kept.set()
        await asyncio.Event().wait()

    world = World("")
    async with running(store, world, wrap=lambda driver: Keeper(driver, waits)) as rig:
        await rig.run(1, Operation.DEPLOY)
        accepted = await rig.submit(1, Operation.RESET)
        await kept.wait()
        await die(rig)
        fresh: list[Keeper] = []

        def wrap(driver: SimulatedDriver) -> Keeper:
            fresh.append(Keeper(driver, never_kept))
            return fresh[0]

        async with running(store, world, wrap=wrap):
            task = await ended(store, accepted.task)
    assert (task["result"], fresh[0].begun, fresh[0].asked) == ("success", 0, ["token"])
    assert (await vm_row(store, 1))["state"] == "ON"


async def die(rig: Rig) -> None:
    """Claim no more, and stop working on what is held and renewing it, as if killed."""
    rig.worker._draining = True
    for held in rig.worker._held.values():
        held.lease.lose()
        held.run.cancel()
    async with rig.store.transaction() as c:
        await c.execute("update task set lease_until = clock_timestamp() where state = 'running'")
