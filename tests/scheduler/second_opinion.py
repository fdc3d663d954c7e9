"""A second opinion, by adding up what would be promised; it shares no code with the rules."""

from fractions import Fraction

from scheduler.demand import Demand, Reach
from scheduler.inventory import Datastore, Host, Scope
from scheduler.policy import FitPolicy
from tests.scheduler.places import World

Finding = tuple[str, str]
"""What is lacking, and where ("" for the host itself)."""
Numbers = tuple[int, int] | None
"""Wanted and spare, where the lack is an amount."""


def findings(world: World, demand: Demand, host: Host) -> dict[Finding, Numbers]:
    """Everything that speaks against the host."""
    found: dict[Finding, Numbers] = {}
    for lack in _words(demand, host):
        found[lack, ""] = None
    moving = demand.origin
    if moving is None or moving.host != host.id:
        _exceeds(found, ("CPU", ""), demand.cpu, host.cpu_used, host.cpu_limit)
        _exceeds(found, ("MEMORY", ""), demand.ram_mib, host.ram_used_mib, host.ram_limit_mib)
    _disks(found, world, demand, host)
    for scope in world.scopes:
        if (scope.kind, scope.id) in {("rack", host.rack), ("datacenter", host.datacenter)}:
            _sums(found, demand, scope)
    return found


def feasible(world: World, demand: Demand) -> list[Host]:
    """All hosts that nothing speaks against."""
    return [host for host in world.hosts if not findings(world, demand, host)]


def best(world: World, demand: Demand, policy: FitPolicy) -> Host | None:
    """The host the policy must choose."""
    sign = -1 if policy is FitPolicy.PROGRESSIVE else 1
    fitting = feasible(world, demand)
    return min(fitting, key=lambda host: (sign * use(host), host.id), default=None)


def use(host: Host) -> Fraction:
    """The exact share in use."""
    total = Fraction(0)
    for used, limit in (
        (host.cpu_used, host.cpu_limit),
        (host.ram_used_mib, host.ram_limit_mib),
    ):
        total += Fraction(used, limit) if limit else Fraction(1)
    return total


def disk_choices(world: World, demand: Demand, host: Host) -> list[Datastore]:
    """The datastores that may take the disks: the best ones only."""
    visible = [each for each in world.datastores if each.id in host.datastores and each.enabled]
    stay = [each for each in visible if _stays(demand, host, each)]
    if stay:
        return stay
    room = [each for each in visible if _takes(each, demand.disk_bytes)]
    most = max((each.limit_bytes - each.used_bytes for each in room), default=0)
    return [each for each in room if each.limit_bytes - each.used_bytes == most]


def _words(demand: Demand, host: Host) -> list[str]:
    asked = {
        "DATACENTER": host.datacenter != demand.datacenter,
        "NOT_ASKED": demand.only is not None and host.id not in demand.only,
        "HYPERVISOR_TYPE": host.type != demand.type,
        "HOST_STATE": host.state != "MANAGED",
        "UNREACHABLE": not host.reachable,
        "NETWORK": demand.network not in {None, *host.networks},
    }
    if demand.origin is not None:
        asked["SAME_HOST"] = demand.origin.host == host.id
        asked["SAME_HYPERVISOR"] = demand.origin.hypervisor != host.hypervisor
        near = demand.origin.reach == Reach.RACK
        asked["SAME_RACK"] = near and demand.origin.rack != host.rack
    return [lack for lack, true in asked.items() if true]


def _exceeds(
    found: dict[Finding, Numbers], finding: Finding, wanted: int, used: int, limit: int
) -> None:
    if wanted > 0 and used + wanted > limit:
        found[finding] = (wanted, limit - used)


def _disks(found: dict[Finding, Numbers], world: World, demand: Demand, host: Host) -> None:
    visible = [each for each in world.datastores if each.id in host.datastores and each.enabled]
    if not visible:
        found["NO_DATASTORE", ""] = None
    elif not disk_choices(world, demand, host):
        most = max(visible, key=lambda each: (each.limit_bytes - each.used_bytes, -each.id))
        finding = ("STORAGE", f"datastore {most.name}")
        found[finding] = (demand.disk_bytes, most.limit_bytes - most.used_bytes)


def _stays(demand: Demand, host: Host, datastore: Datastore) -> bool:
    origin = demand.origin
    return (
        origin is not None
        and origin.datastore == datastore.id
        and (origin.shared or origin.host == host.id)
    )


def _takes(datastore: Datastore, wanted: int) -> bool:
    return wanted == 0 or datastore.used_bytes + wanted <= datastore.limit_bytes


def _sums(found: dict[Finding, Numbers], demand: Demand, scope: Scope) -> None:
    if demand.origin is not None:
        inside = demand.origin.rack if scope.kind == "rack" else demand.datacenter
        if inside == scope.id:
            return
    where = f"{scope.kind} {scope.name}"
    for lack, wanted, used, limit in (
        ("AGGREGATED_CPU", demand.cpu, scope.cpu_used, scope.cpu_limit),
        ("AGGREGATED_MEMORY", demand.ram_mib, scope.ram_used_mib, scope.ram_limit_mib),
        ("AGGREGATED_STORAGE", demand.disk_bytes, scope.disk_used_bytes, scope.disk_limit_bytes),
    ):
        if limit is not None:
            _exceeds(found, (lack, where), wanted, used, limit)
