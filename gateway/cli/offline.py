"""Decisions from a cluster's file, without a service: one file always gives one answer."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar
from uuid import UUID

from cyclopts import Parameter

from gateway.api.http import strict_json
from gateway.config import ConfigError
from scheduler.advice.changes import Advice
from scheduler.advice.offline import advice_in
from scheduler.advice.text import row as advice_row
from scheduler.advice.text import sentence as advice_text
from scheduler.decisions.explanation import decision, row, rows, sentence, summary
from scheduler.fleet.fleet import Fleet
from scheduler.model.demand import Demand
from scheduler.model.fit_policy import FitPolicy
from scheduler.model.placement import Placement, Refusal
from scheduler.model.reason import Reason
from scheduler.snapshot.size_units import bytes_of, mib_of
from scheduler.snapshot.snapshot import InventorySnapshot, fleet, from_mapping

T = TypeVar("T")
PLACED, REFUSED = 0, 1
CLUSTER_MAX = 512 * 1024 * 1024
"""Bytes of a cluster's file, which may come from a stranger."""
CLUSTER_VALUES_MAX = 50_000_000
_VM = UUID(int=0)
"""The VM in question; who it is never changes a decision."""


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class FileSize:
    """What a VM asks for.

    Parameters
    ----------
    cpu: int
        Virtual CPUs.
    ram: str
        Memory, such as 4GiB; a bare number counts MiB.
    disk: str
        All its disks together, such as 40GiB; a bare number counts bytes.
    """

    cpu: int
    ram: str
    disk: str


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class OfflineRequest:
    """Where it may go.

    Parameters
    ----------
    type: str | None
        Hypervisor type, such as KVM; that of the hosts where they have one only.
    network: str | None
        Tag of a network that the host must map.
    enterprise: str | None
        Id or name of its owner.
    layer: int | None
        Its VMs go to different hosts.
    tier: str | None
        Id or name of the class of its datastore.
    datacenter: int | None
        That of the hosts where they have one only.
    """

    type: str | None = None
    network: str | None = None
    enterprise: str | None = None
    layer: int | None = None
    tier: str | None = None
    datacenter: int | None = None


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class OfflineAnswer:
    """How the answer is told.

    Parameters
    ----------
    explain: bool
        List the reasons for each rejected host, and what would make a refused VM fit.
    json: bool
        One JSON object instead of sentences.
    """

    explain: Annotated[bool, Parameter(negative="")] = False
    json: Annotated[bool, Parameter(negative="")] = False


NO_WISH, PLAINLY = OfflineRequest(), OfflineAnswer()


def read_cluster(path: Path) -> InventorySnapshot:
    """The cluster in a file; ConfigError names the file and the place of what is wrong."""
    with path.open("rb") as file:
        raw = file.read(CLUSTER_MAX + 1)
    if len(raw) > CLUSTER_MAX:
        raise ConfigError(f"{path}: more than {CLUSTER_MAX} bytes")
    try:
        mapping = strict_json.decode(raw, values_max=CLUSTER_VALUES_MAX)
    except ValueError as wrong:
        raise ConfigError(f"{path}: no JSON: {wrong}") from wrong
    if not isinstance(mapping, dict):
        raise ConfigError(f"{path}: $: an object is needed")
    try:
        return from_mapping(mapping)
    except ValueError as wrong:
        raise ConfigError(f"{path}: {wrong}") from wrong


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose names are each there once: of two the first would be dropped in silence."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the name {twice!r} is twice in one object")
    return found


