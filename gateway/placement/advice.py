"""Advising: what would make a refused request fit, found off the event loop and in bounded time.

A refusal waits for its advice for a moment at most, and never fails for want of it. Equal
refusals wait for one piece of advice together.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import msgspec

from gateway.placement.decision_log import Subject, to_store
from gateway.placement.demand import demand_of
from gateway.placement.fleet_mirror import FleetMirror
from gateway.store import advice_inputs, vm_record
from gateway.store.capacity import decisions
from gateway.store.db.pool import Store, StoreError
from scheduler.advice.local_inventory import LocalInventory
from scheduler.advice.message import encode
from scheduler.decisions.decision import of_answer
from scheduler.fleet.hold_placement import Held
from scheduler.model.demand import Demand
from scheduler.model.placement import HostVerdict, Placement, Refusal
from scheduler.model.values import replace

_log = logging.getLogger(__name__)
WITHIN_S = 5.0
"""The first advice of a process waits for another one to start; later ones take milliseconds."""
Ask = Callable[[bytes], Awaitable[bytes]]
"""Answers a message of `scheduler.advice.message`, in another process; raises OSError."""
Rows = list[dict[str, Any]]
_ANYBODY = UUID(int=0)


class Adviser:
    """Advice on the refusals of a planner."""

    def __init__(
        self, store: Store, planner: FleetMirror, ask: Ask, fixed: frozenset[str] = frozenset()
    ) -> None:
        """`fixed` are the types of VMs that no hypervisor here moves."""
        self._store = store
        self._planner = planner
        self._ask = ask
        self._fixed = fixed
        self._running: dict[bytes, asyncio.Task[Rows]] = {}

    async def advise(self, refusal: Refusal) -> Rows:
        """Rows of advice on a refusal given at this very moment, smallest change first.

        Empty when there is none, or none in time.
        """
        return await self.advise_on(*self._planner.vicinity(refusal))

    async def advise_growth(self, demand: Demand, place: Held) -> Rows:
        """Advice on a VM that may not grow to this demand at its place; empty where by now it
        may."""
        try:
            await self._planner.catch_up_to_head()
        except StoreError as away:
            _log.warning("a refusal has no advice: %s", away)
            return []
        found = self._planner.growing(demand, place)
        rows = [] if found is None else await self.advise_on(*found)
        return [row for row in rows if not _shrinks_below(row, place)]

    async def advise_on(self, scene: LocalInventory, nearest: tuple[HostVerdict, ...]) -> Rows:
        """Advice on a refusal by what was around it when it was given."""
        if not nearest:
            return []
        if scene.demand.origin is None and scene.demand.only is None:
            # It lives nowhere, and whatever its name is, the advice is the same.
            scene = replace(scene, demand=replace(scene.demand, vm=_ANYBODY))
        # All of the rows and of the rules: what is equal here was refused at one moment.
        key = encode(scene, nearest)
        running = self._running.get(key)
        if running is None:
            running = asyncio.create_task(self._find(scene, nearest))
            self._running[key] = running
            running.add_done_callback(lambda _: self._running.pop(key, None))
        return await asyncio.shield(running)

    async def _find(self, scene: LocalInventory, nearest: tuple[HostVerdict, ...]) -> Rows:
        try:
            async with asyncio.timeout(WITHIN_S):
                async with self._store.read() as c:
                    residents = await advice_inputs.of_hosts(c, scene.hosts, self._fixed)
                    holds = await advice_inputs.holds(c, scene.hosts)
                    loads = await advice_inputs.loads(c)
                # How far relocations go is not anybody's to set while the service runs.
                known = replace(
                    scene.around, loads=loads, residents=residents, holds=holds, widens=False
                )
                message = encode(replace(scene, around=known), nearest)
                rows: Rows = msgspec.json.decode(await self._ask(message))
                return rows
        except (TimeoutError, StoreError, OSError) as trouble:
            _log.warning("a refusal has no advice: %s", trouble or "it was not found in time")
            return []


async def refuse_on_record(
    store: Store, planner: FleetMirror, subject: Subject, host: int, adviser: Adviser | None
) -> UUID | None:
    """Put on record why a VM cannot move to a host, with advice; None where by now it can."""
    async with store.read() as c:
        vm = await vm_record.load(c, subject.vm_id)
    demand = demand_of(vm, moving=True, only=frozenset({host}))
    question, answer = await planner.decide(demand)
    if isinstance(answer, Placement):
        return None
    advice = [] if adviser is None else await adviser.advise(answer)
    stored = replace(to_store(subject, of_answer(question, answer)), advice=advice)
    async with store.transaction() as c:
        await decisions.put_many(c, [stored])
    return stored.id


def _shrinks_below(row: dict[str, Any], place: Held) -> bool:
    """Whether the advice is no more than to stay as small as it is."""
    return any(
        change["kind"] == "SHRINK_DEMAND"
        and change["cpu"] <= place.cpu
        and change["ram_mib"] <= place.ram_mib
        for change in row["changes"]
    )
