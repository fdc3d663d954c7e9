"""Draining takes every VM off one host: first it is closed, then the biggest VMs move first."""

from collections.abc import Iterable

from scheduler.fleet.fleet import Fleet
from scheduler.fleet.ranking import FitPolicy
from scheduler.model.arithmetic import WHOLE
from scheduler.model.inventory import Host, HostState
from scheduler.model.placement import Refusal
from scheduler.model.reason import ReasonCode
from scheduler.model.values import replace
from scheduler.plan.moves import Blocked, MoveCause, Plan
from scheduler.plan.rehearsal import Rehearsal
from scheduler.plan.resident import FIXED, STILL, MovableVm, Terms
from scheduler.plan.unmovable import blocked_by

GOAL = "drain"


def drain(
    id: int,
    fleet: Fleet,
    residents: Iterable[MovableVm],
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
        still = each.still if host.reachable else ReasonCode.UNREACHABLE.value
        if still is not None:
            blocked.append(
                Blocked(each.vm, id, (still,), each.fixed if still == FIXED else STILL[still])
            )
            continue
        answer = rehearsal.ask(each.vm, None, policy)
        if isinstance(answer, Refusal):
            blocked.append(blocked_by(each, answer))
        else:
            rehearsal.make(each.vm, answer, MoveCause.EMPTIES, WHOLE // len(here))
    return rehearsal.plan(GOAL, blocked, (id,))


def _biggest(resident: MovableVm, host: Host) -> tuple[int, str]:
    demand = resident.demand
    share = demand.cpu * host.ram_limit_mib + demand.ram_mib * host.cpu_limit
    return (-share, str(resident.vm))
