"""The fleet believes the newest numbers, counts its own claims until they come, and converges."""

from random import Random
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.fleet.candidates import better_hosts_rejected
from scheduler.fleet.fleet import Fleet
from scheduler.fleet.ranking import FitPolicy
from scheduler.fleet.usage_ledger import Key, key_of
from scheduler.model.demand import Demand, Origin
from scheduler.model.inventory import AggregateScope, Datastore, Host, RuleSet, Tombstone
from scheduler.model.placement import HostCounts, Placement, Refusal
from scheduler.model.reason import ReasonCode
from scheduler.model.values import replace
from tests.scheduler import second_opinion
from tests.scheduler.places import (
    DATASTORE,
    DEMAND,
    HOST,
    SCOPE,
    World,
    datastores,
    demands,
    fleet_of,
    hosts,
    rule_sets,
    scopes,
    worlds,
)

Change = Host | Datastore | AggregateScope | RuleSet | Tombstone
EXAMPLES = settings(max_examples=60, deadline=None, derandomize=True)
PAIR = World(
    (HOST, replace(HOST, id=2, name="host2", datastores=(2,))),
    (DATASTORE, replace(DATASTORE, id=2, name="disks2")),
    (replace(SCOPE, cpu_limit=12), replace(SCOPE, kind="datacenter")),
)


def _rows(fleet: Fleet) -> list[object]:
    known: list[object] = [*fleet.hosts()]
    known += [fleet.datastore(id) for id in range(1, 7)]
    kinds = ("cluster", "rack", "datacenter")
    known += [fleet.scope(kind, id) for kind in kinds for id in (1, 2, 3)]
    return [*known, fleet.rules]


def _placed(fleet: Fleet, policy: FitPolicy = FitPolicy.PROGRESSIVE) -> Placement:
    answer = fleet.place(DEMAND, policy)
    assert isinstance(answer, Placement)
    return answer


def test_an_older_or_equal_generation_changes_nothing() -> None:
    """Changes carry absolute values; only a strictly newer generation is taken."""
    fleet = Fleet()
    assert fleet.apply(replace(HOST, generation=5))
    assert not fleet.apply(replace(HOST, generation=5, cpu_used=3))
    assert not fleet.apply(replace(HOST, generation=4, cpu_used=3))
    assert fleet.host(1) == replace(HOST, generation=5)
    assert fleet.apply(replace(HOST, generation=6, cpu_used=3))
    assert fleet.host(1) == replace(HOST, generation=6, cpu_used=3)


def test_what_is_gone_comes_back_only_with_newer_news() -> None:
    """A late row does not raise the dead."""
    fleet = fleet_of(PAIR)
    assert fleet.apply(Tombstone("host", 1, 3))
    assert not fleet.apply(replace(HOST, generation=3))
    assert fleet.host(1) is None
    assert [host.id for host in fleet.hosts()] == [2]
    assert fleet.apply(replace(HOST, generation=4))
    assert not fleet.apply(Tombstone("host", 1, 3))
    assert fleet.host(1) is not None
    assert fleet.apply(Tombstone("host", 1, 4))
    assert fleet.host(1) is None


def test_a_gone_datastore_takes_no_disk() -> None:
    """What a host still lists but nobody knows of does not count."""
    fleet = fleet_of(World((HOST,), (DATASTORE,)))
    assert isinstance(fleet.place(DEMAND, FitPolicy.PROGRESSIVE), Placement)
    fleet.apply(Tombstone("datastore", 1, 2))
    answer = fleet.place(DEMAND, FitPolicy.PROGRESSIVE)
    assert isinstance(answer, Refusal)
    assert [reason.lack for reason in answer.verdicts[0].reasons] == [ReasonCode.NO_DATASTORE]


def test_a_host_that_moves_is_found_where_it_went() -> None:
    """M-043: of two datacenters a host is in one."""
    fleet = fleet_of(World((HOST,), (DATASTORE,)))
    fleet.apply(replace(HOST, datacenter=2, generation=2))
    assert isinstance(fleet.place(DEMAND, FitPolicy.PROGRESSIVE), Refusal)
    there = fleet.place(replace(DEMAND, datacenter=2), FitPolicy.PROGRESSIVE)
    assert isinstance(there, Placement)


