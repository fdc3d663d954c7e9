"""Protection over HTTP: who may set it, what it stops, and what it shows."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.lifecycle import VmState
from gateway.store.db.pool import Store
from tests.api.vm_client import Api, serving

STORED = [state.value for state in VmState if state is not VmState.LOCKED]
PROTECTED_CALLS: list[tuple[str, str, Any]] = [
    ("PUT", "", {"label": "x"}),
    ("PUT", "", {"cpu": 9}),
    ("DELETE", "", None),
    ("PUT", "/state", {"state": "OFF"}),
    ("POST", "/action/undeploy", None),
    ("POST", "/action/reset", None),
]


@pytest.fixture
async def api(store: Store) -> AsyncIterator[Api]:
    """The API over the small world."""
    async with serving(store) as opened:
        yield opened


@pytest.mark.parametrize(("method", "path", "body"), PROTECTED_CALLS)
async def test_protection_stops_who_lacks_the_privilege(
    api: Api, method: str, path: str, body: Any
) -> None:
    """M-008: nothing is changed and no task made."""
    vm = await api.make()
    await api.put(vm, "ON", 1)
    assert (await api.call("POST", f"{vm}/action/protect", "audit")).status == 204
    answer = await api.call(method, f"{vm}{path}", body, user="actor")
    assert (answer.status, answer.code) == (409, "VM-120")
    name = await api.row("select name from vm")
    assert answer.message == f"The virtual machine {name} is protected: audit", "I13"
    assert await api.row("select count(*) from task") == 0


@pytest.mark.parametrize(
    ("method", "path", "body"), [one for one in PROTECTED_CALLS if one[0] != "DELETE"]
)
async def test_protection_lets_its_holder_act(api: Api, method: str, path: str, body: Any) -> None:
    """M-009."""
    vm = await api.make()
    await api.put(vm, "OFF" if "cpu" in (body or {}) else "ON", 1)
    await api.call("POST", f"{vm}/action/protect", "audit")
    assert (await api.call(method, f"{vm}{path}", body)).status in (202, 204)


async def test_the_events_of_a_protected_vm_say_so(api: Api) -> None:
    """I13: the request of who may; a VM that is not protected says nothing of it."""
    vm, other = await api.make(), await api.make()
    for path in (vm, other):
        await api.put(path, "ON", 1)
    await api.call("POST", f"{vm}/action/protect", "audit")
    for path in (vm, other):
        assert (await api.call("PUT", f"{path}/state", {"state": "OFF"})).status == 202
    await api.sequence()
    found = {
        path: (await api.call("GET", f"{path}/events?action=POWEROFF")).body["collection"][0]
        for path in (vm, other)
    }
    assert found[vm]["message"].endswith("requested (the virtual machine is protected: audit)")
    assert found[vm]["details"] == {"protected": True, "protected_cause": "audit"}
    assert "protected" not in str(found[other])


@pytest.mark.parametrize("state", STORED)
async def test_only_a_vm_that_is_up_or_off_can_be_protected(api: Api, state: str) -> None:
    """M-001."""
    vm = await api.make()
    await api.put(vm, state, 1)
    answer = await api.call("POST", f"{vm}/action/protect", "why")
    if state in ("ON", "PAUSED", "OFF"):
        assert answer.status == 204
    else:
        assert answer.status == 409
        assert all(word in answer.message for word in ("ON", "PAUSED", "OFF", state))


@pytest.mark.parametrize(
    "sent",
    [
        {"data": b"because", "headers": {"Content-Type": "text/plain"}},
        {"data": b'"because"', "headers": {"Content-Type": "application/json"}},
        {"data": b'{"reason": "because"}', "headers": {"Content-Type": "application/json"}},
    ],
)
async def test_protection_shows_who_and_why(api: Api, sent: dict[str, Any]) -> None:
    """M-003, M-006, M-011."""
    vm = await api.make()
    await api.put(vm, "ON", 1)
    assert (await api.call("POST", f"{vm}/action/protect", **sent)).status == 204
    body = (await api.call("GET", vm, user="reader")).body
    assert (body["state"], body["displayState"]) == ("ON", "MAINTENANCE")
    assert (body["protected"], body["protectedCause"]) == (True, "because")
    assert body["protectedBy"] == "admin"
    assert body["protectedAt"]


@pytest.mark.parametrize("reason", [b"", b"  ", b"a\x00b", b"a\nb", b"x" * 1025, b"\xff"])
async def test_a_protection_needs_a_proper_reason(api: Api, reason: bytes) -> None:
    """M-002."""
    vm = await api.make()
    await api.put(vm, "ON", 1)
    sent: dict[str, Any] = {"data": reason, "headers": {"Content-Type": "text/plain"}}
    answer = await api.call("POST", f"{vm}/action/protect", **sent)
    assert answer.status == 400
    assert "reason" in answer.message or "UTF-8" in answer.message


async def test_protecting_and_unprotecting_twice_changes_nothing(api: Api) -> None:
    """M-007."""
    vm = await api.make()
    await api.put(vm, "ON", 1)
    answers = [
        await api.call("POST", f"{vm}/action/{action}", "why")
        for action in ("unprotect", "protect", "protect", "unprotect", "unprotect")
    ]
    assert [answer.status for answer in answers] == [409, 204, 409, 204, 409]
    assert [answers[n].code for n in (0, 2, 4)] == ["VM-119", "VM-118", "VM-119"]
    await api.sequence()
    events = (await api.call("GET", f"{vm}/events?asc=true")).body["collection"]
    assert [event["action"] for event in events] == ["CREATE", "PROTECT", "UNPROTECT"]
    assert events[2]["message"].count("admin") == 2
