"""Each fault of the rig's ARM simulator does what it says: done or not done, told or not told."""

import asyncio

import pytest
from aiohttp import ServerDisconnectedError

from tests.lab.azure.client import Client
from tests.lab.azure.simulator import Simulator

LOST = (ServerDisconnectedError, ConnectionResetError)


@pytest.fixture
async def web(client: Client) -> str:
    """A VM that runs."""
    await client.settled(await client.create("web"))
    return "web"


def everywhere(client: Client) -> str:
    return f"{client.subscription}/providers/Microsoft.Compute/virtualMachines"


async def test_a_refusal_did_nothing(arm: Simulator, client: Client, web: str) -> None:
    for status, retry_after, code in (
        (429, "7", "TooManyRequests"),
        (429, "", "TooManyRequests"),
        (503, "", "ServerError"),
        (409, "3", "Conflict"),
    ):
        arm.faults.add("reply", "POST powerOff", status=status, retry_after=retry_after)
        refused = await client.post(web, "powerOff")
        assert (refused.status, refused.code) == (status, code)
        assert refused.headers.get("Retry-After", "") == retry_after
        assert await client.power(web) == "running"
    arm.faults.add("reply", "POST start", status=409, code="AllocationFailed")
    assert (await client.post(web, "start")).code == "AllocationFailed"
    assert arm.calls["POST powerOff"] == 4
    assert arm.done("POST powerOff")[web] == 0


async def test_a_fault_skips_then_befalls_so_many(arm: Simulator, client: Client, web: str) -> None:
    storm = arm.faults.add("reply", "GET vm", skip=1, times=2)
    seen = [(await client.call("GET", client.vm(web))).status for _ in range(4)]
    assert (seen, storm.hits) == ([200, 503, 503, 200], 2)
    for_ever = arm.faults.add("reply", times=0, status=429)
    seen = [(await client.call("GET", client.vm(web))).status for _ in range(3)]
    for_ever.remove()
    seen.append((await client.call("GET", client.vm(web))).status)
    assert seen == [429, 429, 429, 200]


async def test_a_fault_keeps_to_its_vm(arm: Simulator, client: Client, web: str) -> None:
    await client.settled(await client.create("db"))
    arm.faults.add("reply", vm="db", times=0)
    assert (await client.post(web, "start")).status == 202
    assert (await client.post("db", "start")).status == 503


async def test_a_dropped_call_did_nothing(arm: Simulator, client: Client, web: str) -> None:
    arm.faults.add("drop", "POST deallocate")
    with pytest.raises(LOST):
        await client.post(web, "deallocate")
    assert await client.power(web) == "running"
    assert arm.done("POST deallocate")[web] == 0


async def test_a_lost_reply_is_of_something_done(arm: Simulator, client: Client, web: str) -> None:
    arm.faults.add("dropafter", "POST deallocate")
    with pytest.raises(LOST):
        await client.post(web, "deallocate")
    arm.finish()
    assert await client.power(web) == "deallocated"
    # aiohttp sends a PUT a second time by itself when the reply to the first is lost.
    arm.faults.add("dropafter", "PUT vm", vm="db", times=2)
    with pytest.raises(LOST):
        await client.create("db")
    assert sorted(arm.vms()) == ["db", "web"]
    assert arm.calls["PUT vm"] == 3
    assert arm.done("POST deallocate")[web] == 1


async def test_a_held_call_waits_before_or_after_it_is_done(
    arm: Simulator, client: Client, web: str
) -> None:
    for kind, during in (("hold", "running"), ("holdafter", "stopping")):
        arm.pace.looks = 1000
        rule = arm.faults.add(kind, "POST powerOff")
        call = asyncio.create_task(client.post(web, "powerOff"))
        await rule.befallen.wait()
        assert await client.power(web) == during
        assert not call.done()
        rule.release()
        assert (await call).status == 202
        arm.finish()
        assert await client.power(web) == "stopped"
        arm.power(web, "running")


async def test_a_failed_operation_says_why_and_leaves_what_azure_leaves(
    arm: Simulator, client: Client, web: str
) -> None:
    arm.faults.add("fail", "PUT vm", zone="1", times=0, code="ZonalAllocationFailed")
    accepted = await client.create("db", zone="1")
    ended = await client.settled(accepted)
    assert (accepted.status, ended["status"]) == (201, "Failed")
    assert ended["error"]["code"] == "ZonalAllocationFailed"
    left = (await client.call("GET", client.vm("db"))).body
    assert left["properties"]["provisioningState"] == "Failed"
    assert await client.power("db") == ""
    assert any(disk.name == "db-os" for disk in arm.resources("Microsoft.Compute/disks"))
    assert (await client.settled(await client.create("two", zone="2")))["status"] == "Succeeded"


