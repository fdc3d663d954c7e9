"""Decisions over HTTP: who sees what, where links lead, and the table made again (B1, P1)."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from gateway.api.auth import passwords
from gateway.cli.why import why
from gateway.events.event import Event, Severity, emit
from gateway.events.sequencer import Sequencer
from gateway.placement.decision_log import Subject, refusal_detail, to_store
from gateway.placement.demand import demand_of
from gateway.placement.fleet_mirror import FleetMirror
from gateway.store import vm_record
from gateway.store.capacity import checkpoints, decisions
from gateway.store.capacity.checkpoints import CheckpointPace
from gateway.store.capacity.decisions import NewDecision
from gateway.store.db.pool import Store
from scheduler.decisions.decision import of_answer
from scheduler.model.values import replace
from tests.api import vm_world
from tests.api.vm_client import Answer, Api, number, serving

HOSTS = ("h1", "h2", "h3", "h4", "h6")
SMALLER = {"changes": [{"kind": "SHRINK_DEMAND", "cpu": 16}], "sentence": "Ask for no more."}
ADVICE = [
    {"changes": [{"kind": "MANAGE_HOST", "host": 1, "name": "h1"}], "sentence": "Put h1 back."},
    {**SMALLER, "host": 1, "datastore": 1},
]
"""One that names a host, and one that the request's owner can follow."""


@pytest.fixture
async def api(store: Store) -> AsyncIterator[Api]:
    """The API over the small world, with one checkpoint."""
    async with serving(store) as opened:
        await checkpoints.take(store, CheckpointPace(), Sequencer(store).flush)
        yield opened


async def decided(api: Api, vm: str, *, cpu: int | None = None, task: Any = None) -> NewDecision:
    """Put a decision about the VM on record, as the reserve step of a task would."""
    planner = FleetMirror(api.store, Sequencer(api.store))
    await planner.load()
    if cpu is not None:
        async with api.store.transaction() as c:
            await c.execute("update vm set cpu = $2 where id = $1", number(vm), cpu)
    async with api.store.read() as c:
        record = await vm_record.load(c, number(vm))
    question, answer = await planner.decide(demand_of(record))
    made = of_answer(question, answer)
    stored = to_store(Subject("deploy", record.id, record.enterprise_id, task), made)
    details = {"decision": str(stored.id)}
    if made.refused is not None:
        stored = replace(stored, advice=ADVICE)
        details = refusal_detail(stored, made) | {"advice": ADVICE}
    async with api.store.transaction() as c:
        await decisions.put_many(c, [stored])
        await emit(
            c,
            Event(
                "VIRTUAL_MACHINE",
                "SCHEDULE",
                record.id,
                severity=Severity.ERROR,
                enterprise_id=record.enterprise_id,
                details=details,
            ),
        )
    await api.sequence()
    return stored


async def read(api: Api, stored: NewDecision, user: str = "admin", **headers: str) -> Answer:
    """One decision."""
    return await api.call("GET", f"admin/decisions/{stored.id}", user=user, headers=headers)


async def test_a_placement_tells_what_was_chosen_and_of_which_rows(api: Api) -> None:
    stored = await decided(api, await api.make())
    answer = await read(api, stored)
    assert answer.headers["Content-Type"].startswith("application/vnd.abiquo.decision+json")
    body = answer.body
    assert (body["outcome"], body["kind"], body["policy"]) == ("placed", "deploy", "PROGRESSIVE")
    assert body["chosen"]["name"] in HOSTS
    assert body["chosen"]["tieBreak"] == "lowest id"
    assert {row["kind"] for row in body["chosen"]["seen"]} == {"host", "datastore"}
    assert body["refused"] is None
    assert {link["rel"] for link in body["links"]} >= {"self", "table", "virtualmachine", "machine"}


async def test_a_refusal_tells_counts_and_the_nearest_with_numbers(api: Api) -> None:
    """M-052."""
    stored = await decided(api, await api.make(), cpu=17)
    refused = (await read(api, stored)).body["refused"]
    assert refused["hosts"] == 5
    assert refused["byLack"]["CPU"] == 5
    assert refused["byFirstLack"] == {"CPU": 4, "HYPERVISOR_TYPE": 1}
    (reason,) = refused["nearest"][0]["reasons"]
    assert (reason["wanted"], reason["spare"], reason["limit"], reason["shortfall"]) == (
        17,
        16,
        16,
        1,
    )


