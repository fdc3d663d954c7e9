"""Right before each move the world is looked at once more; the first surprise ends the plan."""

from scheduler.fleet.fleet import Fleet
from scheduler.fleet.ranking import FitPolicy
from scheduler.model.placement import Refusal
from scheduler.model.reason import ReasonCode
from scheduler.plan.moves import PlannedMove
from scheduler.plan.resident import MovableVm, Terms, relocation
from scheduler.rule_registry import objections

ELSEWHERE = "ELSEWHERE"
"""The VM is not on the host that the move takes it from."""
GONE = "GONE"
"""The target is not known any more."""
OTHER_DATASTORE = "OTHER_DATASTORE"
"""Its disks would go to another datastore than the plan said."""


def surprises(
    move: PlannedMove, fleet: Fleet, resident: MovableVm, terms: Terms
) -> tuple[str, ...]:
    """Why the move is no longer the one that was planned; empty when it still is.

    The moves in its `after` must be made before this is asked.
    """
    if resident.vm != move.vm or resident.host != move.source:
        return (ELSEWHERE,)
    if resident.still is not None:
        return (resident.still,)
    host = fleet.host(resident.host)
    if host is None or not host.reachable:
        return (ReasonCode.UNREACHABLE.value,)
    if fleet.host(move.target) is None:
        return (GONE,)
    demand = relocation(resident, fleet, terms.reach, frozenset({move.target}))
    answer = fleet.place(demand, FitPolicy.PROGRESSIVE)
    if isinstance(answer, Refusal):
        return tuple(each.lack.value for each in objections(demand, fleet.candidate(move.target)))
    return () if answer.datastore == move.datastore else (OTHER_DATASTORE,)
