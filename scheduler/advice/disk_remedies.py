"""Disk remedies: what would make some datastore of a host take the disks."""

from scheduler.advice import raise_limits
from scheduler.advice.changes import (
    AddCapacity,
    AttachDatastore,
    Change,
    EnableDatastore,
    LeaveTier,
    OpenTier,
)
from scheduler.advice.local_inventory import LocalInventory
from scheduler.model.arithmetic import fits
from scheduler.model.datastore_choice import tier_allows
from scheduler.model.inventory import Candidate, Datastore
from scheduler.model.own_bookings import disk_added
from scheduler.model.values import replace

ATTACHED_MAX = 2
"""Shared datastores considered that the host does not see."""


def for_disks(scene: LocalInventory, at: Candidate) -> list[tuple[Change, ...]]:
    """Ways to a datastore that takes the disks, those of the fewest changes first."""
    ways = [way for store in at.datastores for way in _through(scene, at, store)]
    ways += _elsewhere(scene, at)
    ways.sort(key=len)
    return ways


def _through(scene: LocalInventory, at: Candidate, store: Datastore) -> list[tuple[Change, ...]]:
    """Everything that this datastore needs."""
    changes: list[Change] = []
    demand, tier = scene.demand, store.tier
    if not store.enabled:
        changes.append(EnableDatastore(store.id, store.name))
    if demand.tier is not None and (tier is None or tier.id != demand.tier):
        changes.append(LeaveTier(demand.tier))
        demand = replace(demand, tier=None)
    if tier is not None and not tier_allows(demand, store):
        changes.append(OpenTier(tier.id, tier.name, demand.enterprise))
    wanted = disk_added(demand, at.host, store)
    if fits(store.limit_bytes, store.used_bytes, wanted):
        return [tuple(changes)]
    needed = store.used_bytes + wanted
    short = needed - store.limit_bytes
    more: list[Change] = list(raise_limits.for_datastore(scene, store, needed))
    more.append(AddCapacity("datastore", store.id, store.name, disk_bytes=short))
    return [(*changes, each) for each in more]


def _elsewhere(scene: LocalInventory, at: Candidate) -> list[tuple[Change, ...]]:
    """Shared datastores of the datacenter that take the disks and the host does not see."""
    found = [
        store
        for store in scene.datastores.values()
        if store.shared
        and store.id not in at.host.datastores
        and store.datacenter == at.host.datacenter
        and store.enabled
        and tier_allows(scene.demand, store)
        and fits(store.limit_bytes, store.used_bytes, scene.demand.disk_bytes)
    ]
    found.sort(key=lambda each: (each.used_bytes - each.limit_bytes, each.id))
    host = at.host
    return [
        (AttachDatastore(host.id, host.name, each.id, each.name),) for each in found[:ATTACHED_MAX]
    ]
