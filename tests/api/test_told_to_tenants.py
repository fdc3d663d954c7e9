"""Who may not know of hosts reads why something failed, and no name of a place or another tenant;
administrators read all (M-052, G23)."""

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from gateway.store import users
from gateway.store.db.pool import Store
from tests.api.test_rules_in_effect import APP, DC, RACK, Live, serving_live, to
from tests.tasks.rig import ended

PLACES = ("host-", "shared", "/racks/", "/machines/", "other")
_TENANT = """
insert into app_user (id, nick, enterprise_id, password_hash, privileges) values
  (7, 'tenant', 1, 'x', '{VAPP_PERFORM_ACTIONS,VAPP_CUSTOMISE_SETTINGS}'),
  (8, 'mover', 1, 'x', '{VM_RELOCATE}')
"""


@pytest.fixture
async def live(store: Store) -> AsyncIterator[Live]:
    """The API over a running engine, with a tenant who may not know of hosts."""
    async with serving_live(store) as made:
        async with store.transaction() as c:
            await c.execute(_TENANT)
            await users.keep_token(c, "token-of-tenant", 7, 3600)
            await users.keep_token(c, "token-of-mover", 8, 3600)
        yield made


def vm_path(vm: int) -> str:
    return f"{APP}/virtualmachines/{vm}"


async def act(live: Live, vm: int, method: str, path: str, body: Any = None) -> dict[str, Any]:
    """The tenant asks, and the task's row once it has ended."""
    answer = await live.api.call(method, f"{vm_path(vm)}{path}", body, user="tenant")
    assert answer.status == 202, answer.body
    task = UUID(answer.body["links"][0]["href"].rpartition("/")[2])
    return await ended(live.rig.store, task)


async def read(live: Live, vm: int, user: str) -> str:
    """All that tells of a VM, in one text."""
    await live.rig.sequencer.flush()
    found = []
    for path in (vm_path(vm), f"{vm_path(vm)}/tasks", f"{vm_path(vm)}/events?limit=0"):
        answer = await live.api.call("GET", path, user=user)
        assert answer.status == 200, answer.body
        found.append(answer.body)
    told = await live.api.call("GET", f"admin/decisions?vm={vm}", user=user)
    return json.dumps([*found, told.body])


async def told(live: Live, vm: int, *words: str) -> None:
    """The tenant reads these words and no name; the administrator reads of a host."""
    seen = await read(live, vm, "tenant")
    assert not [place for place in PLACES if place in seen]
    assert all(word in seen for word in words)
    assert "host-" in await read(live, vm, "admin")


async def test_a_vm_that_was_placed(live: Live) -> None:
    assert (await act(live, 1, "POST", "/action/deploy"))["result"] == "success"
    await told(live, 1, "Deploy: placed", "decision")
    shown = await live.api.call("GET", vm_path(1), user="mover")
    assert shown.link("machine") is not None


async def test_a_deploy_that_found_no_place(live: Live) -> None:
    """Counts and what was wanted are for everybody."""
    await live.set("PUT", vm_path(1), {"cpu": 40})
    task = await act(live, 1, "POST", "/action/deploy")
    assert "host-1" in task["error"]
    await told(live, 1, "All 4 candidate hosts are oversubscribed", "The VM requires 40 CPU")
    found = await live.api.call("GET", "events?has=host-1&limit=0", user="tenant")
    assert found.body["totalSize"] == 0
    found = await live.api.call("GET", "events?has=host-1&limit=0")
    assert found.body["totalSize"] > 0


async def test_a_hold_whose_place_will_not_do(live: Live) -> None:
    links = [to(DC, "datacenter"), to("admin/enterprises/1", "enterprise")]
    size = {"cpu": 1, "ram": 1024, "disk": 10 * 2**30, "type": "KVM", "network": "default"}
    body = {"ttl": 600, "links": links, "virtualmachines": {"collection": [size]}}
    hold = await live.set("POST", "admin/holds", body)
    (place,) = hold["places"]["collection"]
    host = next(one for one in place["links"] if one["rel"] == "machine")
    closed = {"cpuLoadPercentage": 0, "ramLoadPercentage": 100, "links": [host]}
    await live.set("POST", "admin/rules/machineLoadLevel", closed)
    task = await act(live, 1, "POST", "/action/deploy", {"hold": hold["id"]})
    assert "Candidate: host-" in task["error"]
    await told(live, 1, "has no slot that fits this virtual machine. The only candidate host")


async def test_growth_without_room(live: Live) -> None:
    await act(live, 1, "POST", "/action/deploy")
    await act(live, 1, "PUT", "/state", {"state": "OFF"})
    task = await act(live, 1, "PUT", "", {"cpu": 40})
    assert "host-" in task["error"]
    await told(live, 1, "There is no room where it is for 40 CPU")


async def test_a_hypervisor_s_own_words(live: Live) -> None:
    """They may name anything, so none of them goes to tenants."""
    await act(live, 1, "POST", "/action/deploy")
    host = (await live.deploy(2))["host"]
    live.rig.driver.world.plan(f"host-{host}", "reset", "Rejected")
    task = await act(live, 1, "POST", "/action/reset")
    assert task["error"] == "planned by the test"
    assert "planned by the test" not in await read(live, 1, "tenant")
    live.rig.driver.world.unreachable(f"host-{host}")
    task = await act(live, 1, "PUT", "/state", {"state": "OFF"})
    assert "host-" in task["error"]
    await told(live, 1, "The hypervisor does not answer", "The hypervisor refused the request")


@pytest.mark.parametrize("state", ["queued", "stuck"])
async def test_a_task_that_goes_on_later(live: Live, state: str) -> None:
    """Neither while it waits nor once it is stuck does it name what it waits for."""
    async with live.rig.store.transaction() as c:
        await c.execute(
            """insert into task (id, kind, vm_id, vm_name, user_id, enterprise_id, state, started,
                 error, run_at)
               values (gen_random_uuid(), 'RESET', 1, 'vm-1', 7, 1, $1, true,
                 'host-1 does not answer', clock_timestamp() + interval '1 day')""",
            state,
        )
    await told(live, 1, {"queued": "is retried", "stuck": "needs an administrator"}[state])


async def test_whoever_moves_a_vm_learns_of_machines_and_of_no_other_tenant(live: Live) -> None:
    """M-023 names the machines; whose VMs keep one closed is not part of it."""
    await act(live, 1, "POST", "/action/deploy")
    await live.set(
        "POST",
        "admin/enterprises/2/reservedmachines",
        {"links": [to(f"{RACK}/machines/4", "machine")]},
    )
    path = f"{vm_path(1)}/action/relocatecandidates"
    seen = await live.api.call("GET", path, user="mover")
    (rejected,) = seen.body["rejected"]
    assert (rejected["name"], rejected["reasons"][0]["lack"]) == ("host-4", "RESERVED")
    body = {"links": [to(f"{RACK}/machines/4", "machine")]}
    answer = await live.api.call("POST", f"{vm_path(1)}/action/relocate", body, user="mover")
    assert answer.code == "VM-RELOCATE-2"
    assert "other" not in json.dumps([seen.body, answer.body])
    assert "other" in json.dumps((await live.api.call("GET", path)).body)
