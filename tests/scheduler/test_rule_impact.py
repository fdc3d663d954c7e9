"""The effect of other rules on the present inventory, and the tests that gate them."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.model.inventory import HostState
from scheduler.model.limits import Level, LoadKind, LoadRule, Rules
from scheduler.model.placement import Refusal
from scheduler.model.reason import ReasonCode
from scheduler.model.values import replace
from scheduler.simulation.rule_impact import TOLD_MAX, Headroom, effect
from scheduler.simulation.rule_tests import RuleTest, failures
from scheduler.simulation.unplaceable_vms import demand_of, stranded
from scheduler.snapshot.snapshot import InventorySnapshot, SnapshotVm, fleet
from tests.scheduler.places import DATASTORE, HOST
from tests.scheduler.players import Player, Step, cluster_of
from tests.scheduler.scripts import rule_sets, steps


def one_by_one(cluster: InventorySnapshot) -> Iterator[UUID]:
    """Each VM taken out of a fresh fleet's rows and asked for again."""
    for resident in cluster.residents:
        others = [each for each in cluster.residents if each != resident]
        host = next(each for each in cluster.hosts if each.id == resident.host)
        there = [each for each in others if each.host == host.id]
        without = replace(
            host,
            cpu_used=host.cpu_used - resident.cpu,
            ram_used_mib=host.ram_used_mib - resident.ram_mib,
            enterprises=frozenset(e.enterprise for e in there if e.enterprise is not None),
            layers=frozenset(each.layer for each in there if each.layer is not None),
        )
        left = replace(
            cluster,
            hosts=tuple(without if each is host else each for each in cluster.hosts),
            datastores=tuple(
                replace(each, used_bytes=each.used_bytes - resident.disk_bytes)
                if each.id == resident.datastore
                else each
                for each in cluster.datastores
            ),
            scopes=tuple(
                replace(
                    each,
                    cpu_used=each.cpu_used - resident.cpu,
                    ram_used_mib=each.ram_used_mib - resident.ram_mib,
                    disk_used_bytes=each.disk_used_bytes - resident.disk_bytes,
                )
                if each.id == host.rack
                else each
                for each in cluster.scopes
            ),
        )
        known = fleet(left)
        demand = demand_of(resident, host)
        if isinstance(known.place(demand, known.rules.policy(1)), Refusal):
            yield resident.vm


@settings(max_examples=150, deadline=None)
@given(rule_sets(), rule_sets(), st.lists(steps, max_size=40))
def test_who_is_stranded_is_what_asking_one_by_one_says(
    before: Rules, after: Rules, script: list[Step]
) -> None:
    """B3: however it is worked out, through shared datastores, sums, tenants and layers."""
    player = Player(cluster_of(4, before))
    player.play(script)
    would = player.now().under(after)
    expected = list(one_by_one(would))
    assert [each.vm for each in stranded(would, would.residents)] == expected


def rules(percent: int, **more: object) -> Rules:
    """One rule for the datacenter."""
    rule = LoadRule(1, LoadKind.COMPUTE, Level.DATACENTER, 1, percent, 100)
    return replace(Rules((rule,)), **more)  # type: ignore[arg-type]


BUSY = replace(HOST, cpus=8, cpu_used=7, ram_used_mib=100)
VM = SnapshotVm(UUID(int=1), "web", 1, 1, 7, 100, 0)
CLUSTER = InventorySnapshot(
    (BUSY, replace(HOST, id=2, name="host2", cpus=4)),
    (replace(DATASTORE, capacity_bytes=1000),),
    residents=(VM,),
).under(rules(100))


def test_hosts_newly_over_limit_room_lost_and_vms_without_a_place() -> None:
    """P9, B3: half the CPUs: host1 is over, and its VM would fit nowhere again."""
    found = effect(CLUSTER, rules(50))
    (over,) = found.over
    assert (over.kind, over.name, over.lack) == ("host", "host1", ReasonCode.CPU)
    assert (over.used, over.limit, over.rule[:18]) == (7, 4, "machineLoadLevel 1")
    assert (found.before, found.after) == (
        Headroom(5, 2 * 8192 - 100, 1000),
        Headroom(2, 2 * 8192 - 100, 1000),
    )
    assert [each.name for each in found.stranded] == ["web"]