@pytest.mark.parametrize("cpu", [None, 17])
async def test_a_tenant_sees_counts_and_dimensions_and_no_host(api: Api, cpu: int | None) -> None:
    """P1: permissioned detail, on the decision, as text and in the event."""
    vm = await api.make()
    stored = await decided(api, vm, cpu=cpu)
    answer = await read(api, stored, "reader")
    assert answer.status == 200
    text = json.dumps(answer.body)
    assert not [host for host in HOSTS if f'"{host}"' in text]
    assert "/machines/" not in text
    assert answer.link("table") is None
    assert answer.body["demand"]["cpu"] == (cpu or 2)
    if cpu is not None:
        assert answer.body["refused"]["byLack"]["CPU"] == 5
        assert "nearest" not in answer.body["refused"]
        assert answer.body["advice"] == [SMALLER]
    events = (await api.call("GET", f"{vm}/events?action=SCHEDULE", user="reader")).body
    (event,) = events["collection"]
    assert "nearest" not in event["details"]
    assert event["details"].get("advice", [SMALLER]) == [SMALLER]
    assert ("counts" in event["details"]) is (cpu is not None)
    whole = (await api.call("GET", f"{vm}/events?action=SCHEDULE")).body["collection"][0]
    assert ("nearest" in whole["details"]) is (cpu is not None)
    assert whole["details"].get("advice", ADVICE) == ADVICE


@pytest.mark.parametrize(
    ("user", "path", "status"),
    [
        ("admin", "", 200),
        ("reader", "", 200),
        ("actor", "", 200),
        ("stranger", "", 404),
        ("admin", "/table", 200),
        ("reader", "/table", 403),
        ("stranger", "/table", 403),
    ],
)
async def test_who_may_read_what(api: Api, user: str, path: str, status: int) -> None:
    """What a caller may not see does not exist for it."""
    stored = await decided(api, await api.make())
    answer = await api.call("GET", f"admin/decisions/{stored.id}{path}", user=user)
    assert answer.status == status
    if status == 404:
        assert answer.code == "DECISION-0"


@pytest.mark.parametrize("name", ["x", "1", "356cab9b-4d4d-475b-865c-56fcf4670e3b"])
async def test_what_is_no_decision_is_not_there(api: Api, name: str) -> None:
    answer = await api.call("GET", f"admin/decisions/{name}")
    assert (answer.status, answer.code) == (404, "DECISION-0")


async def test_the_list_is_narrowed_and_paged(api: Api) -> None:
    vm, other = await api.make(), await api.make()
    first = await decided(api, vm)
    second = await decided(api, other, cpu=17)
    task = uuid4()
    third = await decided(api, vm, task=task)

    async def listed(query: str, user: str = "admin") -> list[str]:
        found = (await api.call("GET", f"admin/decisions{query}", user=user)).body
        return [one["id"] for one in found["collection"]]

    assert await listed("") == [str(one.id) for one in (third, second, first)]
    assert await listed("?asc=true&limit=1") == [str(first.id)]
    assert await listed("?outcome=refused") == [str(second.id)]
    assert await listed(f"?task={task}") == [str(third.id)]
    uuid = (await api.call("GET", vm)).body["uuid"]
    for name in (number(vm), uuid):
        assert await listed(f"?vm={name}") == [str(third.id), str(first.id)]
    assert await listed(f"?vm={uuid4()}") == []
    assert await listed("?since=2100-01-01T00:00:00Z") == []
    assert await listed("", "stranger") == []
    for query, field in (("outcome=odd", "outcome"), ("task=x", "task"), ("vm=x", "vm")):
        answer = await api.call("GET", f"admin/decisions?{query}")
        assert (answer.status, answer.body["collection"][0]["field"]) == (400, field)


async def test_links_lead_there_from_vm_task_and_event(api: Api) -> None:
    vm = await api.make()
    task = await api.lock(vm, "DEPLOY")
    stored = await decided(api, vm, task=task)
    async with api.store.transaction() as c:
        await vm_record.record_decision(c, number(vm), str(stored.id))
    events = (await api.call("GET", f"{vm}/events?action=SCHEDULE")).body["collection"]
    for body in (
        (await api.call("GET", vm)).body,
        (await api.call("GET", f"{vm}/tasks/{task}")).body,
        events[0],
    ):
        (link,) = [one for one in body["links"] if one["rel"] == "decision"]
        assert link["href"] == f"{vm_world.ROOT}admin/decisions/{stored.id}"