def test_a_claim_counts_on_every_row_and_a_release_takes_it_back() -> None:
    """Claiming or releasing twice is once."""
    fleet = fleet_of(PAIR)
    before = _rows(fleet)
    placement = _placed(fleet)
    for _ in range(2):
        fleet.claim(placement, DEMAND)
    host, datastore, rack = fleet.host(1), fleet.datastore(1), fleet.scope("rack", 1)
    assert host
    assert datastore
    assert rack
    assert (host.cpu_used, host.ram_used_mib, datastore.used_bytes) == (1, 128, 100)
    assert (rack.cpu_used, rack.ram_used_mib, rack.disk_used_bytes) == (1, 128, 100)
    for _ in range(2):
        fleet.release(placement, DEMAND)
    assert _rows(fleet) == before


def test_newer_numbers_replace_a_claim() -> None:
    """The store's ledger decides; a release after that takes nothing from its numbers."""
    fleet = fleet_of(PAIR)
    placement = _placed(fleet)
    fleet.claim(placement, DEMAND)
    told = replace(HOST, cpu_used=5, generation=2)
    assert fleet.apply(told)
    assert fleet.host(1) == told
    fleet.release(placement, DEMAND)
    assert fleet.host(1) == told


def test_a_claim_on_what_is_gone_is_nothing() -> None:
    """A host may vanish between proposal and claim."""
    fleet = fleet_of(PAIR)
    placement = _placed(fleet)
    fleet.apply(Tombstone("host", 1, 2))
    fleet.claim(placement, DEMAND)
    assert fleet.host(1) is None
    fleet.release(placement, DEMAND)


def test_a_relocation_adds_only_what_the_target_does_not_hold() -> None:
    """M-021: the rack, the datacenter and the shared datastore count the VM already."""
    shared = replace(DATASTORE, shared=True, used_bytes=1000)
    both = [replace(host, datastores=(1, 2)) for host in PAIR.hosts]
    fleet = fleet_of(World(tuple(both), (shared, PAIR.datastores[1]), PAIR.scopes))
    origin = Origin(host=1, rack=1, hypervisor="lab", datastore=1, shared=True)
    answer = fleet.place(replace(DEMAND, origin=origin), FitPolicy.PERFORMANCE)
    assert isinstance(answer, Placement)
    assert (answer.host, answer.datastore) == (2, 1)
    assert answer.seen == (
        HostCounts("datacenter", 1, 1, 1),
        HostCounts("datastore", 1, 1, 1),
        HostCounts("host", 2, 1, 1, cpu=1, ram_mib=128),
        HostCounts("rack", 1, 1, 1),
    )


def test_progressive_opens_no_host_while_a_used_one_fits() -> None:
    """M-041: eight VMs of one CPU fill one host, the ninth opens the next."""
    assert _spread(FitPolicy.PROGRESSIVE) == [1] * 8 + [2]


def test_performance_takes_turns_among_equals() -> None:
    """M-041: each VM goes to the least used host."""
    assert _spread(FitPolicy.PERFORMANCE) == [1, 2, 1, 2, 1, 2, 1, 2, 1]


def _spread(policy: FitPolicy) -> list[int]:
    fleet = fleet_of(replace(PAIR, scopes=()))
    chosen = []
    for n in range(9):
        demand = replace(DEMAND, vm=UUID(int=n))
        answer = fleet.place(demand, policy)
        assert isinstance(answer, Placement)
        fleet.claim(answer, demand)
        chosen.append(answer.host)
    return chosen


def test_the_gladder_hosts_passed_over_are_counted() -> None:
    """Why not the fullest host: by the first rule it failed."""
    full = replace(HOST, cpu_used=8)
    fleet = fleet_of(replace(PAIR, hosts=(full, PAIR.hosts[1])))
    placement = _placed(fleet)
    assert placement.host == 2
    assert better_hosts_rejected(fleet, DEMAND, placement) == ((ReasonCode.CPU, 1),)


