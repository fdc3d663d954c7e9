"""A second opinion, by adding up what would be promised; it shares no code with the rules."""

from fractions import Fraction

from scheduler.fleet.ranking import FitPolicy
from scheduler.model.demand import Demand, RelocationScope
from scheduler.model.inventory import AggregateScope, Datastore, Host
from tests.scheduler.places import World

Finding = tuple[str, str]
"""What is lacking, and where ("" for the host itself)."""
Numbers = tuple[int, int] | None
"""Wanted and spare, where the lack is an amount."""


def findings(world: World, demand: Demand, host: Host) -> dict[Finding, Numbers]:
    """Everything that speaks against the host."""
    found: dict[Finding, Numbers] = {}
    for lack in (*_words(demand, host), *_apart(world, demand, host)):
        found[lack, ""] = None
    moving = demand.origin
    if moving is None or moving.host != host.id:
        _exceeds(found, ("CPU", ""), demand.cpu, host.cpu_used, host.cpu_limit)
        _exceeds(found, ("MEMORY", ""), demand.ram_mib, host.ram_used_mib, host.ram_limit_mib)
    _disks(found, world, demand, host)
    for scope in world.scopes:
        if scope.id == _element(scope.kind, host.cluster, host.rack, host.datacenter):
            _sums(found, demand, scope)
    return found


def feasible(world: World, demand: Demand) -> list[Host]:
    """All hosts that nothing speaks against."""
    return [host for host in world.hosts if not findings(world, demand, host)]


def best(world: World, demand: Demand, policy: FitPolicy) -> Host | None:
    """The host the policy must choose."""
    fitting = feasible(world, demand)
    if policy is FitPolicy.PACKING:
        every = [host for host in world.hosts if host.datacenter == demand.datacenter]
        unused = {host.id for host in every if use(host) == 0}
        kept = unused if 10 * (len(unused) - 1) < len(every) else set()
        order = [((host.id in kept), loss(host, demand), host.id) for host in fitting]
        return next((host for host in fitting if host.id == min(order)[2]), None)
    sign = 1 if policy is FitPolicy.PERFORMANCE else -1
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


def loss(host: Host, demand: Demand) -> int:
    """What the host could do less with the demand on it, and a tenth of what it still could."""
    before, after = 0, 0
    for mib in (7 * 256, 7 * 512, 7 * 1024):
        cpus = Fraction(host.ram_limit_mib, mib)
        whole = min(Fraction(host.cpu_limit), cpus) or Fraction(1, mib)
        for demanded in (False, True):
            cpu = host.cpu_used + demand.cpu * demanded
            ram = host.ram_used_mib + demand.ram_mib * demanded
            left = min(Fraction(host.cpu_limit - cpu), Fraction(host.ram_limit_mib - ram, mib))
            part = int(max(left, Fraction(0)) / whole * 2**20)
            before, after = (before, after + part) if demanded else (before + part, after)
    return 10 * (before - after) + after


def disk_choices(world: World, demand: Demand, host: Host) -> list[Datastore]:
    """The datastores that may take the disks: the best ones only, the first of them to be taken."""
    open_to = [each for each in _visible(world, host) if _admits(demand, each)]
    stay = [each for each in open_to if _stays(demand, host, each)]
    if stay:
        return stay
    room = sorted(
        [each for each in open_to if _takes(each, demand.disk_bytes)],
        key=lambda each: (each.used_bytes - each.limit_bytes, each.id),
    )
    if not room:
        return []
    first = room[0]
    if first.tier is not None and first.tier.progressive:
        room = [each for each in room if each.tier is not None and each.tier.id == first.tier.id]
        first = room[-1]
    left = first.limit_bytes - first.used_bytes
    return [each for each in room if each.limit_bytes - each.used_bytes == left]


