"""A cluster written by hand may leave out nearly everything; here it is filled in, or refused."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid5

from scheduler.snapshot.size_units import bytes_of, mib_of
from scheduler.snapshot.unique_names import require_distinct, require_names

_NAMES = UUID("8d1f3a76-52c4-4f0e-9a0e-6f6b1c1f7a55")
_LISTS = ("hosts", "datastores", "scopes", "residents", "holds")
_KNOWN = {"format", "position", "scheduler", "rules", *_LISTS}
_SIZES = {
    "memory": ("memory_mib", mib_of),
    "memory_mib": ("memory_mib", mib_of),
    "capacity": ("capacity_bytes", bytes_of),
    "capacity_bytes": ("capacity_bytes", bytes_of),
    "ram": ("ram_mib", mib_of),
    "ram_mib": ("ram_mib", mib_of),
    "disk": ("disk_bytes", bytes_of),
    "disk_bytes": ("disk_bytes", bytes_of),
}
_HOST_LIMITS = {"cpu_limit": 0, "ram_limit_mib": 0, "cpu_rule": "", "ram_rule": ""}
_DATASTORE_LIMITS = {"limit_bytes": 0, "rule": ""}
_LEVEL_LISTS = {"machine": "hosts", "datastore": "datastores"}

Rowlike = dict[str, Any]


@dataclass(slots=True)
class SnapshotDefaults:
    """A mapping with every field, and which limits are still to be worked out."""

    mapping: dict[str, Any]
    open_hosts: list[set[str]] = field(default_factory=list)
    open_datastores: list[set[str]] = field(default_factory=list)
    scopes_given: bool = False


def completed(mapping: Mapping[str, Any]) -> SnapshotDefaults:
    """Everything that is missing and has a plain meaning, filled in; ValueError with the place."""
    for name in mapping:
        if name not in _KNOWN:
            raise ValueError(f"$.{name}: there is no such field")
    lists = {name: _sized(_rows(mapping, name), f"$.{name}") for name in _LISTS}
    _identified(lists["hosts"], "host", "$.hosts")
    _identified(lists["datastores"], "datastore", "$.datastores")
    _seen_by_default(lists)
    _inline(lists)
    _identified(lists["datastores"], "datastore", "$.datastores")
    require_names(lists)
    rules = _rules(mapping.get("rules", {}), lists)
    for n, host in enumerate(lists["hosts"]):
        host["datastores"] = _seen(host, lists, f"$.hosts[{n}].datastores")
    for n, each in enumerate(lists["datastores"]):
        if not each.keys() & {"capacity_bytes", "limit_bytes"}:
            raise ValueError(f"$.datastores[{n}].capacity: a size such as 2TiB is needed")
    for n, resident in enumerate(lists["residents"]):
        resident.setdefault("name", f"vm{n + 1}")
        resident.setdefault("vm", str(uuid5(_NAMES, f"vm {n + 1}")))
    for n, hold in enumerate(lists["holds"]):
        hold.setdefault("id", str(uuid5(_NAMES, f"hold {n + 1}")))
    booked = _settled(lists)
    require_distinct(lists, rules)
    whole = SnapshotDefaults(
        {**mapping, **lists, "rules": rules},
        [_host(host, booked["host", host["id"]]) for host in lists["hosts"]],
        [_datastore(e, rules, booked["datastore", e["id"]]) for e in lists["datastores"]],
        "scopes" in mapping,
    )
    whole.mapping.pop("format", None)
    return whole


def _rows(mapping: Mapping[str, Any], name: str) -> list[Rowlike]:
    given = mapping.get(name, [])
    if not isinstance(given, list | tuple):
        raise ValueError(f"$.{name}: a list is needed")
    for n, row in enumerate(given):
        if not isinstance(row, Mapping):
            raise ValueError(f"$.{name}[{n}]: an object is needed")
    return [dict(row) for row in given]


def _sized(rows: list[Rowlike], where: str) -> list[Rowlike]:
    """Sizes with a unit become numbers under the field's full name."""
    for n, row in enumerate(rows):
        for name in [name for name in row if name in _SIZES]:
            target, reader = _SIZES[name]
            if name == target and not isinstance(row[name], str):
                continue
            try:
                row[target] = reader(row.pop(name))
            except ValueError as wrong:
                raise ValueError(f"{where}[{n}].{name}: {wrong}") from None
    return rows


def _seen_by_default(lists: dict[str, list[Rowlike]]) -> None:
    """A host that names no datastores sees all of its datacenter that no other has inside."""
    rows = lists["datastores"]
    for host in lists["hosts"]:
        if "datastores" not in host:
            here = [row["id"] for row in rows if row["datacenter"] == host["datacenter"]]
            host["datastores"] = here


def _inline(lists: dict[str, list[Rowlike]]) -> None:
    """A datastore written inside its host is a local one of that host."""
    for n, host in enumerate(lists["hosts"]):
        seen = host.get("datastores")
        if not isinstance(seen, list | tuple):
            continue
        inside = [dict(each) for each in seen if isinstance(each, Mapping)]
        for m, each in enumerate(_sized(inside, f"$.hosts[{n}].datastores")):
            each.setdefault("name", f"{host['name']}-local{m + 1}")
            each.setdefault("datacenter", host["datacenter"])
            lists["datastores"].append(each)
        names = iter(each["name"] for each in inside)
        host["datastores"] = [next(names) if isinstance(e, Mapping) else e for e in seen]


