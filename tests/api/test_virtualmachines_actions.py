"""What is asked of a VM over HTTP: state, deploy, undeploy, reset, protection, whole appliances."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.lifecycle import VmState
from gateway.store.db.pool import Store
from tests.api import vm_world
from tests.api.vm_client import Answer, Api, number, serving

APPLIANCE = "cloud/virtualdatacenters/1/virtualappliances/1"
STORED = [state.value for state in VmState if state is not VmState.LOCKED]


@pytest.fixture
async def api(store: Store) -> AsyncIterator[Api]:
    """The API over the small world."""
    async with serving(store) as opened:
        yield opened


def assert_accepted(answer: Answer, vm: str) -> str:
    """The answer is an acceptedrequest with one status link below the VM; the task's path."""
    assert answer.status == 202, answer.body
    kind = answer.headers["Content-Type"]
    assert kind.startswith("application/vnd.abiquo.acceptedrequest+json")
    assert set(answer.body) - {"consequences"} == {"message", "links"}
    assert answer.body["message"] == "You can keep track of the progress in the link"
    (status,) = answer.body["links"]
    assert (status["rel"], status["title"]) == ("status", "status")
    assert status["type"] == "application/vnd.abiquo.task+json"
    path = str(status["href"]).removeprefix("http://gateway.test/api/")
    assert path.startswith(f"{vm}/tasks/")
    return path


@pytest.mark.parametrize(
    ("action", "state", "kind"),
    [
        ("deploy", "NOT_ALLOCATED", "DEPLOY"),
        ("undeploy", "ON", "UNDEPLOY"),
        ("reset", "ON", "RESET"),
    ],
)
async def test_an_action_is_accepted_with_a_task_to_follow(
    api: Api, action: str, state: str, kind: str
) -> None:
    """M-033, M-046, M-117."""
    vm = await api.make()
    await api.put(vm, state, 1 if state == "ON" else None)
    path = assert_accepted(await api.call("POST", f"{vm}/action/{action}"), vm)
    task = (await api.call("GET", path)).body
    assert (task["type"], task["state"]) == (kind, "PENDING")
    assert api.woken


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"data": b"null", "headers": {"Content-Type": "*/*"}},
        {"data": b"null", "headers": {"Content-Type": "application/json"}},
        {
            "data": b'{"forceEnterpriseSoftLimits": true}',
            "headers": {"Content-Type": "application/vnd.abiquo.virtualmachinetask+json"},
        },
    ],
)
async def test_deploy_takes_what_clients_send(api: Api, sent: dict[str, Any]) -> None:
    vm = await api.make()
    assert_accepted(await api.call("POST", f"{vm}/action/deploy", **sent), vm)


@pytest.mark.parametrize("body", [[], 1, "x", {"forceVdcLimits": 1}])
async def test_deploy_refuses_what_is_no_task(api: Api, body: object) -> None:
    vm = await api.make()
    assert (await api.call("POST", f"{vm}/action/deploy", body)).status == 400


@pytest.mark.parametrize(
    ("body", "now", "kind"),
    [
        ({"state": "ON"}, "OFF", "POWER_ON"),
        ({"state": "ON"}, "CONFIGURED", "POWER_ON"),
        ({"state": "ON"}, "PAUSED", "RESUME"),
        ({"state": "OFF"}, "ON", "POWER_OFF"),
        ({"state": "OFF"}, "PAUSED", "POWER_OFF"),
        ({"state": "OFF", "gracefulShutdown": False}, "ON", "POWER_OFF"),
        ({"state": "OFF", "gracefulShutdown": True}, "ON", "SHUTDOWN"),
        ({"state": "PAUSED"}, "ON", "PAUSE"),
    ],
)
async def test_a_state_is_asked_for(api: Api, body: dict[str, Any], now: str, kind: str) -> None:
    """M-110, M-111, M-116."""
    vm = await api.make()
    await api.put(vm, now, 1)
    assert_accepted(await api.call("PUT", f"{vm}/state", body), vm)
    assert await api.row("select kind from task") == kind


