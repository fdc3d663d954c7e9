"""An observer surveys one endpoint and records what it saw, unless the record moved on since.

Seen: that is the state, and the host. Not listed, or its host not seen for too long: UNKNOWN, with
the last known state kept. Nothing here ever calls a verb of a driver.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from drivers.facts import Facts
from drivers.faults import Fault
from gateway.reconcile import cross_endpoint
from gateway.reconcile.guarded import GuardedDriver
from gateway.reconcile.survey_record import SurveyResult, record_places, record_silence, record_vms
from gateway.store import objections, observations
from gateway.store.db.pool import Store, StoreError
from gateway.store.observations import RecordedVm

_log = logging.getLogger(__name__)
TURNS = 4


@dataclass(frozen=True, slots=True)
class SurveyIntervals:
    """How often to survey, and how long silence may last; seconds."""

    period_s: float = 10.0
    unknown_after_s: float = 30.0
    lease_s: float = 15.0
    spacing_s: float = 0.5


@dataclass(frozen=True, slots=True)
class ObservedEndpoint:
    """One endpoint of one driver, and the process that observes it.

    `turns` bounds how many observers of the process use the store at once: a thousand first
    rounds must not keep requests waiting for a session.
    """

    hypervisor: str
    name: str
    owner: str
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(TURNS))


class Observer:
    """Runs until cancelled; `poke` has it look soon."""

    def __init__(
        self,
        store: Store,
        driver: GuardedDriver,
        at: ObservedEndpoint,
        rounds: SurveyIntervals,
        committed: Callable[[], None],
    ) -> None:
        self._store = store
        self._driver = driver
        self._at = at
        self._rounds = rounds
        self._committed = committed
        self._poked = asyncio.Event()
        self._silent_since_s: dict[str, float] = {}
        self._objections = True  # there may be some on record

    def poke(self) -> None:
        """Something changed there."""
        self._poked.set()

    async def run(self) -> None:
        """One round at once, then one each period or soon after a poke."""
        while True:
            self._poked.clear()
            try:
                await self.round()
            except StoreError as away:
                _log.warning("endpoint %s: the store is away: %s", self._at.name, away)
            await asyncio.sleep(self._rounds.spacing_s)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause_s()):
                    await self._poked.wait()

    def _pause_s(self) -> float:
        """Sooner again while silent, so that a short silence is seen to end."""
        period = self._rounds.period_s
        return min(period, self._rounds.unknown_after_s / 4) if self._silent_since_s else period

    async def round(self) -> None:
        """Survey once and record, if the endpoint is ours to observe."""
        at = self._at
        async with self._at.turns, self._store.transaction() as c:
            epoch = await observations.hold(
                c, at.hypervisor, at.name, at.owner, self._rounds.lease_s
            )
        if epoch is None:
            self._silent_since_s.clear()
            self._objections = True
            return
        hosts = self._driver.endpoints().get(at.name, ())
        async with self._at.turns, self._store.read() as c:
            before = await observations.believed(c, at.hypervisor, hosts)
        answer = await self._survey()
        facts = answer if isinstance(answer, Facts) else None
        why = answer if isinstance(answer, str) else f"{at.name} does not list it"
        seen = {host.name for host in facts.hosts} if facts is not None else set()
        look = await self._look(facts, before, hosts)
        silent = [host for host in hosts if host not in seen]
        past = self._past(silent)
        found = {vm.id for vm in look.before}
        lost = [vm for vm in before if vm.host in past and vm.id not in found]
        look = replace(look, before=[*look.before, *lost])
        async with self._at.turns, self._store.transaction() as c:
            if not await observations.fence(c, at.hypervisor, at.name, epoch):
                return
            changed, moves = await record_vms(c, look)
            if facts is not None:
                changed = await record_places(c, at.hypervisor, facts, moves) or changed
                if self._objections or any(vm.fixed or vm.kept for vm in facts.vms):
                    self._objections = await objections.write(c, at.hypervisor, facts.vms)
            if silent:
                changed = await record_silence(c, at.hypervisor, silent, why) or changed
        if changed:
            self._committed()

    async def _look(
        self, facts: Facts | None, before: Sequence[RecordedVm], hosts: Sequence[str]
    ) -> SurveyResult:
        """What a list, and looks beyond it, tell of VMs."""
        at = self._at
        if facts is None:
            return SurveyResult(at.hypervisor, at.owner, datetime.now(UTC))
        here = cross_endpoint.EndpointScope(self._driver, at.hypervisor, frozenset(hosts))
        async with at.turns:
            strayed = await cross_endpoint.misplaced_vms(self._store, here, facts)
        sure, seen = await cross_endpoint.confirm_locations(here, facts, before, strayed)
        listed = {host.name for host in facts.hosts}
        known = [vm for vm in sure if vm.host in listed or vm.uuid in seen]
        return SurveyResult(at.hypervisor, at.owner, facts.taken_at, known, seen)

    async def _survey(self) -> Facts | str:
        """What is there, or why nobody says so."""
        try:
            async with asyncio.timeout(self._rounds.unknown_after_s):
                facts = await self._driver.survey(self._at.name)
        except (Fault, TimeoutError) as silent:
            _log.info("endpoint %s does not answer: %s", self._at.name, silent)
            return str(silent) or f"no answer within {self._rounds.unknown_after_s:g} s"
        if facts.endpoint != self._at.name:
            _log.error("endpoint %s got the listing of %s", self._at.name, facts.endpoint)
            return f"the driver listed {facts.endpoint} instead"
        return facts

    def _past(self, silent: Sequence[str]) -> set[str]:
        """Count our own rounds of silence; the hosts silent for longer than the window."""
        now_s = time.monotonic()
        since = {host: self._silent_since_s.get(host, now_s) for host in silent}
        self._silent_since_s = since
        window_s = self._rounds.unknown_after_s
        return {host for host, at_s in since.items() if now_s - at_s >= window_s}
