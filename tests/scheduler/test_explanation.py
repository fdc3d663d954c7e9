"""Refusals are told in sentences with names and numbers, and in rows for JSON (M-052)."""

import json

import pytest

from scheduler.decisions.explanation import (
    decision,
    requirement,
    rows,
    sentence,
    size,
    summary,
    topic,
)
from scheduler.fleet.ranking import FitPolicy
from scheduler.fleet.refusal_stats import NEAREST_MAX
from scheduler.model.inventory import Host, HostState
from scheduler.model.placement import Placement, Refusal
from scheduler.model.reason import Reason, ReasonCode
from scheduler.model.values import replace
from tests.scheduler.places import DATASTORE, DEMAND, HOST, World, fleet_of

ASKED = replace(DEMAND, cpu=9, disk_bytes=2**30)


def _refused(*hosts: Host) -> Refusal:
    world = World(hosts, (replace(DATASTORE, limit_bytes=2**31, rule="rule 3"),))
    answer = fleet_of(world).place(ASKED, FitPolicy.PROGRESSIVE)
    assert isinstance(answer, Refusal)
    return answer


def _hosts(count: int) -> list[Host]:
    return [replace(HOST, id=n, name=f"esx{n}") for n in range(1, count + 1)]


def test_all_candidates_oversubscribed() -> None:
    """M-052: how many, which resource, what the VM needs, and their names."""
    one, two = _hosts(2)
    told = summary(_refused(one, replace(two, ram_used_mib=8192)))
    assert told == (
        "All 2 candidate hosts are oversubscribed by the current workload rules "
        "(CPU on 2, RAM on 1). "
        "The VM requires 9 CPU -- 128 RAM (MiB) -- 1 GiB disk. "
        "Candidates: esx1, esx2."
    )


def test_hosts_that_are_no_candidates_are_counted_apart() -> None:
    """M-052: what is not full but wrong is not called oversubscribed."""
    one, two, three = _hosts(3)
    told = summary(
        _refused(one, replace(two, state=HostState.HALTED), replace(three, type="VMX_04"))
    )
    assert told == (
        "The only candidate host is oversubscribed by the current workload rules (CPU on 1). "
        "The VM requires 9 CPU -- 128 RAM (MiB) -- 1 GiB disk. "
        "Candidate: esx1. "
        "2 hosts could not be considered: 1 of another hypervisor type, 1 not MANAGED."
    )


def test_no_candidate_at_all() -> None:
    """M-052: an empty datacenter is said to be none of anybody's fault."""
    assert summary(_refused()) == (
        "No host is a candidate for the VM. The VM requires 9 CPU -- 128 RAM (MiB) -- 1 GiB disk."
    )


def test_a_host_that_nobody_knows_is_named() -> None:
    """M-025: asked for by an id that is not there."""
    demand = replace(DEMAND, only=frozenset({77}))
    answer = fleet_of(World((HOST,), (DATASTORE,))).place(demand, FitPolicy.PROGRESSIVE)
    assert isinstance(answer, Refusal)
    assert summary(answer).endswith(
        "1 host could not be considered: 1 not asked for. Not known: host 77."
    )


def test_neither_a_summary_nor_its_rows_grow_with_the_fleet() -> None:
    """All hosts are counted and the nearest are told; the whole table is another request."""
    refusal = _refused(*_hosts(500))
    assert summary(refusal).endswith("esx19, esx20 and 480 more.")
    assert len(summary(refusal)) < 500
    assert refusal.hosts == 500
    assert len(rows(refusal)) == NEAREST_MAX


def test_rows_carry_rule_wanted_spare_and_the_datastores_tried() -> None:
    """M-052: the structured form says all that was compared, and survives JSON."""
    (host,) = _hosts(1)
    told = rows(_refused(replace(host, cpu_rule="rule 4: rack1 CPU 100 %")))
    assert json.loads(json.dumps(told)) == told
    assert told == [
        {
            "host": 1,
            "name": "esx1",
            "candidate": True,
            "reasons": [
                {
                    "lack": "CPU",
                    "wanted": 9,
                    "spare": 8,
                    "limit": 8,
                    "shortfall": 1,
                    "rule": "rule 4: rack1 CPU 100 %",
                    "where": "",
                    "lasting": True,
                    "sentence": "CPU: 9 wanted, 8 spare of 8 (by rule 4: rack1 CPU 100 %).",
                }
            ],
            "datastores": [
                {
                    "id": 1,
                    "name": "disks1",
                    "enabled": True,
                    "spare": 2**31,
                    "limit": 2**31,
                    "rule": "rule 3",
                }
            ],
        }
    ]


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (Reason(ReasonCode.CPU, 2, 1, 8), "CPU: 2 wanted, 1 spare of 8 (by the physical amount)."),
        (
            Reason(ReasonCode.MEMORY, 512, -64, 4096, "rule 2"),
            "RAM: 512 MiB wanted, -64 MiB spare of 4096 MiB (by rule 2).",
        ),
        (
            Reason(ReasonCode.STORAGE, 2**31, 2**20, 2**40, "rule 3", "datastore nfs1"),
            "Disk space of datastore nfs1: 2 GiB wanted, 1 MiB spare of 1 TiB (by rule 3).",
        ),
        (
            Reason(ReasonCode.AGGREGATED_CPU, 4, 0, 64, "rule 7", "rack r1"),
            "CPU of rack r1: 4 wanted, 0 spare of 64 (by rule 7).",
        ),
        (
            Reason(ReasonCode.HYPERVISOR_TYPE, "KVM", "VMX_04"),
            "Its hypervisor runs VMX_04 and the VM is KVM.",
        ),
        (
            Reason(ReasonCode.HOST_STATE, "MANAGED", "HALTED"),
            "It is HALTED, and only a MANAGED host takes VMs.",
        ),
        (Reason(ReasonCode.SAME_RACK, spare="r2"), "It is in rack r2, and the VM in another."),
        (Reason(ReasonCode.NETWORK, "lan"), "It does not map the network lan."),
    ],
)
def test_a_reason_is_one_sentence(reason: Reason, expected: str) -> None:
    """M-052."""
    assert sentence(reason) == expected


@pytest.mark.parametrize("lack", ReasonCode)
def test_every_lack_has_a_sentence(lack: ReasonCode) -> None:
    """The set is closed, and so is the vocabulary."""
    told = sentence(Reason(lack, "a", "b", 1))
    assert told.endswith(".")
    assert "None" not in told
    assert topic(lack)


@pytest.mark.parametrize(
    ("amount", "expected"),
    [(0, "0 bytes"), (1, "1 bytes"), (2**20 + 1, "1048577 bytes"), (3 * 2**40, "3 TiB")],
)
def test_sizes_are_exact(amount: int, expected: str) -> None:
    """No size is rounded."""
    assert size(amount) == expected


def test_the_requirement_reads_as_the_product_does() -> None:
    """M-052: "1 CPU -- 128 RAM"."""
    assert requirement(DEMAND).startswith("1 CPU -- 128 RAM")


def test_a_decision_can_be_stored() -> None:
    """A placement tells what was chosen and which rows it had seen."""
    answer = fleet_of(World((HOST,), (DATASTORE,))).place(DEMAND, FitPolicy.PERFORMANCE)
    assert isinstance(answer, Placement)
    told = decision(answer)
    assert json.loads(json.dumps(told)) == told
    assert (told["host"], told["datastore"], told["policy"]) == (1, 1, "PERFORMANCE")
