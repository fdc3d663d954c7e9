"""Raising a load rule changes the limits of all that it is in force for."""

from scheduler.advice.changes import LOAD_PERCENT_MAX, STORAGE_PERCENT_MAX, AdviceStep, RaiseRule
from scheduler.advice.local_inventory import LocalInventory, Total
from scheduler.model.arithmetic import limit
from scheduler.model.inventory import AggregateScope, Datastore, Host
from scheduler.model.limits import Level, LoadKind, LoadRule
from scheduler.model.values import replace

WIDER = (Level.RACK, Level.DATACENTER, Level.TIER)
"""A rule of these levels yields to one of the element itself; a cluster's does not."""


def raised(scene: LocalInventory, change: RaiseRule) -> LocalInventory:
    """The scene with the percentages raised, or with the new rule."""
    rule = next((each for each in scene.around.loads if each.id == change.rule), None)
    if change.level in (Level.DATASTORE, Level.TIER) or change.storage is not None:
        stores = {
            id: _store(row, change) if _governs(rule, row.rule, change, id) else row
            for id, row in scene.datastores.items()
        }
        return replace(scene, datastores=stores)
    if change.aggregated:
        key = (change.level.value, change.element)
        totals = scene.total(*key)
        assert totals is not None
        scope = _scope(scene.scopes[key], totals, change)
        return replace(scene, scopes={**scene.scopes, key: scope})
    hosts = {
        id: _host(row, change) if _governs(rule, row.cpu_rule, change, id) else row
        for id, row in scene.hosts.items()
    }
    return replace(scene, hosts=hosts)


def for_host(scene: LocalInventory, host: Host, cpu: int, ram_mib: int) -> list[RaiseRule]:
    """The rules to raise so that the host's limits are at least these (virtual CPUs, MiB).

    Narrowest first; none where no percentage does, or the limits follow another rule than is
    known.
    """
    rule = _named(scene, host.cpu_rule)
    if host.cpu_rule != host.ram_rule or (host.cpu_rule and rule is None):
        return []
    before = _percents(rule)
    if (limit(host.cpus, before[0]), limit(host.memory_mib, before[1])) != (
        host.cpu_limit,
        host.ram_limit_mib,
    ):
        return []
    after = (
        before[0] if cpu <= host.cpu_limit else enough(cpu, host.cpus),
        before[1] if ram_mib <= host.ram_limit_mib else enough(ram_mib, host.memory_mib),
    )
    if max(after) > LOAD_PERCENT_MAX:
        return []
    steps = (AdviceStep(before[0], after[0]), AdviceStep(before[1], after[1]))
    found = []
    if (rule is None or rule.level in WIDER) and not _has_own(scene, host):
        found.append(RaiseRule(None, Level.HOST, host.id, host.name, *steps))
    if rule is not None:
        found.append(_raise(rule, *steps))
    return found


def for_datastore(scene: LocalInventory, store: Datastore, wanted: int) -> list[RaiseRule]:
    """The same for the bytes of a datastore."""
    rule = _named(scene, store.rule)
    before = 100 if rule is None or rule.storage_percent is None else rule.storage_percent
    after = enough(wanted, store.capacity_bytes)
    known = rule is not None and limit(store.capacity_bytes, before) == store.limit_bytes
    if rule is None or not known or after > STORAGE_PERCENT_MAX:
        return []
    step = AdviceStep(before, after)
    found = [_raise(rule, storage=step)]
    if rule.level in WIDER:
        own = RaiseRule(None, Level.DATASTORE, store.id, store.name, storage=step)
        found.insert(0, own)
    return found


def for_scope(
    scene: LocalInventory, scope: AggregateScope, cpu: int, ram_mib: int
) -> list[RaiseRule]:
    """The same for the sums of an aggregated element."""
    rule = _named(scene, scope.rule)
    totals = scene.total(scope.kind, scope.id)
    if rule is None or totals is None:
        return []
    before = _percents(rule)
    limits = (limit(totals.cpus, before[0]), limit(totals.memory_mib, before[1]))
    if limits != (scope.cpu_limit, scope.ram_limit_mib):
        return []
    after = (
        before[0] if cpu <= limits[0] else enough(cpu, totals.cpus),
        before[1] if ram_mib <= limits[1] else enough(ram_mib, totals.memory_mib),
    )
    if max(after) > LOAD_PERCENT_MAX:
        return []
    return [_raise(rule, AdviceStep(before[0], after[0]), AdviceStep(before[1], after[1]))]


def enough(wanted: int, physical: int) -> int:
    """The smallest whole percentage of the physical amount that is so much."""
    if physical <= 0:
        return LOAD_PERCENT_MAX + 1
    return -(-wanted * 100 // physical)


def _has_own(scene: LocalInventory, host: Host) -> bool:
    """Whether a rule about this host alone exists that is not in force: an aggregated one."""
    own = (Level.HOST, host.id)
    return any((each.level, each.element) == own for each in scene.around.loads)


def _named(scene: LocalInventory, name: str) -> LoadRule | None:
    return next((each for each in scene.around.loads if each.name == name), None)


def _percents(rule: LoadRule | None) -> tuple[int, int]:
    cpu = None if rule is None else rule.cpu_percent
    ram = None if rule is None else rule.ram_percent
    return 100 if cpu is None else cpu, 100 if ram is None else ram


def _raise(
    rule: LoadRule,
    cpu: AdviceStep | None = None,
    ram: AdviceStep | None = None,
    storage: AdviceStep | None = None,
) -> RaiseRule:
    """The rule with the percentages that grow."""
    parts = (cpu, ram, storage)
    grown = [None if step is None or step.before == step.after else step for step in parts]
    summed = rule.aggregated and rule.kind is LoadKind.COMPUTE
    return RaiseRule(
        rule.id, rule.level, rule.element, rule.name, grown[0], grown[1], grown[2], summed
    )


def _governs(rule: LoadRule | None, in_force: str, change: RaiseRule, id: int) -> bool:
    """Whether the limit of a row follows the change."""
    return id == change.element if rule is None else rule.name == in_force


def _host(host: Host, change: RaiseRule) -> Host:
    cpu, ram = change.cpu, change.ram
    return replace(
        host,
        cpu_limit=host.cpu_limit if cpu is None else limit(host.cpus, cpu.after),
        ram_limit_mib=host.ram_limit_mib if ram is None else limit(host.memory_mib, ram.after),
    )


def _store(store: Datastore, change: RaiseRule) -> Datastore:
    assert change.storage is not None
    return replace(store, limit_bytes=limit(store.capacity_bytes, change.storage.after))


def _scope(scope: AggregateScope, totals: Total, change: RaiseRule) -> AggregateScope:
    cpu, ram = change.cpu, change.ram
    return replace(
        scope,
        cpu_limit=scope.cpu_limit if cpu is None else limit(totals.cpus, cpu.after),
        ram_limit_mib=scope.ram_limit_mib if ram is None else limit(totals.memory_mib, ram.after),
    )
