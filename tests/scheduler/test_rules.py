"""Each rule by its mission row: what passes, and the exact reason of what does not."""

import pkgutil
from collections.abc import Callable
from importlib import import_module
from inspect import getmembers, isfunction

import pytest

import scheduler.rules
from scheduler.model.demand import Demand
from scheduler.model.inventory import Candidate, HostState
from scheduler.model.reason import Reason, ReasonCode
from scheduler.model.values import replace
from scheduler.rule_registry import RULES, first_lack, objections
from tests.scheduler.places import DEMAND, HOST, ORIGIN, VM, candidate
from tests.scheduler.rule_cases import APART, OBJECTING, PASSING, RACK


@pytest.mark.parametrize(
    ("demand", "at"), [case[1:] for case in PASSING], ids=[case[0] for case in PASSING]
)
def test_no_rule_objects(demand: Demand, at: Candidate) -> None:
    """The host will do."""
    assert objections(demand, at) == ()
    assert first_lack(demand, at) is None


@pytest.mark.parametrize(
    ("demand", "at", "reason"),
    [case[1:] for case in OBJECTING],
    ids=[case[0] for case in OBJECTING],
)
def test_exactly_one_rule_objects(demand: Demand, at: Candidate, reason: Reason) -> None:
    """One thing is wrong, and that and nothing else is said."""
    assert objections(demand, at) == (reason,)
    assert first_lack(demand, at) is reason.lack


@pytest.mark.parametrize("state", [state for state in HostState if state != HostState.MANAGED])
def test_only_a_managed_host_takes_vms(state: HostState) -> None:
    """M-043."""
    found = objections(DEMAND, candidate(replace(HOST, state=state)))
    assert found == (Reason(ReasonCode.HOST_STATE, wanted="MANAGED", spare=state.value),)


def test_every_reason_is_told_not_only_the_first() -> None:
    """M-052: a host that lacks everything says so."""
    nowhere = replace(
        HOST,
        datacenter=2,
        type="VMX_04",
        state=HostState.HALTED,
        reachable=False,
        cpu_limit=0,
        ram_limit_mib=0,
    )
    full = replace(RACK, cpu_used=10, ram_used_mib=1000, disk_used_bytes=500)
    origin = replace(ORIGIN, rack=2, hypervisor="vc2")
    asked = replace(
        DEMAND,
        network="san",
        only=frozenset({2}),
        origin=origin,
        enterprise=1,
        layer=1,
        refused=((1, "full"),),
    )
    nowhere = replace(nowhere, reserved_for=2, enterprises=frozenset({2}), layers=frozenset({1}))
    at = Candidate(nowhere, (), full, rules=APART)
    lacks = [each.lack for each in objections(asked, at)]
    assert set(ReasonCode) - set(lacks) == {
        ReasonCode.SAME_HOST,
        ReasonCode.STORAGE,
        ReasonCode.TIER,
    }
    assert len(lacks) == len(set(lacks))


def test_each_lack_has_a_case() -> None:
    """A rule without a line in the tables above is red."""
    assert {case[3].lack for case in OBJECTING} | {ReasonCode.HOST_STATE} == set(ReasonCode)


def test_each_rule_file_is_in_the_rulebook() -> None:
    """A rule that nobody asks is red: every public function of every file is listed once."""
    found: set[Callable[..., object]] = set()
    for module in pkgutil.iter_modules(scheduler.rules.__path__):
        loaded = import_module(f"scheduler.rules.{module.name}")
        own = [one for name, one in getmembers(loaded, isfunction) if not name.startswith("_")]
        found.update(one for one in own if one.__module__ == loaded.__name__)
    assert found == set(RULES)
    assert len(RULES) == len(set(RULES))


def test_waiting_helps_only_where_something_passes() -> None:
    """A full host empties; a wrong hypervisor stays wrong, and so does a limit below the demand."""
    passing = {
        ReasonCode.CPU,
        ReasonCode.MEMORY,
        ReasonCode.STORAGE,
        ReasonCode.REFUSED,
        ReasonCode.HOST_STATE,
        ReasonCode.UNREACHABLE,
        ReasonCode.EXCLUDED,
        ReasonCode.LAYER,
        ReasonCode.AGGREGATED_CPU,
        ReasonCode.AGGREGATED_MEMORY,
        ReasonCode.AGGREGATED_STORAGE,
    }
    assert {lack for lack in ReasonCode if not lack.lasting} == passing
    assert not Reason(ReasonCode.CPU, 8, 0, 8).lasting
    assert Reason(ReasonCode.CPU, 9, 0, 8).lasting
    assert not Reason(ReasonCode.STORAGE, 9, 0, 8).lasting
    assert Reason(ReasonCode.NETWORK, "lan").lasting


@pytest.mark.parametrize("amounts", [(-1, 0, 0), (0, -1, 0), (0, 0, -1)])
def test_a_negative_demand_is_refused(amounts: tuple[int, int, int]) -> None:
    """It would make room out of nothing."""
    with pytest.raises(ValueError, match="negative"):
        Demand(VM, *amounts, type="KVM", datacenter=1)
