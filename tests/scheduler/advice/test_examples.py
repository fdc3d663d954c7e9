"""Each kind of advice once, as an operator would meet it, with the sentence that is told."""

from uuid import UUID

import msgspec
import pytest

from scheduler.advice.changes import Advice
from scheduler.advice.text import row, sentence
from scheduler.fleet.ranking import FitPolicy
from scheduler.model.demand import Demand, RelocationScope
from scheduler.model.inventory import HostState, RuleSet, Tier
from scheduler.model.limits import Level, LoadKind, LoadRule, Rules
from scheduler.model.values import replace
from scheduler.snapshot.json_values import to_json
from scheduler.snapshot.snapshot import InventorySnapshot, SnapshotHold, SnapshotVm
from tests.scheduler.advice.following import followed
from tests.scheduler.advice.test_advising import advised, placed
from tests.scheduler.advice.towns import Town, moving
from tests.scheduler.places import DATASTORE, DEMAND, HOST, SCOPE

ONE = replace(HOST, cpus=8, memory_mib=8192)
TWO = replace(ONE, id=2, name="host2", rack=2, rack_name="rack2", datastores=(2,))
DISKS = replace(DATASTORE, capacity_bytes=1000)
OTHER = replace(DISKS, id=2, name="disks2")
RULES = RuleSet(1, enterprises={1: "acme", 2: "umbrella"})
BIG = replace(DEMAND, cpu=9)
FULL = SnapshotVm(UUID(int=5), "old", 1, 1, 8, 128, 10, type="KVM")


def _town(
    demand: Demand = DEMAND, reach: RelocationScope = RelocationScope.RACK, **fields: object
) -> Town:
    given = {"hosts": (ONE,), "datastores": (DISKS,), **fields}
    rules = given.pop("rule_set", RULES)
    assert isinstance(rules, RuleSet)
    cluster = InventorySnapshot(**given)  # type: ignore[arg-type]
    return Town(cluster, demand, FitPolicy.PROGRESSIVE, reach, rules)


def _load(level: Level, element: int, cpu: int, ram: int = 100, *, summed: bool = False) -> Rules:
    rule = LoadRule(7, LoadKind.COMPUTE, level, element, cpu, ram, aggregated=summed)
    return Rules(loads=(rule,))


def _stored(level: Level, element: int, percent: int) -> Rules:
    rule = LoadRule(7, LoadKind.STORAGE, level, element, storage_percent=percent)
    return Rules(loads=(rule,))


NARROW = replace(DISKS, capacity_bytes=1000)
APART = replace(RULES, excluded={1: frozenset({2}), 2: frozenset({1})})
OURS = replace(DEMAND, enterprise=1)
THEIRS = replace(FULL, cpu=1, enterprise=2)
CASES: list[tuple[str, Town, str]] = [
    (
        "a rule in force",
        _town(BIG, rules=_load(Level.HOST, 1, 100)),
        "Raise machineLoadLevel 7 (machine, CPU 100 %, RAM 100 %): CPU from 100 % to 113 %.",
    ),
    (
        "a rule of the rack, for all of it",
        _town(BIG, rules=_load(Level.RACK, 1, 50)),
        "Raise machineLoadLevel 7 (rack, CPU 50 %, RAM 100 %): CPU from 50 % to 113 %.",
    ),
    (
        "a rule of its own, that leaves the rack's as it is",
        _town(BIG, rules=_load(Level.RACK, 1, 50)),
        "Add a load rule for machine host1 that allows 113 % of CPU and 100 % of RAM.",
    ),
    (
        "the first rule there is",
        _town(BIG),
        "Add a load rule for machine host1 that allows 113 % of CPU and 100 % of RAM.",
    ),
    (
        "a rule about a sum",
        _town(
            replace(DEMAND, cpu=5),
            rules=_load(Level.RACK, 1, 50, summed=True),
            scopes=(replace(SCOPE, kind="rack"),),
        ),
        "Raise machineLoadLevel 7 (rack in all, CPU 50 %, RAM 100 %): CPU from 50 % to 63 %.",
    ),
    (
        "a datastore's rule",
        _town(replace(DEMAND, disk_bytes=801), rules=_stored(Level.DATASTORE, 1, 80)),
        "Raise datastoreloadlevel 7 (datastore, 80 %): disk space from 80 % to 81 %.",
    ),
    (
        "what is missing of everything",
        _town(replace(DEMAND, cpu=9, ram_mib=8200)),
        "Free or add 1 CPU, 8 MiB of RAM on host host1.",
    ),
    (
        "a smaller VM",
        _town(BIG),
        "Ask for no more than 8 CPU, 128 MiB of RAM and 100 bytes of disk.",
    ),
    (
        "a host in maintenance",
        _town(hosts=(replace(ONE, state=HostState.STOPPED),)),
        "Put host host1 back to MANAGED (it is STOPPED).",
    ),
    (
        "a host that nobody reaches",
        _town(hosts=(replace(ONE, reachable=False),)),
        "Make host host1 reachable again.",
    ),
    (
        "a network",
        _town(replace(DEMAND, network="san")),
        "Map network san on host host1.",
    ),
    (
        "a disabled datastore",
        _town(datastores=(replace(DISKS, enabled=False),)),
        "Enable datastore disks1.",
    ),
    (
        "a shared datastore that the host does not see",
        _town(
            datastores=(replace(OTHER, shared=True),),
            hosts=(ONE, TWO),
            demand=replace(DEMAND, only=frozenset({1})),
        ),
        "Let host host1 see datastore disks2.",
    ),
    (
        "a closed tier",
        _town(datastores=(replace(DISKS, tier=Tier(1, "gold", enabled=False)),)),
        "Open tier gold.",
    ),
    (
        "a tier of others",
        _town(OURS, datastores=(replace(DISKS, tier=Tier(1, "gold", enterprises=frozenset({2}))),)),
        "Open tier gold to enterprise 1.",
    ),
    (
        "another tier",
        _town(replace(DEMAND, tier=3)),
        "Let the disks go to datastores outside tier 3.",
    ),
    (
        "a VM that can go elsewhere",
        _town(
            hosts=(ONE, replace(TWO, rack=1, cpus=10)),
            datastores=(DISKS, OTHER),
            residents=(FULL,),
            demand=replace(DEMAND, only=frozenset({1})),
        ),
        "Move VM old (8 CPU, 128 MiB of RAM, 10 bytes of disk space) from host1 to host2.",
    ),
    (
        "the last of the holds that must end",
        _town(
            replace(DEMAND, cpu=8),
            holds=(
                SnapshotHold(UUID(int=1), 1, 1, 1, 0, 0, until="2030-01-01T10:30:00Z"),
                SnapshotHold(UUID(int=2), 1, 1, 1, 0, 0, until="2030-01-01T11:00:00+01:00"),
                SnapshotHold(UUID(int=3), 1, 1, 0, 9, 0, until="2031-01-01T00:00:00Z"),
            ),
        ),
        "Wait until 2030-01-01T10:30:00Z, when 2 holds end.",
    ),
    (
        "enterprises kept apart",
        _town(OURS, residents=(THEIRS,), rule_set=APART),
        "Let acme and umbrella share hosts.",
    ),
    (
        "a host reserved to others",
        _town(OURS, hosts=(replace(ONE, reserved_for=2),)),
        "End the reservation of host host1.",
    ),
    (
        "an enterprise with hosts of its own",
        _town(OURS, rule_set=replace(RULES, restricted=frozenset({1}))),
        "Reserve host host1 to acme.",
    ),
    (
        "an enterprise with hosts of its own, where others are",
        _town(OURS, residents=(THEIRS,), rule_set=replace(RULES, restricted=frozenset({1}))),
        "Let acme use hosts that are not reserved to it.",
    ),
    (
        "a layer",
        _town(replace(DEMAND, layer=4), residents=(replace(THEIRS, layer=4),)),
        "Take the VM out of layer 4.",
    ),
    (
        "another host than those asked for",
        _town(replace(DEMAND, only=frozenset({9}))),
        "Ask for host host1 too.",
    ),
    (
        "two things at once",
        _town(
            hosts=(replace(ONE, state=HostState.HALTED),),
            datastores=(replace(DISKS, enabled=False),),
        ),
        "Enable datastore disks1; and put host host1 back to MANAGED (it is HALTED).",
    ),
]