@pytest.mark.parametrize(
    ("more", "payload"),
    [({}, (300.0, False)), ({"forceAfter": 20}, (20.0, True)), ({"forceAfter": 0.5}, (0.5, True))],
)
async def test_a_graceful_end_is_bounded(
    api: Api, more: dict[str, Any], payload: tuple[float, bool]
) -> None:
    """M-112."""
    vm = await api.make()
    await api.put(vm, "ON", 1)
    await api.call("PUT", f"{vm}/state", {"state": "OFF", "gracefulShutdown": True, **more})
    kept = await api.row("select payload from task")
    assert (kept["grace_s"], kept["force"]) == payload


@pytest.mark.parametrize("state", ["ON", "OFF", "PAUSED"])
async def test_a_state_already_reached_says_so(api: Api, state: str) -> None:
    """M-110."""
    vm = await api.make()
    await api.put(vm, state, 1)
    answer = await api.call("PUT", f"{vm}/state", {"state": state})
    assert (answer.status, answer.code) == (409, "VM-4")
    assert "already" in answer.message


@pytest.mark.parametrize("state", ["RESET", "UNKNOWN", "LOCKED", "on", "", 4, None, [], {}])
async def test_what_is_no_state_to_ask_for_is_refused(api: Api, state: object) -> None:
    """M-118."""
    vm = await api.make()
    await api.put(vm, "ON", 1)
    answer = await api.call("PUT", f"{vm}/state", {"state": state})
    assert answer.status == 400
    assert all(word in answer.message for word in ("state", "ON", "OFF", "PAUSED"))


@pytest.mark.parametrize(
    ("field", "value"),
    [("gracefulShutdown", 1), ("forceAfter", -1), ("forceAfter", "5"), ("forceAfter", 10**9)],
)
async def test_a_wrong_way_to_end_is_refused(api: Api, field: str, value: object) -> None:
    vm = await api.make()
    await api.put(vm, "ON", 1)
    answer = await api.call("PUT", f"{vm}/state", {"state": "OFF", field: value})
    assert answer.status == 400
    assert field in answer.message


async def test_the_state_is_read(api: Api) -> None:
    vm = await api.make()
    answer = await api.call("GET", f"{vm}/state")
    assert answer.body["state"] == "NOT_ALLOCATED"
    assert [one["rel"] for one in answer.body["links"]] == ["parent", "edit"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "", {"label": "x"}),
        ("PUT", "", {"cpu": 9}),
        ("PUT", "/state", {"state": "OFF"}),
        ("POST", "/action/deploy", None),
        ("POST", "/action/undeploy", None),
        ("POST", "/action/reset", None),
        ("POST", "/action/relocate?target=any", None),
        ("POST", "/action/protect", "why"),
    ],
)
async def test_a_locked_vm_is_busy(api: Api, method: str, path: str, body: Any) -> None:
    """M-119: 409 with a link to the running task."""
    vm = await api.make()
    await api.put(vm, "ON", 1)
    task = await api.lock(vm, "RESET")
    answer = await api.call(method, f"{vm}{path}", body)
    assert (answer.status, answer.code) == (409, "VM-2")
    assert any(str(task) in one["href"] for one in answer.body["links"])


async def test_a_locked_vm_is_not_deleted(api: Api) -> None:
    vm = await api.make()
    task = await api.lock(vm, "DEPLOY")
    answer = await api.call("DELETE", vm)
    assert (answer.status, answer.code) == (409, "VM-8")
    assert any(str(task) in one["href"] for one in answer.body["links"])


ACTIONS = {
    "deploy": ("POST", "action/deploy", None),
    "undeploy": ("POST", "action/undeploy", None),
    "reset": ("POST", "action/reset", None),
    "protect": ("POST", "action/protect", "why"),
    "unprotect": ("POST", "action/unprotect", None),
    "relocate": ("POST", "action/relocate?target=any", None),
    "relocatecandidates": ("GET", "action/relocatecandidates", None),
}


