"""Right before each move the world is looked at once more; the first surprise ends the plan."""

from scheduler.fleet import Fleet
from scheduler.placement import Refusal
from scheduler.plan.moves import Move
from scheduler.plan.resident import Resident, Terms, relocation
from scheduler.policy import FitPolicy
from scheduler.reason import Lack

ELSEWHERE = "ELSEWHERE"
"""The VM is not on the host that the move takes it from."""
GONE = "GONE"
"""The target is not known any more."""
OTHER_DATASTORE = "OTHER_DATASTORE"
"""Its disks would go to another datastore than the plan said."""


def surprises(move: Move, fleet: Fleet, resident: Resident, terms: Terms) -> tuple[str, ...]:
    """Why the move is no longer the one that was planned; empty when it still is.

    The moves in its `after` must be made before this is asked.
    """
    if resident.vm != move.vm or resident.host != move.source:
        return (ELSEWHERE,)
    if resident.still is not None:
        return (resident.still,)
    host = fleet.host(resident.host)
    if host is None or not host.reachable:
        return (Lack.UNREACHABLE.value,)
    demand = relocation(resident, fleet, terms.reach, frozenset({move.target}))
    answer = fleet.place(demand, FitPolicy.PROGRESSIVE)
    if isinstance(answer, Refusal):
        asked = [each for each in answer.verdicts if each.host == move.target]
        lacks = [reason.lack.value for each in asked for reason in each.reasons]
        return tuple(lacks) or (GONE,)
    return () if answer.datastore == move.datastore else (OTHER_DATASTORE,)