def _identified(rows: list[Rowlike], word: str, where: str) -> None:
    seen: set[int] = set()
    for n, row in enumerate(rows):
        row.setdefault("id", n + 1)
        row.setdefault("name", f"{word}{row['id']}")
        row.setdefault("datacenter", 1)
        if not isinstance(row["id"], int) or row["id"] in seen:
            raise ValueError(f"{where}[{n}].id: a number that no other has is needed")
        seen.add(row["id"])


def _settled(lists: Mapping[str, list[Rowlike]]) -> dict[tuple[str, int], list[Rowlike]]:
    """Residents and holds get ids for names; what is booked of each host and datastore."""
    hosts = {host["id"]: host for host in lists["hosts"]}
    booked: dict[tuple[str, int], list[Rowlike]] = defaultdict(list)
    for name in ("residents", "holds"):
        for n, row in enumerate(lists[name]):
            where = f"$.{name}[{n}]"
            row["host"] = _id(row.get("host"), lists["hosts"], f"{where}.host")
            host = hosts.get(row["host"])
            if host is None:
                raise ValueError(f"{where}.host: there is no host {row['host']}")
            seen = host["datastores"]
            # A host with one datastore needs no second word.
            given = row.get("datastore", seen[0] if len(seen) == 1 else None)
            row["datastore"] = _id(given, lists["datastores"], f"{where}.datastore")
            row.setdefault("disk_bytes", 0)
            if name == "residents":
                row.setdefault("type", host.get("type", "KVM"))
            booked["host", row["host"]].append(row)
            booked["datastore", row["datastore"]].append(row)
    return booked


def _id(given: Any, rows: Iterable[Rowlike], where: str) -> int:
    """The id behind a name; ids stay as they are."""
    if isinstance(given, int):
        return given
    if not isinstance(given, str):
        raise ValueError(f"{where}: an id or a name is needed")
    found: list[int] = [row["id"] for row in rows if row["name"] == given]
    if len(found) != 1:
        raise ValueError(f"{where}: {len(found) or 'nothing'} with the name {given}")
    return found[0]


def _seen(host: Rowlike, lists: Mapping[str, list[Rowlike]], where: str) -> list[int]:
    """The ids of the datastores that a host sees."""
    rows = lists["datastores"]
    given = host["datastores"]
    if not isinstance(given, list | tuple):
        raise ValueError(f"{where}: a list is needed")
    return [_id(each, rows, f"{where}[{n}]") for n, each in enumerate(given)]


def _host(host: Rowlike, here: list[Rowlike]) -> set[str]:
    usual: Rowlike = {
        "rack": 1,
        "rack_name": f"rack{host.get('rack', 1)}",
        "hypervisor": "file",
        "type": "KVM",
        "state": "MANAGED",
        "reachable": True,
        "cpu_used": _sum(here, "cpu"),
        "ram_used_mib": _sum(here, "ram_mib"),
        "networks": [],
        "generation": 1,
        "character": 1,
        "enterprises": _named(here, "enterprise"),
        "layers": _named(here, "layer"),
    }
    return _filled(host, usual, _HOST_LIMITS)


def _datastore(row: Rowlike, rules: Rowlike, here: list[Rowlike]) -> set[str]:
    usual: Rowlike = {
        "enabled": True,
        "shared": False,
        "used_bytes": _sum(here, "disk_bytes"),
        "generation": 1,
        "character": 1,
    }
    if isinstance(row.get("tier"), str):
        row["tier"] = {"id": _tier(rules, row["tier"]), "name": row["tier"]}
    return _filled(row, usual, _DATASTORE_LIMITS)


def _filled(row: Rowlike, usual: Rowlike, limits: Rowlike) -> set[str]:
    missing = {name for name in limits if name not in row}
    for name, value in {**usual, **limits}.items():
        row.setdefault(name, value)
    return missing


def _sum(rows: Iterable[Rowlike], name: str) -> int:
    """What is no number is left to the reader, which names the place."""
    return sum(row[name] for row in rows if isinstance(row.get(name), int))


def _named(rows: Iterable[Rowlike], name: str) -> list[int]:
    return sorted({row[name] for row in rows if isinstance(row.get(name), int)})


def _rules(given: Any, lists: Mapping[str, list[Rowlike]]) -> Any:
    if not isinstance(given, Mapping):
        raise ValueError("$.rules: an object is needed")
    rules = dict(given)
    loads = rules.get("loads", [])
    if not isinstance(loads, list):
        raise ValueError("$.rules.loads: a list is needed")
    rules["loads"] = []
    for n, each in enumerate(loads):
        if not isinstance(each, Mapping):
            raise ValueError(f"$.rules.loads[{n}]: an object is needed")
        rule = {"id": n + 1, **each}
        level = str(rule.setdefault("level", "datacenter"))
        storage = level in ("datastore", "datastoretier") or "storage_percent" in rule
        rule.setdefault("kind", "datastore_load" if storage else "machine_load")
        element = rule.get("element", 1 if level == "datacenter" else None)
        where = f"$.rules.loads[{n}].element"
        rows = lists[_LEVEL_LISTS[level]] if level in _LEVEL_LISTS else ()
        rule["element"] = _id(element, rows, where)
        rules["loads"].append(rule)
    return rules


def _tier(rules: Rowlike, name: str) -> int:
    """The id of a tier by name, a new one where the rules do not know it."""
    tiers = rules.setdefault("tiers", {})
    for id, known in tiers.items():
        if known == name:
            return int(id)
    id = max((int(each) for each in tiers), default=0) + 1
    tiers[str(id)] = name
    return id
