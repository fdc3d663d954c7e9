"""The limits of every row follow from the workload rules, here and nowhere else by another way.

The store works the same limits out in SQL; this is the definition, which it is compared with.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from scheduler.model.arithmetic import limit
from scheduler.model.fit_policy import FitPolicy
from scheduler.model.inventory import AggregateScope, Datastore, Host, RuleSet
from scheduler.model.values import replace


class LoadKind(StrEnum):
    """What a load rule limits."""

    COMPUTE = "machine_load"
    STORAGE = "datastore_load"


class Level(StrEnum):
    """What sort of element a load rule is about."""

    DATACENTER = "datacenter"
    RACK = "rack"
    CLUSTER = "cluster"
    HOST = "machine"
    TIER = "datastoretier"
    DATASTORE = "datastore"


@dataclass(frozen=True, slots=True)
class LoadRule:
    """How full an element may get, in percent of the physical amount; None is 100.

    An `aggregated` one limits the sum over the element's hosts instead of each of them.
    """

    id: int
    kind: LoadKind
    level: Level
    element: int
    cpu_percent: int | None = None
    ram_percent: int | None = None
    storage_percent: int | None = None
    aggregated: bool = False

    @property
    def name(self) -> str:
        """The rule as reasons and people name it."""
        if self.kind is LoadKind.STORAGE:
            return f"datastoreloadlevel {self.id} ({self.level}, {_of(self.storage_percent)} %)"
        what = f"{self.level} in all" if self.aggregated else self.level
        percents = f"CPU {_of(self.cpu_percent)} %, RAM {_of(self.ram_percent)} %"
        return f"machineLoadLevel {self.id} ({what}, {percents})"


@dataclass(frozen=True, slots=True)
class Rules:
    """All workload rules at one version.

    `policies` are fit policies by datacenter, 0 for all others; an exclusion is a pair of
    enterprises, the lower id first; `restricted` are those that use only hosts reserved to them.
    `enterprises` and `tiers` are names for people.
    """

    loads: tuple[LoadRule, ...] = ()
    policies: Mapping[int, FitPolicy] = field(default_factory=dict, hash=False)
    exclusions: frozenset[tuple[int, int]] = frozenset()
    restricted: frozenset[int] = frozenset()
    enterprises: Mapping[int, str] = field(default_factory=dict, hash=False)
    tiers: Mapping[int, str] = field(default_factory=dict, hash=False)
    version: int = 0

    def row(self) -> RuleSet:
        """What a fleet must know beyond the limits of the rows."""
        excluded: dict[int, set[int]] = {}
        for low, high in self.exclusions:
            excluded.setdefault(low, set()).add(high)
            excluded.setdefault(high, set()).add(low)
        return RuleSet(
            self.version,
            policies=self.policies,
            excluded={one: frozenset(others) for one, others in sorted(excluded.items())},
            restricted=self.restricted,
            enterprises=self.enterprises,
            tiers=self.tiers,
        )


@dataclass(frozen=True, slots=True)
class Limited:
    """Rows with their limits; generations are as they were."""

    hosts: tuple[Host, ...]
    datastores: tuple[Datastore, ...]
    scopes: tuple[AggregateScope, ...]
    rules: RuleSet

    @property
    def rows(self) -> tuple[Host | Datastore | AggregateScope | RuleSet, ...]:
        """Every row, for a fleet to apply."""
        return (*self.hosts, *self.datastores, *self.scopes, self.rules)


def resolve(
    rules: Rules,
    hosts: Sequence[Host],
    datastores: Sequence[Datastore],
    scopes: Iterable[AggregateScope] = (),
) -> Limited:
    """The rows with the limits that the rules give them, whatever limits they had.

    A host follows the rule of its cluster, else the most specific of machine, rack and
    datacenter; a datastore that of its own, its tier or its datacenter; without a rule the
    limit is the physical amount. Aggregated rules make the limits of scopes and no host's. Where
    one is about an element without a scope, there is one with the use of the element's hosts.
    """
    each, summed = _sorted(rules.loads)
    return Limited(
        tuple([_host(each, host) for host in hosts]),
        tuple([_datastore(each, datastore) for datastore in datastores]),
        _scopes(summed, hosts, scopes),
        rules.row(),
    )


Index = Mapping[tuple[LoadKind, Level, int], LoadRule]


def _sorted(loads: Iterable[LoadRule]) -> tuple[Index, Index]:
    """Rules by element: those for each host or datastore, and the aggregated ones."""
    each: dict[tuple[LoadKind, Level, int], LoadRule] = {}
    summed: dict[tuple[LoadKind, Level, int], LoadRule] = {}
    # One host alone has no sum: such a rule says nothing, and never becomes the host's own.
    for rule in sorted(loads, key=lambda one: -one.id):
        key = (rule.kind, rule.level, rule.element)
        if rule.kind is LoadKind.STORAGE or not rule.aggregated:
            each[key] = rule
        elif rule.level is not Level.HOST:
            summed[key] = rule
    return each, summed


def _host(each: Index, host: Host) -> Host:
    rule = _first(
        each,
        LoadKind.COMPUTE,
        (
            (Level.CLUSTER, host.cluster),
            (Level.HOST, host.id),
            (Level.RACK, host.rack),
            (Level.DATACENTER, host.datacenter),
        ),
    )
    return replace(
        host,
        cpu_limit=limit(host.cpus, _of(rule.cpu_percent if rule else None)),
        ram_limit_mib=limit(host.memory_mib, _of(rule.ram_percent if rule else None)),
        cpu_rule=rule.name if rule else "",
        ram_rule=rule.name if rule else "",
    )


def _datastore(each: Index, datastore: Datastore) -> Datastore:
    rule = _first(
        each,
        LoadKind.STORAGE,
        (
            (Level.DATASTORE, datastore.id),
            (Level.TIER, datastore.tier.id if datastore.tier else None),
            (Level.DATACENTER, datastore.datacenter),
        ),
    )
    percent = rule.storage_percent if rule else None
    return replace(
        datastore,
        limit_bytes=limit(datastore.capacity_bytes, _of(percent)),
        rule=rule.name if rule else "",
    )


def _first(
    each: Index, kind: LoadKind, elements: Iterable[tuple[Level, int | None]]
) -> LoadRule | None:
    for level, element in elements:
        if element is not None and (kind, level, element) in each:
            return each[kind, level, element]
    return None


def _scopes(
    summed: Index, hosts: Iterable[Host], scopes: Iterable[AggregateScope]
) -> tuple[AggregateScope, ...]:
    inside: dict[tuple[str, int], list[Host]] = {}
    for host in hosts:
        for element in _elements(host):
            inside.setdefault(element, []).append(host)
    known = {(scope.kind, scope.id): scope for scope in scopes}
    wanted = {(rule.level.value, rule.element) for rule in summed.values()}
    found = []
    for kind, id in sorted(known.keys() | wanted):
        within = inside.get((kind, id), [])
        rule = summed.get((LoadKind.COMPUTE, Level(kind), id))
        cpus = sum(host.cpus for host in within)
        memory_mib = sum(host.memory_mib for host in within)
        scope = replace(
            known.get((kind, id)) or _summed_up(kind, id, within),
            cpu_limit=limit(cpus, _of(rule.cpu_percent)) if rule else None,
            ram_limit_mib=limit(memory_mib, _of(rule.ram_percent)) if rule else None,
            rule=rule.name if rule else "",
        )
        found.append(scope)
    return tuple(found)


def _elements(host: Host) -> list[tuple[str, int]]:
    """What may have a sum that the host is part of."""
    found: list[tuple[str, int]] = [("rack", host.rack), ("datacenter", host.datacenter)]
    return found if host.cluster is None else [("cluster", host.cluster), *found]


def _summed_up(kind: str, id: int, inside: Sequence[Host]) -> AggregateScope:
    """A scope nobody kept; what a relocating VM holds twice counts twice."""
    names = {"cluster": "cluster_name", "rack": "rack_name"}
    return AggregateScope(
        kind=kind,
        id=id,
        name=getattr(inside[0], names[kind]) if inside and kind in names else "",
        cpu_limit=None,
        cpu_used=sum(host.cpu_used for host in inside),
        ram_limit_mib=None,
        ram_used_mib=sum(host.ram_used_mib for host in inside),
        disk_limit_bytes=None,
        disk_used_bytes=0,
        rule="",
        generation=1,
        character=1,
    )


def _of(percent: int | None) -> int:
    return 100 if percent is None else percent
