"""VMs that can be deallocated: what off means, what it costs, and what such a VM cannot do."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.store.db.pool import Store
from tests.api.test_virtualmachines_actions import APPLIANCE, assert_accepted
from tests.api.vm_client import Answer, Api, link, serving

OFF = {"state": "OFF"}
GRACEFUL = {"state": "OFF", "gracefulShutdown": True}
DEALLOCATE = {"azureMode": "deallocate"}
POWER_OFF = {"azureMode": "powerOff"}


@pytest.fixture
async def api(store: Store) -> AsyncIterator[Api]:
    """The API over the small world."""
    async with serving(store) as opened:
        yield opened


async def change(api: Api, vm: str, body: dict[str, Any]) -> Answer:
    """Ask for a power state."""
    return await api.call("PUT", f"{vm}/state", body)


@pytest.mark.parametrize(
    ("body", "now", "kind", "release"),
    [
        (OFF, "ON", "POWER_OFF", True),
        (OFF | DEALLOCATE, "ON", "POWER_OFF", True),
        (OFF | POWER_OFF, "ON", "POWER_OFF", False),
        (GRACEFUL, "ON", "SHUTDOWN", False),
        (GRACEFUL | POWER_OFF, "ON", "SHUTDOWN", False),
        (GRACEFUL | DEALLOCATE, "ON", "SHUTDOWN", True),
        (OFF | DEALLOCATE, "OFF", "POWER_OFF", True),
        (GRACEFUL | DEALLOCATE, "OFF", "POWER_OFF", True),
        ({"state": "ON"}, "OFF", "POWER_ON", False),
    ],
)
async def test_a_hard_off_deallocates_and_a_graceful_one_does_not(
    api: Api, body: dict[str, Any], now: str, kind: str, release: bool
) -> None:
    """M-076, M-077, M-080: as ever unless azureMode says otherwise; and the reply, and its task,
    say whether it stays charged (B13)."""
    vm = await api.make_cloud(now)
    answer = await change(api, vm, body)
    task = (await api.call("GET", assert_accepted(answer, vm))).body
    assert task["type"] == kind
    payload = await api.row("select payload from task")
    assert payload.get("release", False) is release
    told = answer.body["consequences"]
    assert (told["stillCharged"], told["ipReleased"], told["willLoseHost"]) == (
        not release,
        release,
        release,
    )
    assert task["consequences"] == told


@pytest.mark.parametrize("body", [OFF, GRACEFUL, OFF | POWER_OFF])
async def test_a_vm_that_is_off_and_charged_says_how_to_end_that(
    api: Api, body: dict[str, Any]
) -> None:
    """P16: being off is not being free of charge."""
    answer = await change(api, await api.make_cloud("OFF"), body)
    assert (answer.status, answer.code) == (409, "VM-4")
    assert "charged" in answer.message
    assert "azureMode" in answer.message


@pytest.mark.parametrize("body", [OFF, GRACEFUL, OFF | DEALLOCATE, OFF | POWER_OFF])
async def test_a_deallocated_vm_is_off_already(api: Api, body: dict[str, Any]) -> None:
    answer = await change(api, await api.make_cloud("OFF", deallocated=True), body)
    assert (answer.status, answer.code) == (409, "VM-4")
    assert "deallocated already" in answer.message


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (OFF | {"azureMode": "free"}, "powerOff"),
        (OFF | {"azureMode": True}, "powerOff"),
        ({"state": "ON"} | DEALLOCATE, "OFF"),
    ],
)
async def test_an_azure_mode_is_one_of_two_and_goes_with_off(
    api: Api, body: dict[str, Any], word: str
) -> None:
    """M-080."""
    answer = await change(api, await api.make_cloud("ON"), body)
    assert (answer.status, answer.body["collection"][0]["field"]) == (400, "azureMode")
    assert word in answer.message


@pytest.mark.parametrize("mode", [DEALLOCATE, POWER_OFF])
async def test_elsewhere_there_is_no_azure_mode(api: Api, mode: dict[str, Any]) -> None:
    """M-080: it is not taken for a wish that may be ignored."""
    vm = await api.make()
    await api.put(vm, "ON", 1)
    answer = await change(api, vm, OFF | mode)
    assert (answer.status, answer.body["collection"][0]["field"]) == (400, "azureMode")
    assert "KVM" in answer.message
    assert await api.row("select count(*) from task") == 0


@pytest.mark.parametrize(
    ("body", "now"),
    [
        ({"state": "ON"}, "OFF"),
        ({"state": "ON"}, "PAUSED"),
        ({"state": "PAUSED"}, "ON"),
        (OFF, "ON"),
        (GRACEFUL, "ON"),
    ],
)
async def test_every_power_reply_says_what_it_costs(
    api: Api, body: dict[str, Any], now: str
) -> None:
    """B13: of every type. On our own hosts the place stays booked, so it is never free."""
    vm = await api.make()
    await api.put(vm, now, 1)
    told = (await change(api, vm, body)).body["consequences"]
    assert (told["stillCharged"], told["ipReleased"], told["willLoseHost"]) == (True, False, False)
    assert "charged" in told["message"]


async def test_such_a_vm_neither_pauses_nor_moves(api: Api) -> None:
    """M-022, M-116: refused before any call, and not offered."""
    vm = await api.make_cloud("ON")
    pause = await change(api, vm, {"state": "PAUSED"})
    assert (pause.status, pause.code) == (409, "VM-4")
    to = {"links": [{"rel": "machine", "href": "admin/datacenters/1/racks/1/machines/2"}]}
    for answer in (
        await api.call("POST", f"{vm}/action/relocate", to),
        await api.call("POST", f"{vm}/action/relocate?target=any"),
        await api.call("GET", f"{vm}/action/relocatecandidates"),
    ):
        assert (answer.status, answer.code) == (409, "VM-RELOCATE-3")
    shown = (await api.call("GET", vm)).body
    assert link(shown, "relocate") is None
    assert link(shown, "relocatecandidates") is None
    assert await api.row("select count(*) from task") == 0


async def test_it_can_be_redeployed_instead(api: Api) -> None:
    """Under its own name, for it moves to a machine of the cloud's choice, and says so."""
    vm = await api.make_cloud("ON")
    offered = link((await api.call("GET", vm)).body, "redeploy")
    assert offered is not None
    answer = await api.call("POST", offered["href"].removeprefix("http://gateway.test/api/"))
    task = (await api.call("GET", assert_accepted(answer, vm))).body
    assert task["type"] == "REDEPLOY"
    told = answer.body["consequences"]
    assert (told["stillCharged"], told["ipReleased"], told["willLoseHost"]) == (True, False, True)
    assert "temporary disk" in told["message"]


