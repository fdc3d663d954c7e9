"""Tasks over HTTP: what they tell at each stage, and what may be done to them."""

import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from gateway.store.db.pool import Store
from tests.api.vm_client import Answer, Api, link, number, serving


@pytest.fixture
async def api(store: Store) -> AsyncIterator[Api]:
    """The API over the small world."""
    async with serving(store) as opened:
        yield opened


async def deployed(api: Api) -> tuple[str, str, UUID]:
    """A VM with a deploy just accepted: its path, the task's path, the task."""
    vm = await api.make()
    answer = await api.call("POST", f"{vm}/action/deploy")
    path = answer.body["links"][0]["href"].removeprefix("http://gateway.test/api/")
    return vm, path, UUID(path.rsplit("/", 1)[1])


async def test_a_task_has_every_field_and_link(api: Api) -> None:
    """M-113, M-035."""
    vm, path, task = await deployed(api)
    answer = await api.call("GET", path)
    body = answer.body
    assert (body["taskId"], body["type"]) == (str(task), "DEPLOY")
    assert (body["userId"], body["ownerId"]) == ("1", str(number(vm)))
    for field in ("creationTimestamp", "timestamp"):
        assert abs(body[field] - time.time()) < 600
    rels = {one["rel"]: one["type"] for one in body["links"]}
    assert {"self", "parent", "result", "user", "virtualmachine", "cancel"} == set(rels)
    assert rels["result"] == "application/vnd.abiquo.virtualmachine+json"
    name = (await api.call("GET", vm)).body["name"]
    assert link(body, "virtualmachine")["title"] == name  # type: ignore[index]
    assert next(job["type"] for job in body["jobs"]["collection"]) == "SCHEDULE"
    for job in body["jobs"]["collection"]:
        assert job["id"].startswith(f"{task}.")
        assert job["parentTaskId"] == str(task)
        assert job["description"].endswith(f"on virtual machine with id {number(vm)}")
        assert (job["state"], job["rollbackState"]) == ("PENDING", "UNKNOWN")


@pytest.mark.parametrize(
    ("assignments", "state", "stuck"),
    [
        ("state = 'queued', started = false", "PENDING", False),
        ("state = 'queued', started = true", "STARTED", False),
        ("state = 'running', started = true", "STARTED", False),
        ("state = 'stuck', started = true", "STARTED", True),
        ("state = 'done', result = 'success'", "FINISHED_SUCCESSFULLY", False),
        ("state = 'done', result = 'failure'", "FINISHED_UNSUCCESSFULLY", False),
        ("state = 'done', result = 'failure', acknowledged = true", "ACK_ERROR", False),
        ("state = 'done', result = 'cancelled'", "CANCELLED", False),
    ],
)
async def test_states_in_the_words_of_clients(
    api: Api, assignments: str, state: str, stuck: bool
) -> None:
    """M-115."""
    _, path, _ = await deployed(api)
    async with api.store.transaction() as c:
        await c.execute(f"update task set {assignments}")
    body = (await api.call("GET", path)).body
    assert (body["state"], body["stuck"]) == (state, stuck)


async def test_a_task_is_also_a_taskextended(api: Api) -> None:
    _, path, _ = await deployed(api)
    accept = {"Accept": "application/vnd.abiquo.taskextended+json"}
    answer = await api.call("GET", path, headers=accept)
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("application/vnd.abiquo.taskextended+json")


async def test_tasks_are_listed_newest_first(api: Api) -> None:
    vm, _path, task = await deployed(api)
    await api.finish(task, "success")
    await api.call("POST", f"{vm}/action/deploy")
    listed = (await api.call("GET", f"{vm}/tasks")).body
    assert [one["state"] for one in listed["collection"]] == ["PENDING", "FINISHED_SUCCESSFULLY"]
    assert listed["links"] == []


async def test_progress_is_that_of_the_running_job(api: Api) -> None:
    _, path, _ = await deployed(api)
    assert (await api.call("GET", path)).body["progress"] is None
    async with api.store.transaction() as c:
        await c.execute("update job set state = 'STARTED', progress = 30 where n = 1")
    assert (await api.call("GET", path)).body["progress"] == 30


async def post(api: Api, path: str, action: str, user: str = "admin") -> Answer:
    """An action on a task."""
    return await api.call("POST", f"{path}/action/{action}", user=user)


