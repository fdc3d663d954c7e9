"""Draining takes every VM off one host: first it is closed, then the biggest VMs move first."""

from collections.abc import Iterable

from scheduler.capacity import WHOLE
from scheduler.fleet import Fleet
from scheduler.inventory import Host, HostState
from scheduler.placement import Refusal
from scheduler.plan.blocking import blocked_by
from scheduler.plan.moves import Blocked, Plan, Why
from scheduler.plan.rehearsal import Rehearsal
from scheduler.plan.resident import FIXED, STILL, Resident, Terms
from scheduler.policy import FitPolicy
from scheduler.reason import Lack
from scheduler.values import replace

GOAL = "drain"


def drain(
    id: int,
    fleet: Fleet,
    residents: Iterable[Resident],
    terms: Terms,
    policy: FitPolicy = FitPolicy.PROGRESSIVE,
) -> Plan:
    """Moves off the host to wherever the policy likes; LookupError when there is no such host."""
    host = fleet.host(id)
    if host is None:
        raise LookupError(f"no host {id}")
    rehearsal = Rehearsal(fleet, residents, terms)
    closed = replace(host, state=HostState.HALTED, generation=host.generation + 1)
    rehearsal.fleet.apply(closed)
    here = [each for each in rehearsal.residents.values() if each.host == id]
    blocked: list[Blocked] = []
    for each in sorted(here, key=lambda one: _biggest(one, host)):
        still = each.still if host.reachable else Lack.UNREACHABLE.value
        if still is not None:
            blocked.append(
                Blocked(each.vm, id, (still,), each.fixed if still == FIXED else STILL[still])
            )
            continue
        answer = rehearsal.ask(each.vm, None, policy)
        if isinstance(answer, Refusal):
            blocked.append(blocked_by(each, answer))
        else:
            rehearsal.make(each.vm, answer, Why.EMPTIES, WHOLE // len(here))
    return rehearsal.plan(GOAL, blocked, (id,))


def _biggest(resident: Resident, host: Host) -> tuple[int, str]:
    demand = resident.demand
    share = demand.cpu * host.ram_limit_mib + demand.ram_mib * host.cpu_limit
    return (-share, str(resident.vm))
