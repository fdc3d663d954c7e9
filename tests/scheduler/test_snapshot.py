"""A cluster file holds everything a decision needs: it repeats exactly, and people can write it."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.model.demand import Demand
from scheduler.model.fit_policy import FitPolicy
from scheduler.model.inventory import Tier
from scheduler.model.limits import Level, LoadKind, LoadRule, Rules
from scheduler.model.placement import Placement, Refusal
from scheduler.model.values import replace
from scheduler.snapshot.snapshot import (
    InventorySnapshot,
    SnapshotHold,
    SnapshotVm,
    fleet,
    from_mapping,
    to_mapping,
)
from tests.scheduler.places import DATASTORE, DEMAND, HOST, SCOPE, VM, demands, worlds

CLUSTERS = Path(__file__).parent / "clusters"
SMALL: dict[str, Any] = json.loads((CLUSTERS / "small.json").read_text(encoding="utf-8"))
FULL = InventorySnapshot(
    hosts=(replace(HOST, cluster=4, enterprises=frozenset({2, 1}), layers=frozenset({3})),),
    datastores=(replace(DATASTORE, tier=Tier(6, "gold", enterprises=frozenset({1}))),),
    scopes=(replace(SCOPE, cpu_limit=3),),
    rules=Rules(
        (LoadRule(1, LoadKind.COMPUTE, Level.CLUSTER, 4, 150, 90, None, True),),
        {0: FitPolicy.PACKING},
        frozenset({(1, 2)}),
        frozenset({2}),
        {1: "acme"},
        {6: "gold"},
        9,
    ),
    residents=(SnapshotVm(VM, "web", 1, 1, 2, 512, 10, 1, 3, "KVM", "lan", 6, True, False),),
    holds=(SnapshotHold(VM, 1, 1, 1, 256, 5, until="2026-01-01T00:00:00Z"),),
    position=77,
)


def through_json(cluster: InventorySnapshot) -> InventorySnapshot:
    """As a file would give it back."""
    return from_mapping(json.loads(json.dumps(to_mapping(cluster))))


def test_every_field_survives() -> None:
    """Also limits that no rule explains: a file tells what was, not what should be."""
    assert through_json(FULL) == FULL


def test_one_cluster_is_one_text() -> None:
    """Sets have no order; files have."""
    assert json.dumps(to_mapping(through_json(FULL))) == json.dumps(to_mapping(FULL))


@settings(max_examples=60)
@given(st.data())
def test_a_decision_repeats_from_its_file(drawn: st.DataObject) -> None:
    """Principle 4: the same placement with the same score and rows, or the same refusal."""
    world = drawn.draw(worlds())
    demand = drawn.draw(demands(world))
    cluster = InventorySnapshot(world.hosts, world.datastores, world.scopes)
    for policy in FitPolicy:
        before = fleet(cluster).place(demand, policy)
        assert fleet(through_json(cluster)).place(demand, policy) == before


def placed(cluster: InventorySnapshot, demand: Demand) -> Placement | Refusal:
    """The decision by the cluster's own policy."""
    known = fleet(cluster)
    return known.place(demand, known.rules.policy(demand.datacenter))


def test_a_file_written_by_hand_needs_little() -> None:
    """Ids and names by order, use by residents, limits by rules, datastores by datacenter."""
    cluster = from_mapping(SMALL)
    assert [host.name for host in cluster.hosts] == ["esx1", "esx2", "esx3"]
    assert [host.datastores for host in cluster.hosts] == [(1,), (1,), (1, 2)]
    assert [host.cpu_limit for host in cluster.hosts] == [64, 32, 64]
    assert [host.cpu_used for host in cluster.hosts] == [8, 0, 0]
    assert cluster.hosts[1].ram_limit_mib == 64 * 1024 * 90 // 100
    assert cluster.datastores[0].used_bytes == 100 * 2**30
    found = placed(cluster, replace(DEMAND, cpu=48, ram_mib=1024, disk_bytes=2**30))
    assert isinstance(found, Placement)
    assert found.host == 1
    assert isinstance(placed(cluster, replace(DEMAND, cpu=57)), Refusal)