@pytest.mark.parametrize("state", ["OFF", "NOT_ALLOCATED", "UNKNOWN"])
async def test_only_a_running_vm_is_redeployed(api: Api, state: str) -> None:
    answer = await api.call("POST", f"{await api.make_cloud(state)}/action/redeploy")
    assert (answer.status, answer.code) == (409, "VM-REDEPLOY-1")


async def test_our_own_hosts_redeploy_nothing(api: Api) -> None:
    vm = await api.make()
    await api.put(vm, "ON", 1)
    assert link((await api.call("GET", vm)).body, "redeploy") is None
    answer = await api.call("POST", f"{vm}/action/redeploy")
    assert (answer.status, answer.code) == (409, "VM-REDEPLOY-1")
    assert await api.row("select count(*) from task") == 0


@pytest.mark.parametrize("deallocated", [False, True])
async def test_a_deallocated_vm_shows_no_addresses_and_is_deployed(
    api: Api, deallocated: bool
) -> None:
    """M-075, M-079: the attribute is shown, the addresses are not, and the appliance is deployed
    as before."""
    vm = await api.make_cloud("OFF", deallocated=deallocated)
    shown = (await api.call("GET", vm)).body
    state = (await api.call("GET", f"{vm}/state")).body
    (nic,) = (await api.call("GET", f"{vm}/network/nics")).body["collection"]
    offered = link(shown, "nic0")
    assert offered is not None
    assert (shown["state"], shown["deallocated"]) == ("OFF", deallocated)
    assert (state["state"], state["deallocated"]) == ("OFF", deallocated)
    assert [bool(nic["ip"]), bool(offered["title"])] == [not deallocated] * 2
    assert (await api.call("GET", APPLIANCE)).body["state"] == "DEPLOYED"


async def test_the_type_says_what_its_vms_can_do(api: Api) -> None:
    """It is listed among the others once it is configured."""
    found = (await api.call("GET", "config/hypervisortypes")).body["collection"]
    able = {one["name"]: (one["relocation"], one["deallocation"], one["redeploy"]) for one in found}
    assert able == {
        "KVM": (True, False, False),
        "VMX_04": (True, False, False),
        "azurecompute-arm": (False, True, True),
    }
