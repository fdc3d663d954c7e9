"""Relocation over HTTP: who fits and why others do not, and each refusal by its code."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.store.db.pool import Store
from tests.api import vm_world
from tests.api.vm_client import Answer, Api, serving


@pytest.fixture
async def api(store: Store) -> AsyncIterator[Api]:
    """The API over the small world."""
    async with serving(store) as opened:
        yield opened


def to(host: int, rel: str = "machine") -> dict[str, Any]:
    """A body that names a host."""
    href = f"{vm_world.ROOT}admin/datacenters/1/racks/1/machines/{host}"
    return {"links": [{"rel": rel, "href": href}]}


async def running(api: Api, host: int = 1) -> str:
    """A VM that is ON on a host."""
    vm = await api.make()
    await api.put(vm, "ON", host)
    return vm


async def relocate(api: Api, vm: str, body: Any, query: str = "") -> Answer:
    """Ask for a move."""
    return await api.call("POST", f"{vm}/action/relocate{query}", body)


async def test_every_host_in_scope_is_in_exactly_one_list(api: Api) -> None:
    """M-023, M-021."""
    answer = await api.call("GET", f"{await running(api)}/action/relocatecandidates")
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("application/vnd.abiquo.machines+json")
    body = answer.body
    fitting = [machine["id"] for machine in body["collection"]]
    rejected = [machine["id"] for machine in body["rejected"]]
    assert fitting == [2]
    assert sorted([*fitting, *rejected, body["current"]["id"]]) == [1, 2, 3, 4, 6]
    lacks = {one["id"]: {why["lack"] for why in one["reasons"]} for one in body["rejected"]}
    assert "SAME_RACK" in lacks[3]
    assert "HYPERVISOR_TYPE" in lacks[4]
    assert {"CPU", "MEMORY"} <= lacks[6]
    cpu = next(why for one in body["rejected"] for why in one["reasons"] if why["lack"] == "CPU")
    assert (cpu["wanted"], cpu["limit"], cpu["shortfall"]) == (2, 1, 1)


async def test_a_candidate_shows_its_room_before_and_after(api: Api) -> None:
    """M-024."""
    vm = await running(api)
    (machine,) = (await api.call("GET", f"{vm}/action/relocatecandidates")).body["collection"]
    assert machine["cpuRoom"] == {
        "limit": 16,
        "used": 0,
        "headroomBefore": 16,
        "headroomAfter": 14,
    }
    assert machine["ramRoom"]["headroomAfter"] == 65536 - 256
    assert machine["sampleAgeInSeconds"] >= 0
    assert machine["virtualMachinesRunning"] == 0
    (place,) = machine["datastores"]["collection"]
    assert place["room"]["headroomBefore"] == place["room"]["headroomAfter"]


async def test_the_old_host_is_a_candidate_afterwards(api: Api) -> None:
    """M-029."""
    vm = await running(api)
    await api.put(vm, "ON", 2)
    body = (await api.call("GET", f"{vm}/action/relocatecandidates")).body
    assert [machine["id"] for machine in body["collection"]] == [1]
    assert body["current"]["id"] == 2


@pytest.mark.parametrize("state", ["ON", "PAUSED", "OFF"])
async def test_a_move_is_accepted(api: Api, state: str) -> None:
    """M-025, M-031."""
    vm = await running(api)
    await api.put(vm, state, 1)
    answer = await relocate(api, vm, to(2))
    assert answer.status == 202
    assert (await api.row("select payload from task"))["host_id"] == 2
    body = (await api.call("GET", vm)).body
    assert (body["state"], body["displayState"]) == ("LOCKED", "RELOCATING")
    assert api.woken


@pytest.mark.parametrize(("body", "query"), [(to(2), ""), (None, "?target=any")])
async def test_who_else_moves_vms_is_said_with_the_answer(api: Api, body: Any, query: str) -> None:
    """B9: it is moved all the same, and the candidates and the machine say so too."""
    async with api.store.transaction() as c:
        await c.execute("update host set mover = 'DRS' where id in (1, 2)")
    vm = await running(api)
    found = (await api.call("GET", f"{vm}/action/relocatecandidates")).body
    assert [one["movedBy"] for one in (found["current"], *found["collection"])] == ["DRS", "DRS"]
    machine = await api.call("GET", "admin/datacenters/1/racks/1/machines/1")
    assert machine.body["movedBy"] == "DRS"
    answer = await relocate(api, vm, body, query)
    assert answer.status == 202
    assert "DRS moves virtual machines here automatically" in answer.headers["Warning"]


async def test_where_nobody_else_moves_vms_there_is_no_warning(api: Api) -> None:
    answer = await relocate(api, await running(api), to(2))
    assert (answer.status, "Warning" in answer.headers) == (202, False)


async def test_any_leaves_the_choice_to_the_scheduler(api: Api) -> None:
    """M-026."""
    answer = await relocate(api, await running(api), None, "?target=any")
    assert answer.status == 202
    assert (await api.row("select payload from task"))["host_id"] is None


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (None, 409, "VM-RELOCATE-1"),
        ({}, 409, "VM-RELOCATE-1"),
        (to(2, "host"), 409, "VM-RELOCATE-1"),
        (to(6), 409, "VM-RELOCATE-2"),
        (to(5), 409, "VM-RELOCATE-6"),
        (to(3), 409, "VM-RELOCATE-7"),
        (to(1), 409, "VM-RELOCATE-8"),
        (to(4), 409, "VM-RELOCATE-9"),
        (to(99), 404, "MACHINE-0"),
        ({"links": [{"rel": "machine", "href": "x"}]}, 400, "400-BAD-REQUEST"),
        ({"links": [{"rel": "machine"}]}, 400, "400-BAD-REQUEST"),
        ([], 400, "400-BAD-REQUEST"),
    ],
)
async def test_each_refusal_has_its_code(api: Api, body: Any, status: int, code: str) -> None:
    """M-025."""
    answer = await relocate(api, await running(api), body)
    assert (answer.status, answer.code) == (status, code)
    assert await api.row("select count(*) from task") == 0


@pytest.mark.parametrize("state", ["NOT_ALLOCATED", "ALLOCATED", "UNKNOWN"])
async def test_only_a_deployed_vm_moves(api: Api, state: str) -> None:
    """M-031."""
    vm = await api.make()
    await api.put(vm, state, 1)
    for answer in (
        await relocate(api, vm, to(2)),
        await api.call("GET", f"{vm}/action/relocatecandidates"),
    ):
        assert (answer.status, answer.code) == (409, "VM-RELOCATE-4")


async def test_an_unknown_target_word_is_refused(api: Api) -> None:
    answer = await relocate(api, await running(api), None, "?target=best")
    assert answer.status == 400
    assert "target" in answer.message
