"""Consolidating empties hosts: as many as it can with the moves that the terms allow."""

from collections import Counter
from collections.abc import Iterable

from scheduler.capacity import WHOLE
from scheduler.fleet import Fleet
from scheduler.placement import Refusal
from scheduler.plan.blocking import blocked_by
from scheduler.plan.circles import Refused, circles, occupied
from scheduler.plan.moves import Blocked, Move, Plan, Why
from scheduler.plan.packing import pack
from scheduler.plan.rehearsal import Rehearsal
from scheduler.plan.resident import Resident, Terms
from scheduler.plan.routing import Router
from scheduler.values import replace

GOAL = "consolidate"
TRIES_MAX = 4
"""The fleet may refuse what arithmetic found; then that is left out and all begins again."""


def consolidate(fleet: Fleet, residents: Iterable[Resident], terms: Terms) -> Plan:
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


def _valued(plan: Plan) -> tuple[Move, ...]:
    """Each move off an emptied host gains its part of that host."""
    off = Counter(move.source for move in plan.moves)
    return tuple(
        replace(move, gain=WHOLE // off[move.source])
        if move.source in plan.empties and move.reason is Why.EMPTIES
        else move
        for move in plan.moves
    )