@pytest.mark.parametrize(
    ("town", "told"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_this_is_advised(town: Town, told: str) -> None:
    """Among the advice for the refusal is this sentence, and all of it works."""
    found = advised(town)
    assert found is not None
    assert told in [sentence(advice) for advice in found]
    for advice in found:
        assert placed(followed(town, *advice.changes)), advice


def test_relocations_may_be_let_go_further() -> None:
    """A full rack is left only where the configuration says so."""
    town = _town(hosts=(ONE, TWO), datastores=(DISKS, OTHER), residents=(replace(FULL, cpu=1),))
    demand = moving(town.cluster, town.cluster.residents[0], RelocationScope.RACK)
    found = advised(replace(town, demand=demand))
    assert found is not None
    assert "Let relocations reach the whole datacenter." in [sentence(each) for each in found]


@pytest.mark.parametrize("hindered", [{"protected": True}, {"type": "VMX_04"}])
def test_a_vm_that_may_not_be_moved_is_not_moved(hindered: dict[str, object]) -> None:
    """Neither a protected one, nor one that no other host takes."""
    vm = replace(FULL, **hindered)  # type: ignore[arg-type]
    hosts = (ONE, replace(TWO, rack=1, cpus=10))
    only = replace(DEMAND, only=frozenset({1}))
    found = advised(_town(only, hosts=hosts, datastores=(DISKS, OTHER), residents=(vm,)))
    assert found
    assert not [each for each in found if "Move VM" in sentence(each)]


def test_what_no_edit_answers_has_no_advice() -> None:
    """Another type of hypervisor: nothing is made up."""
    assert advised(_town(replace(DEMAND, type="VMX_04"))) == ()


def test_light_comes_before_heavy_and_small_before_large() -> None:
    """Hardware is the last thing to be asked for."""
    hosts = (ONE, replace(TWO, cpus=4), replace(ONE, id=3, name="host3", state=HostState.HALTED))
    found = advised(_town(BIG, hosts=(*hosts,), datastores=(DISKS, OTHER)))
    assert found is not None
    kinds = [[type(change).__name__ for change in each.changes] for each in found]
    assert kinds[0] == ["RaiseRule"]
    assert kinds.index(["ShrinkDemand"]) < kinds.index(["AddCapacity"])
    assert [len(each) for each in kinds] == sorted(len(each) for each in kinds)


@pytest.mark.parametrize("town", [case[1] for case in CASES], ids=[case[0] for case in CASES])
def test_advice_goes_through_json(town: Town) -> None:
    """It crosses a process and is kept with its refusal."""
    for advice in advised(town) or ():
        assert msgspec.json.decode(msgspec.json.encode(to_json(advice)), type=Advice) == advice
        assert row(advice)["sentence"] == sentence(advice)