def demand_of(cluster: InventorySnapshot, size: FileSize, wish: OfflineRequest = NO_WISH) -> Demand:
    """What is asked for; ConfigError names the option that is wrong."""
    rules = cluster.rules
    return Demand(
        _VM,
        cpu=_at_least_0("--cpu", size.cpu),
        ram_mib=_size("--ram", size.ram, mib_of),
        disk_bytes=_size("--disk", size.disk, bytes_of),
        type=wish.type or _only("--type", {host.type for host in cluster.hosts}),
        datacenter=wish.datacenter
        or _only("--datacenter", {host.datacenter for host in cluster.hosts}),
        network=wish.network,
        enterprise=_named("--enterprise", wish.enterprise, rules.enterprises),
        layer=wish.layer,
        tier=_named("--tier", wish.tier, rules.tiers),
    )


def place(
    path: Path, size: FileSize, wish: OfflineRequest, policy: FitPolicy | None, told: OfflineAnswer
) -> int:
    """Say where the VM would go, or why nowhere; the exit status."""
    cluster = read_cluster(path)
    demand = demand_of(cluster, size, wish)
    known = fleet(cluster)
    policy = policy or known.rules.policy(demand.datacenter)
    answer = known.place(demand, policy)
    listed = known.candidates(demand, policy) if told.explain else ()
    advice: tuple[Advice, ...] = ()
    if told.explain and isinstance(answer, Refusal):
        advice = advice_in(cluster, known, answer, policy)
    if told.json:
        hosts = [_host_row(host.id, host.name, reasons) for host, _, reasons in listed]
        more = {"hosts": hosts, "advice": [advice_row(each) for each in advice]}
        print(json.dumps(_answer_row(known, answer) | (more if told.explain else {})))
    else:
        print(_answer_text(known, answer))
        for host, datastore, reasons in listed:
            fits = f"would do, on {datastore.name}" if datastore and not reasons else ""
            print(f"  {host.name}: {fits or ' '.join(sentence(each) for each in reasons)}")
        if advice:
            print("Any one of these would make it fit:")
        for each in advice:
            print(f"  {advice_text(each)}")
    return PLACED if isinstance(answer, Placement) else REFUSED


def _answer_text(known: Fleet, answer: Placement | Refusal) -> str:
    if isinstance(answer, Refusal):
        return f"Refused. {summary(answer)}"
    host, datastore = known.host(answer.host), known.datastore(answer.datastore)
    assert host is not None
    assert datastore is not None
    return f"{host.name}, on {datastore.name} ({answer.policy}, score {answer.score})"


def _answer_row(known: Fleet, answer: Placement | Refusal) -> dict[str, Any]:
    if isinstance(answer, Refusal):
        return {
            "placed": False,
            "lasting": answer.lasting,
            "summary": summary(answer),
            "verdicts": rows(answer),
        }
    host, datastore = known.host(answer.host), known.datastore(answer.datastore)
    named = {"hostName": host and host.name, "datastoreName": datastore and datastore.name}
    return {"placed": True, **named, **decision(answer)}


def _host_row(id: int, name: str, reasons: tuple[Reason, ...]) -> dict[str, Any]:
    return {"host": id, "name": name, "reasons": [row(each) for each in reasons]}


def _at_least_0(option: str, amount: int) -> int:
    if amount < 0:
        raise ConfigError(f"{option}: 0 or more is needed, not {amount}")
    return amount


def _size(option: str, given: str, reader: Callable[[str], int]) -> int:
    try:
        return reader(given)
    except ValueError as wrong:
        raise ConfigError(f"{option}: {wrong}") from wrong


def _only(option: str, found: set[T]) -> T:
    if len(found) != 1:
        told = ", ".join(str(each) for each in sorted(found, key=str)) or "no host at all"
        raise ConfigError(f"{option} is needed: the cluster has {told}")
    return found.pop()


def _named(option: str, given: str | None, names: Mapping[int, str]) -> int | None:
    """An id, or the id behind a name that only one has."""
    if given is None:
        return None
    if given.isascii() and given.isdigit():
        return int(given)
    found = [id for id, name in names.items() if name == given]
    if len(found) != 1:
        raise ConfigError(f"{option}: {len(found) or 'nothing'} with the name {given}")
    return found[0]