def test_tiers_and_datastores_may_be_named() -> None:
    """A tier by name gets an id, one for all datastores that name it."""
    cluster = from_mapping(
        {
            "hosts": [{"cpus": 1, "memory": "1GiB", "datastores": ["b"]}],
            "datastores": [
                {"name": "a", "capacity": 10, "tier": "gold"},
                {"name": "b", "capacity": 10, "tier": "slow"},
                {"name": "c", "capacity": 10, "tier": "gold"},
            ],
            "rules": {"tiers": {"4": "slow"}},
        }
    )
    assert [each.tier and each.tier.id for each in cluster.datastores] == [5, 4, 5]
    assert cluster.rules.tiers == {4: "slow", 5: "gold"}
    assert cluster.hosts[0].datastores == (2,)


HOSTS = [{"cpus": 1, "memory": "1GiB"}]
BAD: list[tuple[dict[str, Any], str]] = [
    ({"hots": []}, "$.hots: there is no such field"),
    ({"format": 2}, "$.format"),
    ({"hosts": 3}, "$.hosts: a list is needed"),
    ({"hosts": [3]}, "$.hosts[0]: an object is needed"),
    ({"hosts": [{"memory": 1}]}, "$.hosts[0]: Object missing required field `cpus`"),
    ({"hosts": [{"cpus": "x", "memory": 1}]}, "$.hosts[0].cpus: Expected `int`, got `str`"),
    ({"hosts": [{"cpus": 1, "memory": "4G"}]}, "$.hosts[0].memory: a size such as 4GiB"),
    ({"hosts": [{"cpus": 1, "memory": "0.3MiB"}]}, "$.hosts[0].memory: 0.3MiB is no whole"),
    ({"hosts": [{"cpus": 1, "memory": 1, "cpuz": 1}]}, "$.hosts[0].cpuz: there is no such"),
    ({"hosts": [{"cpus": 1, "memory": 1, "state": "UP"}]}, "$.hosts[0].state: Invalid enum"),
    ({"hosts": [{**HOSTS[0], "id": 2}, HOSTS[0]]}, "$.hosts[1].id: a number that no other has"),
    ({"hosts": [{**HOSTS[0], "datastores": ["q"]}]}, "$.hosts[0].datastores[0]: nothing with"),
    ({"datastores": [{"name": "a"}]}, "$.datastores[0].capacity: a size"),
    ({"datastores": [{"capacity": 1, "tier": {"id": 1, "name": "a", "x": 1}}]}, "tier.x: there is"),
    ({"hosts": HOSTS, "residents": [{"host": "zz"}]}, "$.residents[0].host: nothing with"),
    ({"hosts": HOSTS, "residents": [{"host": 7}]}, "$.residents[0].host: there is no host 7"),
    ({"hosts": HOSTS, "holds": [{"host": 1}]}, "$.holds[0].datastore: an id or a name"),
    ({"rules": []}, "$.rules: an object is needed"),
    ({"rules": {"loads": [{"level": "rack"}]}}, "$.rules.loads[0].element: an id or a name"),
    ({"rules": {"lods": []}}, "$.rules.lods: there is no such field"),
    ({"rules": {"policies": {"x": "PACKING"}}}, "$.rules.policies: Expected `int`"),
]


@pytest.mark.parametrize(("mapping", "told"), BAD, ids=[told for _, told in BAD])
def test_a_bad_file_is_refused_with_the_place(mapping: dict[str, Any], told: str) -> None:
    """A misspelt field is never taken for one that was left out."""
    with pytest.raises(ValueError, match=r"^\$") as refused:
        from_mapping(mapping)
    assert told in str(refused.value)


def test_other_rules_give_the_same_places_other_limits() -> None:
    """What a draft would do is asked of the same cluster."""
    cluster = from_mapping(SMALL)
    under = cluster.under(Rules(version=3))
    assert [host.cpu_limit for host in under.hosts] == [16, 16, 32]
    assert under.under(cluster.rules) == cluster
    assert fleet(under).rules.version == 3


def test_residents_get_names_that_stay() -> None:
    """Read twice, a VM is the same one."""
    first, second = from_mapping(SMALL), from_mapping(SMALL)
    assert isinstance(first.residents[0].vm, UUID)
    assert first == second
