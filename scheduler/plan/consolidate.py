"""Consolidating empties hosts: as many as it can with the moves that the terms allow."""

from collections import Counter
from collections.abc import Iterable

from scheduler.fleet.fleet import Fleet
from scheduler.model.arithmetic import WHOLE
from scheduler.model.placement import Refusal
from scheduler.model.values import replace
from scheduler.plan.move_groups import Refused, circles, occupied
from scheduler.plan.move_order import Router
from scheduler.plan.moves import Blocked, MoveCause, Plan, PlannedMove
from scheduler.plan.packing import pack
from scheduler.plan.rehearsal import Rehearsal
from scheduler.plan.resident import MovableVm, Terms
from scheduler.plan.unmovable import blocked_by

GOAL = "consolidate"
TRIES_MAX = 4
"""The fleet may refuse what arithmetic found; then that is left out and all begins again."""


def consolidate(fleet: Fleet, residents: Iterable[MovableVm], terms: Terms) -> Plan:
    """Moves after which fewer hosts have VMs; none when that saves less than the terms ask."""
    known = tuple(residents)
    refused: Refused = set()
    for _ in range(TRIES_MAX):
        rehearsal = Rehearsal(fleet, known, terms)
        news, blocked = _rehearse(fleet, rehearsal, terms, refused)
        if not news:
            break
        refused |= news
    plan = rehearsal.plan(GOAL, blocked)
    if plan.hosts_before - plan.hosts_after < max(1, terms.saved_min):
        before = plan.hosts_before
        return Plan(GOAL, blocked=blocked, hosts_before=before, hosts_after=before)
    return replace(plan, moves=_valued(plan))


def _rehearse(
    fleet: Fleet, rehearsal: Rehearsal, terms: Terms, refused: Refused
) -> tuple[Refused, tuple[Blocked, ...]]:
    """Makes the moves of every circle: what the fleet refused, and which VMs it left behind."""
    news: Refused = set()
    blocked: list[Blocked] = []
    seen = 0
    for circle in circles(fleet, tuple(rehearsal.residents.values()), terms, refused, occupied):
        seen += circle.residents
        budget = seen * terms.moves_max_percent // 100 - len(rehearsal.moves)
        router = Router(rehearsal, circle, pack(circle.problem, budget).counts)
        for vm in router.run():
            answer = rehearsal.ask(vm, None)
            if isinstance(answer, Refusal):
                blocked.append(blocked_by(rehearsal.residents[vm], answer))
        news |= router.refused
    return news, tuple(blocked)


def _valued(plan: Plan) -> tuple[PlannedMove, ...]:
    """Each move off an emptied host gains its part of that host."""
    off = Counter(move.source for move in plan.moves)
    return tuple(
        replace(move, gain=WHOLE // off[move.source])
        if move.source in plan.empties and move.reason is MoveCause.EMPTIES
        else move
        for move in plan.moves
    )
