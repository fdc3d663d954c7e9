"""What the rig's ARM simulator does with VMs, their addresses, quotas, lists and limits."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.lab.azure.client import SIZE, Client, sdk
from tests.lab.azure.simulator import GROUP, Simulator


async def started(client: Client, arm: Simulator, name: str = "web") -> str:
    """Makes a VM with a public address; its interface."""
    nic = await client.nic(f"{name}-nic", arm.subnet, public=f"{name}-ip")
    ended = await client.settled(await client.create(name, nic))
    assert ended["status"] == "Succeeded"
    return nic


async def addresses(client: Client, nic: str, name: str = "web") -> list[str]:
    """The private and the public address, where there are such."""
    card = (await client.call("GET", nic)).body["properties"]["ipConfigurations"][0]["properties"]
    address = client.network("publicIPAddresses", f"{name}-ip")
    public = (await client.call("GET", address)).body["properties"]
    found = [card.get("privateIPAddress"), public.get("ipAddress")]
    return [one for one in found if one is not None]


async def cores(client: Client) -> int:
    """How much of the quota is used."""
    where = f"{client.subscription}/providers/Microsoft.Compute/locations/eastus/usages"
    value = (await client.call("GET", where)).body["value"]
    return int(next(one["currentValue"] for one in value if one["name"]["value"] == "cores"))


async def test_m075_deallocation_empties_dynamic_addresses_and_keeps_the_quota(
    arm: Simulator, client: Client
) -> None:
    nic = await started(client, arm)
    before = await addresses(client, nic)
    assert len(before) == 2
    await client.settled(await client.post("web", "powerOff", skipShutdown="false"))
    assert await client.power("web") == "stopped"
    assert await addresses(client, nic) == before
    await client.settled(await client.post("web", "deallocate"))
    assert await client.power("web") == "deallocated"
    assert (await addresses(client, nic), await cores(client)) == ([], 2)
    await client.settled(await client.post("web", "start"))
    after = await addresses(client, nic)
    assert len(after) == 2
    assert not set(after) & set(before)
    assert arm.vm("web").boots == 2


async def test_m078_what_somebody_else_did_is_seen(arm: Simulator, client: Client) -> None:
    nic = await started(client, arm)
    arm.power("web", "stopped")
    assert await client.power("web") == "stopped"
    arm.deallocate("web")
    assert await client.power("web") == "deallocated"
    assert await addresses(client, nic) == []
    arm.vanish("web")
    gone = await client.call("GET", client.vm("web"))
    assert (gone.status, gone.code) == (404, "ResourceNotFound")
    assert await cores(client) == 0


async def test_power_is_told_while_it_changes(arm: Simulator, client: Client) -> None:
    await started(client, arm)
    arm.pace.looks = 2
    for action, during, after in (
        ("powerOff", "stopping", "stopped"),
        ("start", "starting", "running"),
        ("deallocate", "deallocating", "deallocated"),
    ):
        accepted = await client.post("web", action)
        seen = [await client.power("web") for _ in range(3)]
        assert seen == [during, during, after]
        assert (await client.settled(accepted))["status"] == "Succeeded"


async def test_a_vm_off_does_not_take_its_compute_back_by_being_powered_off(
    arm: Simulator, client: Client
) -> None:
    await started(client, arm)
    await client.settled(await client.post("web", "deallocate"))
    await client.settled(await client.post("web", "powerOff"))
    assert await client.power("web") == "deallocated"
    refused = await client.post("web", "restart")
    assert (refused.status, refused.code) == (409, "OperationNotAllowed")


async def test_one_operation_at_a_time_but_a_deletion_goes_first(
    arm: Simulator, client: Client
) -> None:
    await started(client, arm)
    arm.faults.add("hang", "POST powerOff")
    going = await client.post("web", "powerOff")
    for refused in (
        await client.post("web", "start"),
        await client.call("PATCH", client.vm("web"), {"tags": {"a": "b"}}),
    ):
        assert (refused.status, refused.code) == (409, "Conflict")
    deleting = await client.call("DELETE", client.vm("web"))
    preempted = await client.settled(going)
    assert preempted["error"]["code"] == "OperationPreempted"
    assert (await client.settled(deleting))["status"] == "Succeeded"
    assert arm.vms() == []
    assert (await client.call("DELETE", client.vm("web"))).status == 204


async def test_deletion_leaves_what_it_was_not_told_to_take(arm: Simulator, client: Client) -> None:
    nic = await started(client, arm)
    assert (await client.call("DELETE", nic)).code == "NicInUse"
    await client.settled(await client.call("DELETE", client.vm("web")))
    (disk,) = arm.resources("Microsoft.Compute/disks")
    assert (disk.name, disk.properties["diskState"]) == ("web-os", "Unattached")
    taken = await client.create("web", nic)
    assert (taken.status, taken.code) == (409, "ConflictingUserInput")
    await client.settled(await client.call("DELETE", disk.id))
    await client.settled(await client.call("DELETE", nic))
    assert arm.resources("Microsoft.Compute/disks") == []
    assert arm.resources("Microsoft.Network/networkInterfaces") == []


async def test_lists_come_in_pages_with_the_group_in_capitals(
    arm: Simulator, client: Client
) -> None:
    arm.pace.page_size = 2
    arm.pace.looks = 0
    for number in range(5):
        await client.settled(await client.create(f"vm-{number}"))
    for query in ({}, {"statusOnly": "true"}):
        where = f"{client.subscription}/providers/Microsoft.Compute/virtualMachines"
        pages = [(await client.call("GET", where, **query)).body]
        while "nextLink" in pages[-1]:
            pages.append((await client.call("GET", pages[-1]["nextLink"])).body)
        found = [one for page in pages for one in page["value"]]
        assert [len(page["value"]) for page in pages] == [2, 2, 1]
        assert [one["name"] for one in found] == [f"vm-{number}" for number in range(5)]
        assert all(f"/resourceGroups/{GROUP.upper()}/" in one["id"] for one in found)
        assert ("hardwareProfile" in found[0]["properties"]) is not bool(query)
        assert ("instanceView" in found[0]["properties"]) is bool(query)


async def test_quotas_and_restrictions_refuse_a_vm(arm: Simulator, client: Client) -> None:
    arm.sizes.set_limit("eastus", "standardDSv3Family", 4)
    arm.sizes.use_elsewhere("eastus", "standardDSv3Family", 1)
    assert (await client.create("one")).status == 201
    over = await client.create("two")
    assert (over.status, over.code) == (409, "OperationNotAllowed")
    assert "Current Limit: 4, Current Usage: 3" in over.text
    assert (await client.create("three", size="Standard_E2s_v3")).status == 201
    arm.sizes.restrict("Standard_E2s_v3", "eastus", "1")
    assert (await client.create("four", size="Standard_E2s_v3", zone="2")).status == 201
    closed = await client.create("five", size="Standard_E2s_v3", zone="1")
    assert (closed.status, closed.code) == (409, "SkuNotAvailable")
    arm.sizes.restrict("Standard_E2s_v3", "eastus")
    assert (await client.create("six", size="Standard_E2s_v3")).code == "SkuNotAvailable"
    assert (await client.create("seven", size="Standard_Nothing")).code == "InvalidParameter"
    assert sorted(arm.vms()) == ["four", "one", "three"]


async def test_a_resize_moves_the_quota(arm: Simulator, client: Client) -> None:
    await started(client, arm)
    bigger = {"properties": {"hardwareProfile": {"vmSize": "Standard_D4s_v3"}}}
    await client.settled(await client.call("PATCH", client.vm("web"), bigger))
    assert (arm.vm("web").size, await cores(client)) == ("Standard_D4s_v3", 4)
    arm.sizes.set_limit("eastus", "cores", 7)
    more = {"properties": {"hardwareProfile": {"vmSize": "Standard_D8s_v3"}}}
    refused = await client.call("PATCH", client.vm("web"), more)
    assert (refused.status, arm.vm("web").size, await cores(client)) == (409, "Standard_D4s_v3", 4)


async def test_a_vm_is_not_made_twice(arm: Simulator, client: Client) -> None:
    await started(client, arm)
    again = await client.create("WEB", f"{client.network('networkInterfaces', 'web-nic')}")
    assert again.status == 200
    assert arm.vms() == ["web"]
    assert await cores(client) == 2
    assert "Canary" not in json.dumps([one.body for one in arm.cloud.resources.values()])


@asynccontextmanager
async def strict() -> AsyncIterator[tuple[Simulator, Client]]:
    async with (
        Simulator.start(strict=True) as arm,
        Client.of(arm, arm.subscription, GROUP) as client,
    ):
        yield arm, client


async def test_only_its_own_tokens_are_good_when_it_is_strict() -> None:
    from azure.identity.aio import ClientSecretCredential

    scope = "https://management.azure.com/.default"
    async with strict() as (arm, client):
        entra = arm.entra
        for token in ("", "any"):
            refused = await client.call("GET", client.group, token=token)
            assert (refused.status, refused.code) == (401, "InvalidAuthenticationToken")
        options = {"authority": arm.base_url, "connection_verify": str(arm.ca_file)}
        async with ClientSecretCredential(
            entra.tenant, entra.client_id, entra.client_secret, **options
        ) as credential:
            token = (await credential.get_token(scope)).token
        assert (await client.call("GET", client.group, token=token)).status == 200
        entra.revoke()
        assert (await client.call("GET", client.group, token=token)).status == 401


async def test_as_a_process_of_its_own_it_ends_with_its_maker(tmp_path: Path) -> None:
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.lab.azure.simulator", f"home={tmp_path}", "vms=2"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    said = json.loads(await child.stdout.readline())

    class There:
        base_url, ca_file = said["base_url"], said["ca_file"]

    async with Client.of(There(), said["subscription"], GROUP) as client:
        assert await client.power("vm-1") == "running"
        assert (await client.settled(await client.create("web")))["status"] == "Succeeded"
        assert await client.power("web") == "running"
    await child.communicate(b"")
    assert child.returncode == 0


async def test_limits_are_told_and_kept(arm: Simulator, client: Client) -> None:
    now_s = arm.limits.clock()
    arm.limits.clock = lambda: now_s
    arm.limits.allow("UpdateVM", 2, 1000)
    await started(client, arm)
    left = []
    for _ in range(3):
        answer = await client.post("web", "powerOff")
        left.append(answer.headers["x-ms-ratelimit-remaining-resource"])
        if answer.status < 300:
            await client.settled(answer)
    assert [text.partition(",")[0].rpartition(";")[2] for text in left] == ["1", "0", "0"]
    assert (answer.status, answer.headers["Retry-After"]) == (429, "90")
    assert answer.body["details"][0]["target"] == "UpdateVM3Min"
    arm.limits.clock = lambda: now_s + 90
    assert (await client.post("web", "powerOff")).status == 202
    assert (arm.limits.refused, arm.done("POST powerOff")["web"]) == (1, 3)


async def test_sizes_are_listed_by_place(arm: Simulator, client: Client) -> None:
    async with sdk(arm, arm.subscription) as azure:
        listed = azure.resource_skus.list(filter="location eq 'westus'")
        found = {one.name: one async for one in listed}
    assert found[SIZE].locations == ["westus"]
    assert found[SIZE].family == "standardDSv3Family"