def test_what_was_so_before_is_no_effect() -> None:
    """A host that is over anyway, a VM that had no place anyway; lifting a rule relieves."""
    tight = CLUSTER.under(rules(40))
    found = effect(tight, rules(30))
    assert (found.over, found.stranded, found.relieved_count) == ((), (), 0)
    assert effect(tight, rules(200)).relieved_count == 1


def test_a_closed_host_has_no_headroom() -> None:
    """Room on a host that takes no VMs is nobody's."""
    closed = replace(CLUSTER.hosts[1], state=HostState.HALTED)
    found = effect(replace(CLUSTER, hosts=(CLUSTER.hosts[0], closed)), rules(100))
    assert found.after.cpu == 1


def test_lists_are_bounded_and_counts_are_not() -> None:
    """However many are over."""
    hosts = tuple(replace(BUSY, id=n, datastores=()) for n in range(1, TOLD_MAX + 50))
    found = effect(InventorySnapshot(hosts).under(rules(100)), rules(10))
    assert (len(found.over), found.over_count) == (TOLD_MAX, TOLD_MAX + 49)


@pytest.mark.parametrize(("cpu", "hosts"), [(1, 2), (2, 1), (5, 0)])
def test_a_rule_test_counts_the_hosts_that_would_do(cpu: int, hosts: int) -> None:
    """Exactly at the number it passes, below it fails and says how many there are."""
    asked = RuleTest("a web server", cpu, 128, 100, 1, "KVM", hosts_min=hosts)
    assert failures(CLUSTER, rules(100), (asked,)) == ()
    more = replace(asked, hosts_min=hosts + 1)
    (failed,) = failures(CLUSTER, rules(100), (asked, more))
    assert (failed.test, failed.hosts) == (more, hosts)
    assert failed.sentence == (
        f'the test "a web server" wants {hosts + 1} hosts and {hosts} would do'
    )


def test_a_rule_test_looks_at_the_draft() -> None:
    """Not at the rules in force."""
    asked = RuleTest("big", 4, 128, 100, 1, "KVM", hosts_min=2)
    assert failures(CLUSTER, rules(100), (asked,))
    assert failures(CLUSTER, rules(200), (asked,)) == ()


def test_a_vm_that_leaves_makes_room_on_a_datastore_that_others_see() -> None:
    """Its host is over, the datastore is full of it, and the other host would take it."""
    big = replace(CLUSTER.hosts[1], cpus=20)
    disks = replace(CLUSTER.datastores[0], used_bytes=1000, shared=True)
    cluster = replace(
        CLUSTER,
        hosts=(CLUSTER.hosts[0], big),
        datastores=(disks,),
        residents=(replace(VM, disk_bytes=600),),
    )
    found = effect(cluster, rules(50))
    assert [over.name for over in found.over] == ["host1"]
    assert found.stranded == ()


def test_tenants_that_are_to_part_have_nowhere_to_go() -> None:
    """Nobody is over a limit; on the only host with room each has the other."""
    one = replace(VM, cpu=3, enterprise=1)
    two = replace(VM, vm=UUID(int=2), name="db", cpu=4, enterprise=2)
    shared = replace(CLUSTER.hosts[0], enterprises=frozenset({1, 2}))
    hosts = (shared, replace(CLUSTER.hosts[1], state=HostState.HALTED))
    cluster = replace(CLUSTER, hosts=hosts, residents=(one, two))
    assert effect(cluster, rules(100)).stranded == ()
    apart = rules(100, exclusions=frozenset({(1, 2)}))
    assert [each.name for each in effect(cluster, apart).stranded] == ["web", "db"]
