"""A cluster is everything a decision needs, at one moment, and one JSON file repeats it exactly."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from scheduler.fleet.fleet import Fleet
from scheduler.model.inventory import AggregateScope, Datastore, Host
from scheduler.model.limits import Limited, Rules, resolve
from scheduler.model.values import replace
from scheduler.model.version import VERSION
from scheduler.snapshot.defaults import completed
from scheduler.snapshot.json_values import from_json, to_json

FORMAT = 1
"""Of the file; a reader refuses what it does not know."""

NO_RULES = Rules()


@dataclass(frozen=True, slots=True)
class SnapshotVm:
    """A VM with its host and datastore: virtual CPUs, MiB, bytes.

    A `protected` one is not moved by anybody's plan; `on` is whether it runs.
    """

    vm: UUID
    name: str
    host: int
    datastore: int
    cpu: int
    ram_mib: int
    disk_bytes: int
    enterprise: int | None = None
    layer: int | None = None
    type: str = ""
    network: str | None = None
    tier: int | None = None
    protected: bool = False
    on: bool = True


@dataclass(frozen=True, slots=True)
class SnapshotHold:
    """Capacity booked ahead of a VM, until an instant (RFC 3339) or without end."""

    id: UUID
    host: int
    datastore: int
    cpu: int
    ram_mib: int
    disk_bytes: int
    enterprise: int | None = None
    layer: int | None = None
    until: str | None = None


@dataclass(frozen=True, slots=True)
class InventorySnapshot:
    """Rows with their limits and use, the rules behind the limits, and who is where.

    `position` is the feed's at that moment, `scheduler` the version of the decisions.
    """

    hosts: tuple[Host, ...]
    datastores: tuple[Datastore, ...] = ()
    scopes: tuple[AggregateScope, ...] = ()
    rules: Rules = NO_RULES
    residents: tuple[SnapshotVm, ...] = ()
    holds: tuple[SnapshotHold, ...] = ()
    position: int = 0
    scheduler: str = VERSION

    def under(self, rules: Rules) -> "InventorySnapshot":
        """The same places and VMs with the limits that other rules give."""
        limited = resolve(rules, self.hosts, self.datastores, self.scopes)
        return replace(
            self,
            hosts=limited.hosts,
            datastores=limited.datastores,
            scopes=limited.scopes,
            rules=rules,
        )


def to_mapping(cluster: InventorySnapshot) -> dict[str, Any]:
    """The cluster as JSON can hold it; the same cluster always becomes the same mapping."""
    mapping: dict[str, Any] = to_json(cluster)
    return {"format": FORMAT, **mapping}


def from_mapping(mapping: Mapping[str, Any]) -> InventorySnapshot:
    """The cluster in a file; ValueError names the place of what is wrong.

    What a person left out is filled in: ids and names by order, use by the sum of residents
    and holds, limits by the rules.
    """
    if mapping.get("format", FORMAT) != FORMAT:
        raise ValueError(f"$.format: this version reads format {FORMAT} only")
    whole = completed(mapping)
    cluster = from_json(whole.mapping, InventorySnapshot)
    limited = resolve(cluster.rules, cluster.hosts, cluster.datastores, cluster.scopes)
    return replace(
        cluster,
        hosts=_filled(cluster.hosts, limited.hosts, whole.open_hosts),
        datastores=_filled(cluster.datastores, limited.datastores, whole.open_datastores),
        scopes=cluster.scopes if whole.scopes_given else limited.scopes,
    )


def fleet(cluster: InventorySnapshot) -> Fleet:
    """A fleet that knows this cluster and nothing else."""
    known = Fleet()
    rows = Limited(cluster.hosts, cluster.datastores, cluster.scopes, cluster.rules.row()).rows
    for row in rows:
        known.apply(row)
    return known


def _filled(given: tuple[Any, ...], limited: tuple[Any, ...], missing: list[set[str]]) -> Any:
    """Each row as given, with the limits it was given without."""
    return tuple(
        replace(row, **{name: getattr(worked_out, name) for name in sorted(names)})
        for row, worked_out, names in zip(given, limited, missing, strict=True)
    )
