"""Advice where a whole cluster is at hand, as it is offline: nothing has to be fetched or sent."""

from scheduler.advice.advising import advise
from scheduler.advice.changes import Advice
from scheduler.advice.vicinity import vicinity
from scheduler.cluster import Cluster
from scheduler.demand import Reach
from scheduler.fit_policy import FitPolicy
from scheduler.fleet import Fleet
from scheduler.placement import Refusal
from scheduler.values import replace


def advice_in(
    cluster: Cluster, known: Fleet, refusal: Refusal, policy: FitPolicy, reach: Reach = Reach.RACK
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