async def test_a_refused_relocation_is_on_record(api: Api) -> None:
    """M-025: the answer itself leads to the reasons, as no task and no event does."""
    vm = await api.make()
    await api.put(vm, "ON", 1)
    href = f"{vm_world.ROOT}admin/datacenters/1/racks/1/machines/6"
    body = {"links": [{"rel": "machine", "href": href}]}
    answer = await api.call("POST", f"{vm}/action/relocate", body)
    assert (answer.status, answer.code) == (409, "VM-RELOCATE-2")
    link = answer.link("decision")
    assert link is not None
    told = (await api.call("GET", link["href"].split("/api/")[1])).body
    assert (told["kind"], told["outcome"]) == ("relocate", "refused")
    assert told["refused"]["nearest"][0]["name"] == "h6"
    assert {one["lack"] for one in told["refused"]["nearest"][0]["reasons"]} >= {"CPU", "MEMORY"}
    table = (await api.call("GET", f"admin/decisions/{told['id']}/table")).body
    assert (table["identical"], table["why"]) == (True, "")


async def test_the_table_lists_every_host_with_its_reasons(api: Api) -> None:
    """B1: worked out again from what is kept, and the same."""
    stored = await decided(api, await api.make())
    body = (await api.call("GET", f"admin/decisions/{stored.id}/table")).body
    assert body["identical"] is True
    rows = {row["name"]: row for row in body["collection"]}
    assert set(rows) == set(HOSTS)
    assert [row["name"] for row in rows.values() if row["chosen"]] == ["h1"]
    assert {reason["lack"] for reason in rows["h6"]["reasons"]} == {"CPU", "MEMORY"}
    assert body["derived"]["fitting"] == 3
    assert body["derived"]["next"]["name"] == "h2"


async def test_what_is_not_kept_is_said(api: Api) -> None:
    stored = await decided(api, await api.make())
    async with api.store.transaction() as c:
        await c.execute("delete from inventory_checkpoint")
    answer = await api.call("GET", f"admin/decisions/{stored.id}/table")
    assert (answer.status, answer.code) == (409, "DECISION-1")
    assert "no checkpoint" in answer.message


async def test_as_text_for_people(api: Api) -> None:
    stored = await decided(api, await api.make(), cpu=17)
    path = f"/api/admin/decisions/{stored.id}"
    texts = {}
    for user in ("admin", "reader"):
        accept = {"Accept": "text/plain", "Authorization": f"Token token-of-{user}"}
        async with api._client.get(path, headers=accept) as answer:
            assert answer.content_type == "text/plain"
            texts[user] = await answer.text()
    assert "17 CPU" in texts["admin"]
    assert "CPU: 17 wanted, 16 spare of 16" in texts["admin"]
    assert "h1" in texts["admin"]
    assert not [host for host in HOSTS if host in texts["reader"]]


async def test_vmgate_why(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    """By VM, by name, by task and by decision."""
    vm = await api.make(label="web")
    task = await api.lock(vm, "DEPLOY")
    stored = await decided(api, vm, cpu=17, task=task)
    password = await asyncio.to_thread(passwords.hash_password, "secret")
    async with api.store.transaction() as c:
        await c.execute("update app_user set password_hash = $1 where id = 1", password)
    url = str(api._client.make_url("/"))
    environ = {"VMGATE_URL": url, "VMGATE_PASSWORD": "secret"}
    uuid = (await api.call("GET", vm)).body["uuid"]
    for about in (str(number(vm)), uuid, "web", str(task), str(stored.id)):
        assert await why(about, environ) == 0
        told = capsys.readouterr().out
        assert told.startswith(f"Decision {stored.id} of "), about
        assert "Nearest to fit" in told
    for about in ("nobody", str(uuid4()), "999"):
        assert await why(about, environ) == 1
    assert await why("1", {**environ, "VMGATE_PASSWORD": "wrong"}) == 1
    assert await why("1", {**environ, "VMGATE_URL": "http://127.0.0.1:9"}) == 1
    assert await why("1", {}) == 1
    captured = capsys.readouterr()
    assert "VMGATE_PASSWORD is not set" in captured.err
    assert "wrong" not in captured.err
