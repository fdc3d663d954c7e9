"""Plans and headroom over HTTP: proposals with their reasons, approvals, and what still fits."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.analysis.headroom_report import HeadroomQuestion
from gateway.plans.requests import Reckoning, reckon
from gateway.service.analysis_process import AnalysisPool
from gateway.store.capacity import ledger
from gateway.store.db.pool import Store
from scheduler.plan.move_schedule import Capacities
from tests.api import vm_world
from tests.api.test_holds import body as hold_body
from tests.api.test_relocation import running
from tests.api.vm_client import Api, number, serving

MACHINE = {"rel": "machine", "href": f"{vm_world.ROOT}admin/datacenters/1/racks/1/machines/1"}
DATACENTER = {"rel": "datacenter", "href": f"{vm_world.ROOT}admin/datacenters/1"}
DRAIN = {"kind": "drain", "links": [MACHINE]}


@pytest.fixture
async def api(store: Store, request: pytest.FixtureRequest) -> AsyncIterator[Api]:
    """The API over the small world, with two VMs booked on the first host; where `[plans]` is not
    the default, its `host_units` is the parameter."""
    units = getattr(request, "param", 8)
    async with serving(store, capacities=Capacities(host=units)) as opened:
        for _ in range(2):
            vm = number(await running(opened))
            async with store.transaction() as c:
                await c.execute(
                    """insert into booking (vm_id, host_id, datastore_id, task_id, cpu, ram_mib,
                         disk_bytes) select id, 1, 1, gen_random_uuid(), cpu, ram_mib, disk_bytes
                       from vm where id = $1""",
                    vm,
                )
                await ledger.refresh_limits(c)
        yield opened


async def test_a_drain_is_proposed_shown_and_cancelled(api: Api) -> None:
    made = await api.call("POST", "admin/plans", DRAIN)
    assert made.status == 201
    body = made.body
    assert (body["kind"], body["state"], body["machine"]) == ("drain", "PROPOSED", 1)
    assert (body["closes"], body["empties"], body["totalMoves"]) == ([1], [1], 2)
    moves = body["moves"]["collection"]
    assert [move["number"] for move in moves] == [0, 1]
    assert {move["source"]["name"] for move in moves} == {"h1"}
    assert {move["target"]["name"] for move in moves} == {"h2"}
    assert {move["reason"] for move in moves} == {"EMPTIES"}
    assert moves[0]["gainPercent"] == 50
    assert moves[0]["cost"] == {"ram": 256, "disk": 0}
    path = f"admin/plans/{body['id']}"
    assert (await api.call("GET", path)).body == body
    (listed,) = (await api.call("GET", "admin/plans")).body["collection"]
    assert listed["id"] == body["id"]
    assert "moves" not in listed
    cancelled = await api.call("POST", f"{path}/action/cancel")
    assert (cancelled.status, cancelled.body["state"]) == (200, "CANCELLED")
    again = await api.call("POST", f"{path}/action/approve")
    assert (again.status, again.code) == (409, "PLAN-1")


async def test_an_approval_closes_the_machine(api: Api) -> None:
    made = (await api.call("POST", "admin/plans", DRAIN)).body
    path = f"admin/plans/{made['id']}/action/approve"
    for wrong in ({"moves": [7]}, {"moves": "all"}, {"moves": [True]}):
        answer = await api.call("POST", path, wrong)
        assert (answer.status, answer.body["collection"][0]["field"]) == (400, "moves")
    approved = await api.call("POST", path, {"moves": [1]})
    assert approved.body["state"] == "RUNNING"
    states = [move["state"] for move in approved.body["moves"]["collection"]]
    assert states == ["PROPOSED", "APPROVED"]
    machine = await api.call("GET", "admin/datacenters/1/racks/1/machines/1")
    assert machine.body["state"] == "NOT_MANAGED"
    vm = await api.make()
    placed = (await api.call("GET", f"{vm}/action/relocatecandidates")).status
    assert placed in (200, 409)


async def test_a_vm_whose_state_is_unknown_is_blocked_as_that(api: Api) -> None:
    """Fault T4: it is no VM that was moved a short while ago, and the plan says why it stays."""
    async with api.store.transaction() as c:
        await c.execute("update vm set state = 'UNKNOWN'")
    made = (await api.call("POST", "admin/plans", DRAIN)).body
    assert [each["reasons"] for each in made["blocked"]] == [["UNKNOWN"]] * 2
    assert all("unknown" in each["message"] for each in made["blocked"])


async def test_a_blocked_vm_is_told_with_its_reasons(api: Api) -> None:
    async with api.store.transaction() as c:
        await c.execute("update host set state = 'HALTED' where id = 2")
        await ledger.refresh_limits(c)
    body = (await api.call("POST", "admin/plans", DRAIN)).body
    assert body["moves"]["collection"] == []
    assert len(body["blocked"]) == 2
    assert {"HOST_STATE", "SAME_RACK"} <= set(body["blocked"][0]["reasons"])
    assert body["blocked"][0]["name"]


async def test_a_plan_moves_no_vm_that_its_hypervisor_cannot_move(api: Api) -> None:
    """M-022: as a request to relocate it would be refused."""
    async with api.store.transaction() as c:
        await c.execute("update host set type = 'azurecompute-arm'")
        await c.execute("update vm set type = 'azurecompute-arm'")
        await ledger.refresh_limits(c)
    made = (await api.call("POST", "admin/plans", DRAIN)).body
    assert made["totalMoves"] == 0
    assert [each["reasons"] for each in made["blocked"]] == [["UNSUPPORTED"]] * 2


@pytest.mark.parametrize("kind", ["rebalance", "consolidate"])
async def test_the_other_kinds_are_about_a_datacenter(api: Api, kind: str) -> None:
    made = await api.call("POST", "admin/plans", {"kind": kind, "links": [DATACENTER]})
    assert (made.status, made.body["kind"]) == (201, kind)


@pytest.mark.parametrize(
    ("wrong", "status", "field"),
    [
        ({"kind": "tidy"}, 400, "kind"),
        ({"kind": "drain", "links": [DATACENTER]}, 400, "links[machine]"),
        ({"kind": "rebalance", "links": [MACHINE]}, 400, "links[datacenter]"),
        ({**DRAIN, "movesMaxPercent": 101}, 400, "movesMaxPercent"),
        ({**DRAIN, "pinned": ["x"]}, 400, "pinned"),
        (
            {"kind": "drain", "links": [{"rel": "machine", "href": "x/machines/99"}]},
            404,
            "links[machine]",
        ),
        (
            {"kind": "rebalance", "links": [{"rel": "datacenter", "href": "x/datacenters/99"}]},
            404,
            "links[datacenter]",
        ),
    ],
)
async def test_what_is_wrong_is_named(
    api: Api, wrong: dict[str, Any], status: int, field: str
) -> None:
    answer = await api.call("POST", "admin/plans", wrong)
    assert (answer.status, answer.body["collection"][0]["field"]) == (status, field)


@pytest.mark.parametrize("id", ["x", "25437e6e-7cf8-4cfb-aa88-c879a2608919"])
async def test_a_plan_that_does_not_exist(api: Api, id: str) -> None:
    for method, path in (("GET", ""), ("POST", "/action/approve"), ("POST", "/action/cancel")):
        answer = await api.call(method, f"admin/plans/{id}{path}")
        assert (answer.status, answer.code) == (404, "PLAN-0")


async def test_headroom_says_what_fits_with_and_without_holds(api: Api) -> None:
    """Hosts 1 to 3 have 12, 16 and 16 of 16 CPUs left; host 6 has 1."""
    path = "admin/headroom?datacenter=1&cpu=4&ram=1024&disk=1024"
    body = (await api.call("GET", path)).body
    assert body["size"] == {"cpu": 4, "ram": 1024, "disk": 1024}
    assert (body["fits"], body["fitsWithoutHolds"]) == (11, 11)
    assert body["biggest"]["cpu"] == 16
    assert body["biggest"]["shapes"] == [{"cpu": 16, "ram": 65536}]
    made = await api.call("POST", "admin/holds", hold_body({"cpu": 8}))
    assert made.status == 201
    body = (await api.call("GET", path)).body
    assert (body["fits"], body["fitsWithoutHolds"]) == (9, 11)
    held = next(link for link in made.body["places"]["collection"][0]["links"])
    host = next(one for one in body["machines"] if one["id"] == number(held["href"]))
    assert host["cpu"]["freeNow"] - host["cpu"]["freeAfterHolds"] == 8
    (store,) = body["datastores"]
    assert store["freeNow"] > store["freeAfterHolds"] > 0


async def test_headroom_with_any_one_machine_lost(api: Api) -> None:
    """Losing an empty host of 16 CPUs costs four places, and the two VMs of h1 fit on h2."""
    found = (await api.call("GET", "admin/headroom?datacenter=1&cpu=4")).body["anyMachineLost"]
    assert (found["safe"], found["unsafe"]) == (True, [])
    assert found["fits"] <= found["worst"]["fits"] == 7
    async with api.store.transaction() as c:
        await c.execute("update host set state = 'HALTED' where id = 2")
        await ledger.refresh_limits(c)
    found = (await api.call("GET", "admin/headroom?datacenter=1&cpu=4")).body["anyMachineLost"]
    assert (found["safe"], found["unsafe"]) == (False, [1])
    assert (found["worst"]["name"], found["worst"]["homeless"]) == ("h1", 2)


@pytest.mark.parametrize(
    ("query", "status", "field"),
    [
        ("", 400, "datacenter"),
        ("datacenter=9", 404, "datacenter"),
        ("datacenter=1&cpu=x", 400, "cpu"),
        ("datacenter=1&ram=-1", 400, "ram"),
        ("datacenter=1&disk=1e9", 400, "disk"),
    ],
)
async def test_a_wrong_question_is_named(api: Api, query: str, status: int, field: str) -> None:
    answer = await api.call("GET", f"admin/headroom?{query}")
    assert (answer.status, answer.body["collection"][0]["field"]) == (status, field)


@pytest.mark.parametrize(("api", "begins"), [(1, [0, 256]), (8, [0, 0])], indirect=["api"])
async def test_the_timeline_is_of_what_machines_carry_here(api: Api, begins: list[int]) -> None:
    """As many moves at once as `[plans]` allows."""
    made = await api.call("POST", "admin/plans", DRAIN)
    assert [move["beginsAtMib"] for move in made.body["moves"]["collection"]] == begins


async def test_a_process_of_its_own_gives_the_same_answer(api: Api) -> None:
    question = Reckoning(headroom=HeadroomQuestion(1, "KVM", 4, 1024, 1024))
    assert await AnalysisPool().reckon(api.store, question) == await reckon(api.store, question)


async def test_tenants_neither_plan_nor_look(api: Api) -> None:
    for method, path in (
        ("POST", "admin/plans"),
        ("GET", "admin/plans"),
        ("GET", "admin/headroom?datacenter=1"),
    ):
        assert (await api.call(method, path, user="actor")).status == 403