def _words(demand: Demand, host: Host) -> list[str]:
    asked = {
        "DATACENTER": host.datacenter != demand.datacenter,
        "NOT_ASKED": demand.only is not None and host.id not in demand.only,
        "REFUSED": host.id in dict(demand.refused),
        "HYPERVISOR_TYPE": host.type != demand.type,
        "HOST_STATE": host.state != "MANAGED",
        "UNREACHABLE": not host.reachable,
        "NETWORK": demand.network not in {None, *host.networks},
    }
    if demand.origin is not None:
        asked["SAME_HOST"] = demand.origin.host == host.id
        asked["SAME_HYPERVISOR"] = demand.origin.hypervisor != host.hypervisor
        near = demand.origin.reach == RelocationScope.RACK
        asked["SAME_RACK"] = near and demand.origin.rack != host.rack
    return [lack for lack, true in asked.items() if true]


def _apart(world: World, demand: Demand, host: Host) -> list[str]:
    """What keeps enterprises and layers apart."""
    rules, ours, found = world.rules, demand.enterprise, []
    if host.reserved_for is not None and host.reserved_for != ours:
        found.append("RESERVED")
    if ours in rules.restricted and host.reserved_for != ours:
        found.append("RESTRICTED")
    if any(each in host.enterprises for each in rules.excluded.get(ours or 0, ())):
        found.append("EXCLUDED")
    if demand.layer is not None and demand.layer in host.layers:
        found.append("LAYER")
    return found


def _inside(demand: Demand, kind: str) -> int | None:
    """The element of a kind that the VM counts in already."""
    if demand.origin is None:
        return None
    return _element(kind, demand.origin.cluster, demand.origin.rack, demand.datacenter)


def _element(kind: str, cluster: int | None, rack: int, datacenter: int) -> int | None:
    """The element of a kind that something is in."""
    return {"cluster": cluster, "rack": rack, "datacenter": datacenter}[kind]


def _exceeds(
    found: dict[Finding, Numbers], finding: Finding, wanted: int, used: int, limit: int
) -> None:
    if wanted > 0 and used + wanted > limit:
        found[finding] = (wanted, limit - used)


def _disks(found: dict[Finding, Numbers], world: World, demand: Demand, host: Host) -> None:
    visible = _visible(world, host)
    open_to = [each for each in visible if _admits(demand, each)]
    if not visible:
        found["NO_DATASTORE", ""] = None
    elif not open_to:
        found["TIER", ""] = None
    elif not disk_choices(world, demand, host):
        most = max(open_to, key=lambda each: (each.limit_bytes - each.used_bytes, -each.id))
        finding = ("STORAGE", f"datastore {most.name}")
        found[finding] = (demand.disk_bytes, most.limit_bytes - most.used_bytes)


def _visible(world: World, host: Host) -> list[Datastore]:
    return [each for each in world.datastores if each.id in host.datastores and each.enabled]


def _admits(demand: Demand, datastore: Datastore) -> bool:
    tier = datastore.tier
    if tier is None or not tier.enabled:
        return tier is None and demand.tier is None
    if tier.enterprises is not None and demand.enterprise not in tier.enterprises:
        return False
    return demand.tier is None or demand.tier == tier.id


def _stays(demand: Demand, host: Host, datastore: Datastore) -> bool:
    origin = demand.origin
    return (
        origin is not None
        and origin.datastore == datastore.id
        and (origin.shared or origin.host == host.id)
    )


def _takes(datastore: Datastore, wanted: int) -> bool:
    return wanted == 0 or datastore.used_bytes + wanted <= datastore.limit_bytes


def _sums(found: dict[Finding, Numbers], demand: Demand, scope: AggregateScope) -> None:
    if scope.id == _inside(demand, scope.kind):
        return
    where = f"{scope.kind} {scope.name}"
    for lack, wanted, used, limit in (
        ("AGGREGATED_CPU", demand.cpu, scope.cpu_used, scope.cpu_limit),
        ("AGGREGATED_MEMORY", demand.ram_mib, scope.ram_used_mib, scope.ram_limit_mib),
        ("AGGREGATED_STORAGE", demand.disk_bytes, scope.disk_used_bytes, scope.disk_limit_bytes),
    ):
        if limit is not None:
            _exceeds(found, (lack, where), wanted, used, limit)