async def test_a_failed_task_is_acknowledged(api: Api) -> None:
    """M-056."""
    _, path, task = await deployed(api)
    refused = await post(api, path, "ack")
    assert (refused.status, refused.code) == (409, "TASK-2")
    await api.finish(task, "failure", "no room")
    assert (await api.call("GET", path)).link("acknowledge") is not None
    assert (await post(api, path, "ack")).status == 204
    answer = await api.call("GET", path)
    assert answer.body["state"] == "ACK_ERROR"
    assert answer.link("acknowledge") is None


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"data": b"null", "headers": {"Content-Type": "application/json"}},
        {"data": b"{}", "headers": {"Content-Type": "*/*"}},
        {"data": b"not needed", "headers": {"Content-Type": "text/plain"}},
    ],
)
async def test_a_task_not_begun_is_cancelled(api: Api, sent: dict[str, Any]) -> None:
    vm, path, _ = await deployed(api)
    assert (await api.call("POST", f"{path}/action/cancel", **sent)).status == 204
    assert (await api.call("GET", path)).body["state"] == "CANCELLED"
    assert (await api.call("GET", vm)).body["state"] == "NOT_ALLOCATED"


async def test_what_runs_waits_for_no_approval_and_is_not_resolved(api: Api) -> None:
    _, path, _ = await deployed(api)
    async with api.store.transaction() as c:
        await c.execute("update task set state = 'running', started = true")
    for action in ("continue", "resolve", "ack"):
        answer = await post(api, path, action)
        assert (answer.status, answer.code) == (409, "TASK-2"), action


@pytest.mark.parametrize("state", ["running", "queued", "stuck"])
async def test_a_task_that_has_begun_is_to_be_cancelled_once(api: Api, state: str) -> None:
    """Faults L8: it is on record at once, by whom and by when it ends; again changes nothing."""
    _, path, task = await deployed(api)
    async with api.store.transaction() as c:
        await c.execute("update task set state = $1, started = true", state)
    assert (await api.call("GET", path)).link("cancel") is not None
    for _ in range(2):
        assert (await post(api, path, "cancel")).status == 204
    answer = await api.call("GET", path)
    assert answer.body["cancelledBy"] == "admin"
    assert 0 <= answer.body["endsBy"] - time.time() + 1 <= 12
    assert answer.link("cancel") is None
    assert await api.row("select state from task") == (
        "running" if state == "running" else "queued"
    )
    await api.sequence()
    told = "select count(*) from feed where payload->>'action' = 'CANCEL_TASK'"
    assert await api.row(told) == 1
    await api.finish(task, "cancelled")
    assert (await post(api, path, "cancel")).status == 204
    await api.finish(task, "success")
    assert (await post(api, path, "cancel")).code == "TASK-2"


async def test_past_the_point_of_no_return_it_says_so(api: Api) -> None:
    _, path, task = await deployed(api)
    async with api.store.transaction() as c:
        await c.execute("update task set state = 'running', started = true, kind = 'UNDEPLOY'")
        await c.execute(
            """insert into journal (task_id, n, step, entry, epoch, detail) values
               ($1, 0, 'power', 'DONE', 1, '{}'),
               ($1, 1, 'remove', 'INTENT', 1, '{"ticket": 1}')""",
            task,
        )
    answer = await post(api, path, "cancel")
    assert (answer.status, answer.code) == (409, "TASK-2")
    assert "point of no return" in answer.message
    assert (await api.call("GET", path)).body["cancelledBy"] is None


async def test_a_stuck_task_is_resolved(api: Api) -> None:
    _, path, _ = await deployed(api)
    async with api.store.transaction() as c:
        await c.execute("update task set state = 'stuck', started = true")
    assert (await api.call("GET", path)).link("resolve") is not None
    assert (await api.call("GET", path, user="reader")).link("resolve") is None
    assert (await post(api, path, "resolve")).status == 204
    assert await api.row("select state from task") == "queued"


@pytest.mark.parametrize("body", [{"outcome": "DONE"}, {"outcome": 1}, {"result": "NOT_DONE"}, []])
async def test_another_outcome_is_refused(api: Api, body: Any) -> None:
    _, path, _ = await deployed(api)
    async with api.store.transaction() as c:
        await c.execute("update task set state = 'stuck', started = true")
    answer = await api.call("POST", f"{path}/action/resolve", body)
    assert answer.status == 400
    assert await api.row("select state from task") == "stuck"


async def test_nothing_waits_for_approval(api: Api) -> None:
    await deployed(api)
    answer = await api.call("GET", "admin/enterprises/1/action/pendingtasks")
    assert (answer.status, answer.body) == (200, {"links": [], "collection": []})


async def test_a_task_is_found_below_its_own_vm_only(api: Api) -> None:
    _, path, task = await deployed(api)
    other = await api.make()
    for strange in (f"{other}/tasks/{task}", f"{other}/tasks/{uuid4()}", f"{other}/tasks/x"):
        answer = await api.call("GET", strange)
        assert (answer.status, answer.code) == (404, "TASK-1")
    assert (await api.call("GET", path, user="stranger")).code == "VM-1"