@st.composite
def histories(draw: st.DrawFn) -> list[Change]:
    """Changes of a few rows; each row's generations differ."""
    changes: list[Change] = []
    for generation in range(1, draw(st.integers(1, 4)) + 1):
        for id in (1, 2, 3):
            rows = (hosts(id), datastores(id), scopes("rack", id), scopes("cluster", id))
            row = replace(draw(st.one_of(*rows)), generation=generation)
            gone = draw(st.integers(0, 4)) == 0
            changes.append(Tombstone(*key_of(row), generation) if gone else row)
        changes.append(draw(rule_sets(generation)))
    return changes


@EXAMPLES
@given(histories(), st.randoms(use_true_random=False))
def test_the_order_in_which_changes_arrive_does_not_matter(
    history: list[Change], chance: Random
) -> None:
    """The newest generation of each row stays, whenever and however often it comes."""
    newest: dict[Key, Change] = {}
    for change in sorted(history, key=lambda each: each.generation):
        newest[key_of(change)] = change
    rows = [row for row in newest.values() if not isinstance(row, Tombstone)]
    plain = Fleet()
    for row in rows:
        plain.apply(row)
    shuffled = [*history, *history]
    chance.shuffle(shuffled)
    fleet = Fleet()
    for change in shuffled:
        fleet.apply(change)
    assert _rows(fleet) == _rows(plain)
    for policy in FitPolicy:
        assert fleet.candidates(DEMAND, policy) == plain.candidates(DEMAND, policy)


@EXAMPLES
@given(st.data(), worlds(), st.sampled_from([FitPolicy.PROGRESSIVE, FitPolicy.PERFORMANCE]))
def test_claims_and_news_converge_to_the_store(
    draws: st.DataObject, world: World, policy: FitPolicy
) -> None:
    """After each claim the fleet says what the store will say, and the news changes nothing."""
    fleet, truth = fleet_of(world), world
    for n in range(4):
        demand = replace(draws.draw(demands(truth)), vm=UUID(int=n))
        answer = fleet.place(demand, policy)
        best = second_opinion.best(truth, demand, policy)
        assert (answer.host if isinstance(answer, Placement) else None) == (best and best.id)
        if isinstance(answer, Refusal):
            continue
        fleet.claim(answer, demand)
        truth = _booked(truth, answer.seen, demand)
        if draws.draw(st.booleans()):
            for row in truth.rows:
                fleet.apply(row)
    for row in truth.rows:
        fleet.apply(row)
    assert _rows(fleet) == _rows(fleet_of(truth))


def _booked(world: World, seen: tuple[HostCounts, ...], demand: Demand) -> World:
    """The world after the store booked: sums, tenants and generations of the rows touched grow."""
    added = {(each.kind, each.id): each for each in seen}
    owner = frozenset(() if demand.enterprise is None else (demand.enterprise,))
    layer = frozenset(() if demand.layer is None else (demand.layer,))
    return World(
        tuple(
            replace(
                row,
                cpu_used=row.cpu_used + added["host", row.id].cpu,
                ram_used_mib=row.ram_used_mib + added["host", row.id].ram_mib,
                enterprises=row.enterprises | owner,
                layers=row.layers | layer,
                generation=row.generation + 1,
            )
            if ("host", row.id) in added
            else row
            for row in world.hosts
        ),
        tuple(
            replace(
                row,
                used_bytes=row.used_bytes + added["datastore", row.id].disk_bytes,
                generation=row.generation + 1,
            )
            if ("datastore", row.id) in added
            else row
            for row in world.datastores
        ),
        tuple(
            replace(
                row,
                cpu_used=row.cpu_used + added[row.kind, row.id].cpu,
                ram_used_mib=row.ram_used_mib + added[row.kind, row.id].ram_mib,
                disk_used_bytes=row.disk_used_bytes + added[row.kind, row.id].disk_bytes,
                generation=row.generation + 1,
            )
            if (row.kind, row.id) in added
            else row
            for row in world.scopes
        ),
        world.rules,
    )
