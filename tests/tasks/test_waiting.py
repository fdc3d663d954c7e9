"""A task that waits says what for and since when while it waits, and one WARN event tells it:
a hypervisor's question, lock or quota, and a host that does not answer (faults L10; K2 f)."""

from typing import Any

from drivers.contract import Outcome, Progress, Ticket, Verdict
from drivers.simulated.options import SimulatedOptions
from drivers.simulated.world import World
from gateway.lifecycle import Operation
from gateway.store.db.pool import Store
from gateway.tasks.ending import ways_out
from gateway.tasks.fault_policy import Limits
from tests.tasks.rig import CALLER, QUICK_LIMITS, ended, running, seed
from tests.tasks.waits import until

QUESTION = "Question: the disk is locked. Retry or abort?"
EVENTS = """select count(*) from feed where payload->>'action' = 'TASK_WAITS'
  and payload->>'severity' = 'WARN' and payload->>'message' like '%' || $1 || '%'"""
SHOWN = "select waiting_since is not null from task where id = $1 and waiting = $2"


class Asking:
    """A driver whose hypervisor asks a question while a VM is powered on."""

    def __init__(self, driver: Any, *, settling: bool) -> None:
        self._driver = driver
        self._settling = settling
        self.answered = not settling

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)

    async def progress(self, ticket: Ticket) -> Progress:
        """The question, with the call that began it."""
        detail = QUESTION if ticket.step == "power" and not self._settling else ""
        return Progress(None, detail)

    async def settle(self, ticket: Ticket) -> Outcome:
        """The question, to whoever looks; the call runs until it is answered."""
        if ticket.step == "power" and not self.answered:
            return Outcome(Verdict.RUNNING, reason=QUESTION)
        found: Outcome = await self._driver.settle(ticket)
        return found


async def test_a_question_during_a_call(store: Store) -> None:
    """As Progress.detail of the running call."""
    await seed(store)
    options = SimulatedOptions(boot_s=3.0)
    wrap = lambda driver: Asking(driver, settling=False)  # noqa: E731
    async with running(store, World(""), options=options, wrap=wrap) as rig:
        accepted = await rig.submit(1, Operation.DEPLOY)
        await until(store, SHOWN, accepted.task, QUESTION)
        await until(store, EVENTS, QUESTION)
        task = await ended(store, accepted.task)
        assert (task["result"], task["waiting"], task["waiting_since"]) == ("success", "", None)
        assert await until(store, EVENTS, QUESTION) == 1


async def test_a_question_seen_by_looking(store: Store) -> None:
    """As the reason of a RUNNING outcome; and such a task can be cancelled."""
    await seed(store)
    asking: list[Asking] = []

    def wrap(driver: Any) -> Asking:
        asking.append(Asking(driver, settling=True))
        return asking[0]

    limits = Limits(settle_for_s=20.0, poll_s=0.02, cancel_s=1.0)
    async with running(store, World(""), limits=limits, wrap=wrap) as rig:
        accepted = await rig.submit(1, Operation.DEPLOY)
        await until(store, SHOWN, accepted.task, QUESTION)
        await until(store, EVENTS, QUESTION)
        await ways_out.cancel(store, accepted.task, CALLER)
        await until(
            store,
            "select ends_by - cancel_at > interval '15 s' from task where id = $1",
            accepted.task,
        )
        asking[0].answered = True
        task = await ended(store, accepted.task, within_s=10)
        assert (task["result"], task["waiting"]) == ("cancelled", "")
        assert rig.driver.world.rows("select 1 from vm") == []


async def test_a_host_that_does_not_answer(store: Store) -> None:
    await seed(store)
    async with running(store, World(""), limits=QUICK_LIMITS) as rig:
        await rig.run(1, Operation.DEPLOY)
        rig.driver.world.unreachable("host-1")
        accepted = await rig.submit(1, Operation.UNDEPLOY)
        silent = "host-1 does not answer"
        await until(store, SHOWN, accepted.task, silent)
        await until(store, EVENTS, silent)
        rig.driver.world.reachable("host-1")
        task = await ended(store, accepted.task)
        assert (task["result"], task["waiting"]) == ("success", "")
        assert await until(store, EVENTS, silent) == 1
