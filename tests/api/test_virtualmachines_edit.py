"""VMs edited and deleted over HTTP: at once where that is sound, else by a task, or refused."""

from collections.abc import AsyncIterator

import pytest

from gateway.store import users
from gateway.store.db.pool import Store
from tests.api.vm_client import Api, serving


@pytest.fixture
async def api(store: Store) -> AsyncIterator[Api]:
    """The API over the small world."""
    async with serving(store) as opened:
        yield opened


async def test_every_get_can_be_put_back(api: Api) -> None:
    """A PUT takes back whatever the GET gave."""
    vm = await api.make(label="one", variables={"k": "v"})
    first = (await api.call("GET", vm)).body
    assert (await api.call("PUT", vm, first)).status == 204
    assert (await api.call("GET", vm)).body == first
    await api.put(vm, "ON", 1)
    assert (await api.call("PUT", vm, (await api.call("GET", vm)).body)).status == 204


async def test_a_vm_that_is_not_deployed_is_edited_at_once(api: Api) -> None:
    vm = await api.make()
    change = {"cpu": 4, "ram": 512, "label": "new", "description": "d", "variables": {"a": "b"}}
    assert (await api.call("PUT", vm, change)).status == 204
    body = (await api.call("GET", vm)).body
    assert {name: body[name] for name in change} == change


async def test_a_new_size_of_a_vm_that_is_off_is_a_task(api: Api) -> None:
    """M-047."""
    vm = await api.make()
    await api.put(vm, "OFF", 1)
    answer = await api.call("PUT", vm, {"cpu": 3, "label": "renamed"})
    assert answer.status == 202
    payload = await api.row("select payload from task")
    assert (payload["cpu"], payload["ram_mib"]) == (3, 256)
    body = (await api.call("GET", vm)).body
    assert (body["label"], body["cpu"], body["state"]) == ("renamed", 2, "LOCKED")


async def test_a_refused_size_changes_nothing_else(api: Api) -> None:
    vm = await api.make(label="before")
    await api.put(vm, "ON", 1)
    answer = await api.call("PUT", vm, {"cpu": 3, "label": "after"})
    assert (answer.status, answer.code) == (409, "VM-10")
    assert (await api.call("GET", vm)).body["label"] == "before"


@pytest.mark.parametrize(
    "rel", ["disk1", "nic1", "nic0", "hardwareprofile", "virtualmachinetemplate", "enterprise"]
)
async def test_links_that_would_mean_something_are_refused(api: Api, rel: str) -> None:
    vm = await api.make()
    answer = await api.call("PUT", vm, {"links": [{"rel": rel, "href": "http://x/api/other/9"}]})
    assert answer.status == 400
    assert f"links[{rel}]" in answer.message


@pytest.mark.parametrize("state", ["ALLOCATED", "CONFIGURED", "ON", "PAUSED", "OFF"])
async def test_a_deployed_vm_is_undeployed_and_then_deleted(api: Api, state: str) -> None:
    """C1: by one task, which whoever may not undeploy does not get; the record stays meanwhile."""
    vm = await api.make()
    await api.put(vm, state, 1)
    async with api.store.transaction() as c:
        await c.execute(
            """insert into app_user (id, nick, enterprise_id, password_hash, privileges) values
                 (7, 'editor', 1, 'x', '{VAPP_CUSTOMISE_SETTINGS}')"""
        )
        await users.keep_token(c, "token-of-editor", 7, 3600)
    refused = await api.call("DELETE", vm, user="editor")
    assert (refused.status, refused.body["collection"][0]["field"]) == (403, "VAPP_PERFORM_ACTIONS")
    answer = await api.call("DELETE", vm, user="actor")
    assert answer.status == 202
    assert answer.link("status")["type"] == "application/vnd.abiquo.task+json"
    kind, payload = await api.row("select (kind, payload) from task")
    assert (kind, payload["delete"]) == ("UNDEPLOY", True)
    assert (await api.call("GET", vm)).body["state"] == "LOCKED"
    again = await api.call("DELETE", vm)
    assert (again.status, again.code) == (409, "VM-8")
    assert again.link("status")["href"] == answer.link("status")["href"]


async def test_a_vm_that_is_only_a_record_is_deleted_at_once(api: Api) -> None:
    """C1: 204, or 202 with a task that is done for who takes an accepted request."""
    wanting = await api.make()
    accept = {"Accept": "application/vnd.abiquo.acceptedrequest+json"}
    answer = await api.call("DELETE", wanting, headers=accept)
    assert answer.status == 202
    status = answer.link("status")["href"].partition("/api/")[2]
    for media in ("task", "taskextended"):
        kind = f"application/vnd.abiquo.{media}+json"
        task = await api.call("GET", status, headers={"Accept": kind})
        assert (task.status, task.body["state"]) == (200, "FINISHED_SUCCESSFULLY")
        assert task.headers["Content-Type"].startswith(kind)
    assert [one["rel"] for one in task.body["links"]] == ["self", "user"]
    assert (await api.call("GET", status, user="stranger")).code == "VM-1"
    assert (await api.call("GET", wanting)).code == "VM-1"
    vm = await api.make()
    assert (await api.call("DELETE", vm)).status == 204
    assert await api.row("select count(*) from task") == 1
    gone = await api.call("GET", vm)
    assert (gone.status, gone.code) == (404, "VM-1")
    assert await api.row("select count(*) from nic") == 0


async def test_deleting_an_unknown_vm_takes_its_own_privilege(api: Api) -> None:
    """M-070. Where a copy may be is for who may know of hosts."""
    vm = await api.make()
    await api.put(vm, "UNKNOWN", 1)
    assert (await api.call("DELETE", vm, user="actor")).status == 403
    other = await api.make()
    await api.put(other, "UNKNOWN", 1)
    async with api.store.transaction() as c:
        await c.execute(
            """insert into app_user (id, nick, enterprise_id, password_hash, privileges) values
                 (7, 'cleaner', 1, 'x', '{VAPP_CUSTOMISE_SETTINGS,VM_DELETE_UNKNOWN}')"""
        )
        await users.keep_token(c, "token-of-cleaner", 7, 3600)
    told = (await api.call("DELETE", other, user="cleaner")).headers["Warning"]
    assert told.endswith('a copy may remain"')
    answer = await api.call("DELETE", vm)
    assert answer.status == 204
    assert answer.headers["Warning"].endswith('a copy may remain on h1"')
    await api.sequence()
    event = (await api.call("GET", "events")).body["collection"][0]
    assert (event["action"], event["severity"]) == ("DELETE", "WARN")
    assert (event["message"][-5:], event["details"]["host"]) == ("on h1", "h1")
    event = (await api.call("GET", "events", user="actor")).body["collection"][0]
    assert "h1" not in str(event)


async def test_every_change_is_an_event(api: Api) -> None:
    vm = await api.make()
    await api.call("PUT", vm, {"label": "other"})
    await api.call("PUT", vm, {"label": "other"})
    await api.call("DELETE", vm)
    await api.sequence()
    events = (await api.call("GET", "events?asc=true")).body["collection"]
    assert [event["action"] for event in events] == ["CREATE", "MODIFY", "DELETE"]
