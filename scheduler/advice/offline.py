"""Advice where a whole cluster is at hand, as it is offline: nothing has to be fetched or sent."""

from scheduler.advice.changes import Advice
from scheduler.advice.nearby_hosts import vicinity
from scheduler.advice.search import advise
from scheduler.fleet.fleet import Fleet
from scheduler.model.demand import RelocationScope
from scheduler.model.fit_policy import FitPolicy
from scheduler.model.placement import Refusal
from scheduler.model.values import replace
from scheduler.snapshot.snapshot import InventorySnapshot


def advice_in(
    cluster: InventorySnapshot,
    known: Fleet,
    refusal: Refusal,
    policy: FitPolicy,
    reach: RelocationScope = RelocationScope.RACK,
) -> tuple[Advice, ...]:
    """What would make the refused demand fit into the cluster, whose fleet is `known`."""
    scene, misses = vicinity(known, refusal, policy, reach)
    around = replace(
        scene.around,
        loads=cluster.rules.loads,
        residents=cluster.residents,
        holds=cluster.holds,
    )
    return advise(replace(scene, around=around), misses)