@pytest.mark.parametrize("protected", [False, True])
@pytest.mark.parametrize("state", [*STORED, "LOCKED"])
async def test_allowed_is_what_calling_tells(api: Api, state: str, protected: bool) -> None:
    """M-104, M-073: `allowed` of each link is compared with the outcome of calling it."""
    for rel, (method, path, body) in ACTIONS.items():
        vm = await api.make()
        await api.put(vm, "ON" if state == "LOCKED" else state, 1)
        if state == "NOT_ALLOCATED":
            await api.put(vm, state)
        async with api.store.transaction() as c:
            await c.execute("update vm set protected = $1", protected)
        if state == "LOCKED":
            await api.lock(vm, "RESET")
        offered = (await api.call("GET", vm)).link(rel)
        assert offered is not None
        answer = await api.call(method, f"{vm}/{path}", body)
        assert offered["allowed"] == (answer.status < 400), (rel, answer.body)
        async with api.store.transaction() as c:
            await c.execute("update task set state = 'done', result = 'cancelled'")


async def test_links_depend_on_privileges_not_on_the_state(api: Api) -> None:
    """M-104, M-130, M-134, M-135."""
    vm = await api.make()
    seen = {
        user: {one["rel"] for one in (await api.call("GET", vm, user=user)).body["links"]}
        for user in ("admin", "actor", "reader")
    }
    assert seen["admin"] - seen["actor"] == {
        "protect",
        "unprotect",
        "relocate",
        "relocatecandidates",
    }
    assert seen["actor"] - seen["reader"] == {"deploy", "undeploy", "reset"}


async def test_an_appliance_is_deployed_as_a_whole(api: Api) -> None:
    """M-045: one request, a task each, in the order of labels."""
    made = {label: await api.make(label=label) for label in ("c", "a", "b")}
    answer = await api.call("POST", f"{APPLIANCE}/action/deploy")
    assert answer.status == 202
    hrefs = [one["href"] for one in answer.body["links"]]
    for label, href in zip("abc", hrefs, strict=True):
        assert f"/virtualmachines/{number(made[label])}/tasks/" in href
    assert await api.row("select count(distinct group_id) from task") == 1


async def test_an_appliance_is_undeployed_as_a_whole(api: Api) -> None:
    """M-046."""
    up, down = await api.make(label="up"), await api.make(label="down")
    await api.put(up, "OFF", 1)
    answer = await api.call("POST", f"{APPLIANCE}/action/undeploy")
    assert len(answer.body["links"]) == 1
    assert await api.row("select vm_id from task") == number(up)
    assert (await api.call("GET", down)).body["state"] == "NOT_ALLOCATED"


async def test_a_group_is_accepted_whole_or_not_at_all(api: Api) -> None:
    one, _ = await api.make(label="one"), await api.make(label="two")
    task = await api.lock(one, "DEPLOY")
    answer = await api.call("POST", f"{APPLIANCE}/action/deploy")
    assert (answer.status, answer.code) == (409, "VM-2")
    assert str(task) in answer.message
    assert await api.row("select count(*) from task") == 1


async def test_an_empty_appliance_is_refused_and_a_finished_one_has_nothing_to_do(
    api: Api,
) -> None:
    answer = await api.call("POST", "cloud/virtualdatacenters/1/virtualappliances/3/action/deploy")
    assert (answer.status, answer.code) == (409, "VAPP-12")
    await api.make()
    assert (await api.call("POST", f"{APPLIANCE}/action/undeploy")).status == 204


async def test_a_call_on_a_vm_that_is_not_there_is_vm_1(api: Api) -> None:
    for action in ("deploy", "reset", "unprotect", "relocate"):
        answer = await api.call("POST", f"{vm_world.VMS}/9/action/{action}", {})
        assert (answer.status, answer.code) == (404, "VM-1"), action
