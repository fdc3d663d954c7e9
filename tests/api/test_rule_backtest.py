"""A draft is asked what it would have made of the requests on record, on a running engine (B3)."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from gateway.analysis.rule_simulation import SimulationRequest
from gateway.lifecycle import Operation
from gateway.placement.holds import HoldRequest, HoldService
from gateway.service.analysis_process import AnalysisPool
from gateway.store.capacity import checkpoints
from gateway.store.capacity.checkpoints import CheckpointPace
from gateway.store.db.pool import Store
from scheduler.model.demand import Demand
from tests.api.ruleset_world import FIT, SETS, load
from tests.api.test_rules_in_effect import DC, RACK, Live, machines, serving_live, to
from tests.tasks.rig import CALLER, DISK, books_balance, ended

HOUSE = to(DC, "datacenter")


@pytest.fixture
async def live(store: Store) -> AsyncIterator[Live]:
    """The API over a running engine, with a checkpoint of before anything was asked."""
    async with serving_live(store) as made:
        await made.set("POST", "admin/rules/fitsPolicy", {"fitPolicy": "PROGRESSIVE"})
        await made.set("POST", "admin/rules/machineLoadLevel", load(13, 100, links=[HOUSE]))
        await checkpoints.take(store, CheckpointPace(), made.rig.sequencer.flush)
        yield made


def path(vm: int) -> str:
    app = 1 if vm <= 4 else 2
    return f"cloud/virtualdatacenters/{app}/virtualappliances/{app}/virtualmachines/{vm}"


async def act(live: Live, vm: int, action: str, body: Any = None) -> str:
    """Ask over HTTP, and how the task ended."""
    accepted = await live.set("POST", f"{path(vm)}/action/{action}", body)
    task = UUID(accepted["links"][0]["href"].rpartition("/")[2])
    return str((await ended(live.rig.store, task))["result"])


async def simulate(live: Live, *loads: dict[str, Any], query: str = "?days=1") -> dict[str, Any]:
    """What the rules would have made of what was asked so far."""
    await live.rig.sequencer.flush()
    body = {"machineLoadRules": [*loads], "fitPolicyRules": FIT}
    found = await live.set("POST", f"{SETS}/action/simulate{query}", body)
    history: dict[str, Any] = found.get("history", {})
    return history


def counts(found: dict[str, Any]) -> tuple[int, int, int]:
    return (
        found["refusedMore"]["count"],
        found["refusedLess"]["count"],
        found["moved"]["count"],
    )


async def a_day(live: Live) -> int:
    """Deploys up to the limit, a refusal, a move, departures and who comes after; how many
    decisions that makes."""
    for host in (3, 4):
        await live.set("PUT", f"{RACK}/machines/{host}", {"state": "HALTED"})
    assert [await act(live, vm, "deploy") for vm in (1, 2, 3, 4)] == ["success"] * 4
    assert await act(live, 5, "deploy") == "failure"
    assert await act(live, 1, "undeploy") == "success"
    assert await act(live, 5, "deploy") == "success"
    await live.set("PUT", f"{RACK}/machines/3", {"state": "MANAGED"})
    assert await act(live, 2, "relocate", {"links": machines(3)}) == "success"
    assert [await act(live, vm, "undeploy") for vm in (3, 4)] == ["success"] * 2
    assert [await act(live, vm, "deploy") for vm in (6, 7, 8, 1)] == ["success"] * 4
    assert await act(live, 3, "deploy") == "failure"
    await books_balance(live.rig.store, disks_measured=True)
    return 12


async def test_unchanged_rules_give_history_back(live: Live) -> None:
    """Bit for bit; and the process of its own says the same."""
    asked = await a_day(live)
    found = await simulate(live, load(13, 100, links=[HOUSE]))
    assert (found["requests"], found["same"]) == (asked, asked)
    assert (found["exact"], found["unlike"], found["firstUnlike"]) == (True, 0, None)
    assert (found["complete"], found["notAskedAgain"], found["absent"]) == (True, 0, 0)
    assert counts(found) == (0, 0, 0)
    assert found["peak"]["cpu"] == {"before": 6, "after": 6, "change": 0}
    async with live.rig.store.read() as c:
        rules = [dict(row) for row in await c.fetch("select * from rule order by id")]
    other = await AnalysisPool().foresee(live.rig.store, SimulationRequest(rules, [], days=1))
    assert {**other["history"], "since": None} == {**found, "since": None}


async def test_growth_in_place_and_held_places_are_made_again(live: Live) -> None:
    """The rules as they were give all back; under stricter ones the growth finds no room."""
    holder = HoldService(live.rig.store, live.rig.planner)
    demand = Demand(UUID(int=0), 1, 1024, DISK, "KVM", 1, "default", enterprise=1)
    hold = str(await holder.hold(HoldRequest("", 1, 1, 60.0, (demand, demand)), CALLER))
    for vm in (1, 2):
        assert (await live.rig.run(vm, Operation.DEPLOY, hold=hold))["result"] == "success"
    spare = await holder.hold(HoldRequest("", 1, 1, 60.0, (demand,)), CALLER)
    await holder.release(spare, CALLER)
    assert (await live.rig.run(1, Operation.POWER_OFF))["result"] == "success"
    moved = await live.rig.run(2, Operation.RELOCATE, host_id=None)
    assert moved["result"] == "success"
    for cpu, result in ((2, "success"), (3, "failure")):
        assert (await live.rig.run(1, Operation.RECONFIGURE, cpu=cpu))["result"] == result
    found = await simulate(live, load(13, 100, links=[HOUSE]))
    assert (found["requests"], found["same"], found["notAskedAgain"]) == (4, 3, 1)
    assert (found["exact"], found["firstUnlike"], found["unknownDepartures"]) == (True, None, 0)
    assert found["grown"] == {"count": 1, "refused": 0, "absent": 0}
    assert found["peak"]["cpu"] == {"before": 3, "after": 3, "change": 0}
    stricter = await simulate(live, load(12, 100, links=[HOUSE]))
    assert stricter["grown"] == {"count": 1, "refused": 1, "absent": 0}
    nothing = await simulate(live, load(0, 100, links=[HOUSE]))
    assert nothing["grown"] == {"count": 1, "refused": 0, "absent": 1}


async def test_a_departure_that_nobody_named_is_unknown(live: Live) -> None:
    """As releases were told once: the VM stays under the draft, and the answer says so."""
    assert await act(live, 1, "deploy") == "success"
    assert await act(live, 1, "undeploy") == "success"
    await live.rig.sequencer.flush()
    async with live.rig.store.transaction() as c:
        await c.execute("update feed set payload = payload - 'vms' where topic = 'inventory'")
    found = await simulate(live, load(13, 100, links=[HOUSE]))
    assert (found["unknownDepartures"], found["exact"], found["same"]) == (1, True, 1)


def told(found: dict[str, Any], word: str) -> list[int]:
    return [one["vm"] for one in found[word]["listed"]]


async def test_a_stricter_rule_names_what_it_would_have_refused(live: Live) -> None:
    """One vCPU a machine: each VM leaves when it left in history, and frees what it has now."""
    await a_day(live)
    found = await simulate(live, load(12, 100, links=[HOUSE]))
    assert told(found, "refusedMore") == [3, 4, 7, 8, 1]
    assert (found["refusedMore"]["count"], found["refusedLess"]["count"]) == (5, 0)
    assert found["exact"] is True
    first = found["refusedMore"]["listed"][0]
    assert (first["vmName"], first["kind"], first["hostAfter"]) == ("vm-3", "deploy", None)
    assert first["hostBefore"] in ("host-1", "host-2")
    assert "CPU" in first["reasons"]
    assert first["summary"]
    kept = await live.set("GET", f"admin/decisions/{first['decision']}")
    assert kept["timestamp"][:19] == first["timestamp"][:19]
    assert found["peak"]["cpu"] == {"before": 6, "after": 3, "change": -3}
    assert 2 in told(found, "moved")


async def test_under_a_looser_rule_the_refusals_are_gone(live: Live) -> None:
    """And who was placed in the end holds no more than its one place."""
    await a_day(live)
    found = await simulate(live, load(19, 100, links=[HOUSE]))
    assert told(found, "refusedLess") == [5, 3]
    assert found["refusedMore"] == {"count": 0, "listed": []}
    assert found["refusedLess"]["listed"][0]["hostBefore"] is None
    assert found["refusedLess"]["listed"][0]["hostAfter"] in ("host-1", "host-2")
    assert found["peak"]["cpu"] == {"before": 6, "after": 7, "change": 1}


async def test_a_sum_that_nobody_kept_is_counted_all_the_same(live: Live) -> None:
    """Three vCPUs in the whole rack; who moves within it needs no more."""
    await a_day(live)
    summed = load(5, 100, links=[to(RACK, "rack")]) | {"aggregated": True}
    found = await simulate(live, load(13, 100, links=[HOUSE]), summed)
    assert told(found, "refusedMore") == [4, 7, 8, 1]
    assert "AGGREGATED_CPU" in found["refusedMore"]["listed"][0]["reasons"]
    # While it moves a VM is promised both places.
    assert (found["absent"], found["peak"]["cpu"]["after"]) == (0, 4)


async def test_who_was_refused_has_nothing_to_move(live: Live) -> None:
    """Nothing at all is placed; the move is about a VM that is nowhere."""
    await a_day(live)
    found = await simulate(live, load(0, 100, links=[HOUSE]))
    assert (found["absent"], found["peak"]["cpu"]["after"]) == (1, 0)
    assert found["refusedMore"]["count"] == 9


async def test_a_changed_record_is_not_exact(live: Live) -> None:
    """Unchanged rules are asked alongside any draft, and the first difference is named."""
    await a_day(live)
    moved = """update decision set body = convert_to(replace(convert_from(body, 'UTF8'),
      '"score":', '"score":1'), 'UTF8') where id = (select id from decision where host_id = 3
      order by position limit 1) returning id"""
    async with live.rig.store.transaction() as c:
        changed = await c.fetchval(moved)
    found = await simulate(live, load(13, 100, links=[HOUSE]))
    assert (found["exact"], found["unlike"]) == (False, 1)
    assert found["firstUnlike"]["decision"] == str(changed)
    assert "asked again" in found["firstUnlike"]["why"]


async def test_how_far_it_looks_back_is_asked_for(live: Live) -> None:
    """A week when nothing is said, not at all for 0; without any request nothing differs."""
    assert (await simulate(live, query=""))["days"] == 7
    found = await simulate(live)
    assert (found["requests"], found["exact"], found["complete"]) == (0, True, True)
    assert await simulate(live, query="?days=0") == {}
    for days in ("x", "-1", "3651", "1.5"):
        body = {"machineLoadRules": [], "fitPolicyRules": FIT}
        refused = await live.api.call("POST", f"{SETS}/action/simulate?days={days}", body)
        assert refused.status == 400
