"""In a cluster's file one name means one thing: what is there twice is refused with both places.

Otherwise a host that is written twice doubles the capacity, and of two datastores of one name
nobody knows which a VM is on. Names are as unique as the store keeps them.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

Rowlike = Mapping[str, Any]


def require_names(lists: Mapping[str, list[dict[str, Any]]]) -> None:
    """Hosts, racks, clusters and datastores, before anything names them; raises ValueError."""
    hosts, datastores = lists["hosts"], lists["datastores"]
    named = ((row.get("hypervisor", "file"), row["name"]) for row in hosts)
    _distinct("$.hosts[{}].name", named)
    _distinct("$.datastores[{}].name", ((row["datacenter"], row["name"]) for row in datastores))
    _one_to_one(hosts, "rack", "rack_name")
    _one_to_one(hosts, "cluster", "cluster_name")


def require_distinct(lists: Mapping[str, list[dict[str, Any]]], rules: Mapping[str, Any]) -> None:
    """All that refers to them; raises ValueError for the first thing that is there twice."""
    for n, host in enumerate(lists["hosts"]):
        _distinct(f"$.hosts[{n}].datastores[{{}}]", host["datastores"])
    scopes = lists["scopes"]
    _distinct("$.scopes[{}].id", ((row.get("kind"), row.get("id")) for row in scopes))
    _distinct("$.holds[{}].id", (str(row["id"]).lower() for row in lists["holds"]))
    _residents(lists["residents"])
    loads = rules["loads"]
    _distinct("$.rules.loads[{}].id", (row["id"] or f"new {n}" for n, row in enumerate(loads)))
    about = ((row["kind"], row["level"], row["element"]) for row in loads)
    _distinct("$.rules.loads[{}].element", about)
    people = rules.get("enterprises")
    _distinct("$.rules.enterprises[{}]", people.values() if isinstance(people, Mapping) else ())


def _residents(rows: list[dict[str, Any]]) -> None:
    """A VM that relocates stands on two hosts, and on none twice."""
    uuids = [str(row["vm"]).lower() for row in rows]
    _distinct(
        "$.residents[{}].vm", ((vm, row["host"]) for vm, row in zip(uuids, rows, strict=True))
    )
    owners: dict[str, str] = {}
    for n, (vm, row) in enumerate(zip(uuids, rows, strict=True)):
        if owners.setdefault(_key(row["name"]), vm) != vm:
            raise ValueError(f"$.residents[{n}].name: another VM is called {row['name']}, too")


def _one_to_one(hosts: list[dict[str, Any]], id_: str, name: str) -> None:
    """In a datacenter, one rack or cluster has one name, and one name is of one rack or cluster."""
    names: dict[str, str] = {}
    ids: dict[str, str] = {}
    for n, host in enumerate(hosts):
        if host.get(id_) is None or not host.get(name):
            continue
        own = _key((host["datacenter"], host[id_]))
        called = _key((host["datacenter"], host[name]))
        if names.setdefault(own, called) != called:
            raise ValueError(f"$.hosts[{n}].{name}: {id_} {host[id_]} has another name before")
        if ids.setdefault(called, own) != own:
            raise ValueError(f"$.hosts[{n}].{name}: another {id_} is called {host[name]}, too")


def _distinct(place: str, values: Iterable[object]) -> None:
    """`place` has {} for the number of the value."""
    first: dict[str, int] = {}
    for n, value in enumerate(values):
        before = first.setdefault(_key(value), n)
        if before != n:
            raise ValueError(f"{place.format(n)}: the same is at {place.format(before)} already")


def _key(value: object) -> str:
    """Equal for equal values, also for such that are of a wrong type: the reader tells of those."""
    return json.dumps(value, sort_keys=True, default=repr)