async def test_a_failed_start_leaves_it_deallocated(
    arm: Simulator, client: Client, web: str
) -> None:
    await client.settled(await client.post(web, "deallocate"))
    arm.faults.add("fail", "POST start", code="AllocationFailed")
    ended = await client.settled(await client.post(web, "start"))
    assert (ended["status"], ended["error"]["code"]) == ("Failed", "AllocationFailed")
    assert await client.power(web) == "deallocated"
    assert (await client.settled(await client.post(web, "start")))["status"] == "Succeeded"
    assert await client.power(web) == "running"


async def test_an_operation_hangs_until_it_is_released(
    arm: Simulator, client: Client, web: str
) -> None:
    rule = arm.faults.add("hang", "DELETE vm")
    accepted = await client.call("DELETE", client.vm(web))
    poll = accepted.headers["Azure-AsyncOperation"]
    seen = {(await client.call("GET", poll)).body["status"] for _ in range(5)}
    assert (seen, arm.vms()) == ({"InProgress"}, [web])
    rule.release()
    assert (await client.call("GET", poll)).body["status"] == "Succeeded"
    assert arm.vms() == []


async def test_a_lost_operation_goes_on_unseen(arm: Simulator, client: Client, web: str) -> None:
    arm.faults.add("lost", "POST powerOff")
    accepted = await client.post(web, "powerOff")
    polled = await client.call("GET", accepted.headers["Azure-AsyncOperation"])
    assert (polled.status, polled.code) == (404, "NotFound")
    assert await client.power(web) == "stopping"
    assert await client.power(web) == "stopped"


async def test_listings_may_lack_vms(arm: Simulator, client: Client, web: str) -> None:
    for number in range(3):
        await client.settled(await client.create(f"vm-{number}"))
    for kind, seen in (("empty", []), ("partial", [web, "vm-1"])):
        for query, of in (({}, "GET all vms"), ({"statusOnly": "true"}, "GET statusOnly")):
            arm.faults.add(kind, of)
            listed = (await client.call("GET", everywhere(client), **query)).body
            assert [one["name"] for one in listed["value"]] == seen
            assert "nextLink" not in listed
    whole = (await client.call("GET", everywhere(client))).body["value"]
    assert len(whole) == 4


async def test_a_stale_listing_shows_what_was(arm: Simulator, client: Client, web: str) -> None:
    rule = arm.faults.add("stale", "GET statusOnly", times=0)
    first = (await client.call("GET", everywhere(client), statusOnly="true")).body
    arm.deallocate(web)
    again = (await client.call("GET", everywhere(client), statusOnly="true")).body
    assert again == first
    rule.remove()
    now = (await client.call("GET", everywhere(client), statusOnly="true")).text
    assert "PowerState/deallocated" in now


async def test_states_may_be_unsaid_or_odd(arm: Simulator, client: Client, web: str) -> None:
    view = f"{client.vm(web)}/instanceView"
    arm.faults.add("nopower", "GET instanceView")
    codes = [one["code"] for one in (await client.call("GET", view)).body["statuses"]]
    assert codes == ["ProvisioningState/succeeded"]
    arm.faults.add("nopower", "GET statusOnly")
    listed = await client.call("GET", everywhere(client), statusOnly="true")
    assert "PowerState" not in listed.text
    arm.faults.add("creating", "GET instanceView")
    codes = [one["code"] for one in (await client.call("GET", view)).body["statuses"]]
    assert codes == ["ProvisioningState/creating", "PowerState/running"]
    arm.faults.add("creating", "GET vm")
    seen = (await client.call("GET", client.vm(web))).body["properties"]["provisioningState"]
    assert seen == "Creating"
    assert await client.power(web) == "running"


async def test_a_vm_that_is_there_may_be_answered_not_found(
    arm: Simulator, client: Client, web: str
) -> None:
    arm.faults.add("absent", "GET vm", vm=web)
    seen = [await client.call("GET", client.vm(web)) for _ in range(2)]
    assert [one.status for one in seen] == [404, 200]
    assert seen[0].code == "ResourceNotFound"


async def test_a_new_vm_has_no_power_until_it_was_on(arm: Simulator, client: Client) -> None:
    arm.pace.looks = 1
    accepted = await client.create("web")
    assert await client.power("web") == ""
    assert (await client.settled(accepted))["status"] == "Succeeded"
    assert await client.power("web") == "running"


async def test_an_unknown_call_is_refused_and_an_unknown_fault_too(
    arm: Simulator, client: Client
) -> None:
    nothing = await client.call("GET", f"{client.group}/providers/Microsoft.Web/sites")
    assert (nothing.status, nothing.code) == (404, "InvalidResourceType")
    wrong = await client.call("PUT", f"{client.vm('web')}/start")
    assert wrong.status == 405
    bare = await client.call("GET", f"{client.group}?x=1")
    assert bare.code == "MissingApiVersionParameter"
    with pytest.raises(ValueError, match="no such fault"):
        arm.faults.add("nosuch")
