"""The rulebook lists every hard rule once; a host will do exactly when none of them objects."""

from collections.abc import Callable

from scheduler.model.demand import Demand
from scheduler.model.inventory import Candidate
from scheduler.model.reason import Reason, ReasonCode
from scheduler.rules.aggregated_cpu import cluster_cpu, datacenter_cpu, rack_cpu
from scheduler.rules.aggregated_memory import cluster_memory, datacenter_memory, rack_memory
from scheduler.rules.aggregated_storage import cluster_storage, datacenter_storage, rack_storage
from scheduler.rules.anti_affinity import anti_affinity
from scheduler.rules.cpu import enough_cpu
from scheduler.rules.excluded_hosts import not_refused
from scheduler.rules.exclusion import exclusion
from scheduler.rules.has_datastore import some_datastore
from scheduler.rules.host_state import host_state
from scheduler.rules.hypervisor_type import hypervisor_type
from scheduler.rules.memory import enough_memory
from scheduler.rules.network import network
from scheduler.rules.not_same_host import another_host
from scheduler.rules.reachable import reachable
from scheduler.rules.requested_hosts import asked_for
from scheduler.rules.reservation import reserved, restricted
from scheduler.rules.same_datacenter import same_datacenter
from scheduler.rules.same_hypervisor import same_hypervisor
from scheduler.rules.same_rack import same_rack
from scheduler.rules.storage import enough_storage
from scheduler.rules.tier import tier

Rule = Callable[[Demand, Candidate], Reason | None]

RULES: tuple[Rule, ...] = (
    same_datacenter,
    asked_for,
    not_refused,
    another_host,
    same_rack,
    same_hypervisor,
    hypervisor_type,
    host_state,
    reachable,
    network,
    reserved,
    restricted,
    exclusion,
    anti_affinity,
    enough_cpu,
    enough_memory,
    some_datastore,
    tier,
    enough_storage,
    cluster_cpu,
    cluster_memory,
    cluster_storage,
    rack_cpu,
    rack_memory,
    rack_storage,
    datacenter_cpu,
    datacenter_memory,
    datacenter_storage,
)
"""All of them, in the order in which they are told."""

SELDOM: tuple[Rule, ...] = (hypervisor_type, host_state, reachable, network, reserved, restricted)
"""Those that look only at a host's state, reachability, type, networks and reservation."""

DISKS: tuple[Rule, ...] = (some_datastore, tier, enough_storage)
"""Those that look only at the datastores a host sees."""
AGGREGATED: tuple[Rule, ...] = (
    cluster_cpu,
    cluster_memory,
    cluster_storage,
    rack_cpu,
    rack_memory,
    rack_storage,
    datacenter_cpu,
    datacenter_memory,
    datacenter_storage,
)
"""Those that look only at the aggregated elements around a host."""


def objections(demand: Demand, at: Candidate) -> tuple[Reason, ...]:
    """Every reason against the host, in the order of the rules; empty when it will do."""
    found = [rule(demand, at) for rule in RULES]
    return tuple([reason for reason in found if reason is not None])


def first_lack(demand: Demand, at: Candidate) -> ReasonCode | None:
    """What the first rule that objects finds lacking; None when the host will do."""
    for rule in RULES:
        reason = rule(demand, at)
        if reason is not None:
            return reason.lack
    return None
