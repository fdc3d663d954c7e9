"""A VM's life through the SDK at both peers: recorded traffic played back, and the simulator."""

import json
from collections.abc import Callable
from typing import Any

from tests.lab.azure import recordings
from tests.lab.azure.client import Client, Peer, sdk
from tests.lab.azure.recordings import Exchange
from tests.lab.azure.replay import Replay
from tests.lab.azure.simulator import Simulator

Recorded = Callable[[tuple[str, str]], tuple[Exchange, ...]]
_NOBODY = "00000000-0000-0000-0000-000000000000"


def sent(exchanges: tuple[Exchange, ...], method: str, kind: str) -> tuple[str, dict[str, Any]]:
    """The name and body of the recorded request that made or changed such a thing."""
    path = f"/{kind}/"
    found = next(
        one
        for one in exchanges
        if one.method == method and one.path.rpartition("/")[0].endswith(path[:-1])
    )
    return found.path.rpartition("/")[2], json.loads(found.sent)


async def live(peer: Peer, exchanges: tuple[Exchange, ...]) -> list[str]:
    """Makes the recorded VM through the SDK, does everything to it, deletes it; the states seen."""
    async with Client.of(peer, _NOBODY, "rgname") as client:
        for one in exchanges:
            if one.method == "PUT" and "Microsoft.Network" in one.path:
                made = await client.call("PUT", one.path, json.loads(one.sent))
                assert made.status == 201
    name, body = sent(exchanges, "PUT", "virtualMachines")
    _, change = sent(exchanges, "PATCH", "virtualMachines")
    seen = []
    async with sdk(peer, _NOBODY) as azure:
        vms = azure.virtual_machines
        made = await (await vms.begin_create_or_update("rgname", name, body)).result()
        seen.append(made.properties.provisioning_state)
        view = await vms.instance_view("rgname", name)
        seen += [one.code for one in view.statuses]
        full = await vms.get("rgname", name, expand="instanceView")
        seen += [one.code for one in full.properties.instance_view.statuses]
        for listing in (vms.list("rgname"), vms.list_all()):
            seen += [one.name for one in [each async for each in listing] if one.name == name]
        await (await vms.begin_restart("rgname", name)).result()
        await (await vms.begin_power_off("rgname", name, skip_shutdown=False)).result()
        await (await vms.begin_start("rgname", name)).result()
        await (await vms.begin_power_off("rgname", name, skip_shutdown=False)).result()
        await (await vms.begin_reapply("rgname", name)).result()
        await (await vms.begin_redeploy("rgname", name)).result()
        changed = await (await vms.begin_update("rgname", name, change)).result()
        seen.append(changed.properties.provisioning_state)
        await (await vms.begin_deallocate("rgname", name)).result()
        await (await vms.begin_delete("rgname", name)).result()
    return seen


async def test_the_sdk_lives_the_same_life_at_both_peers(recorded: Recorded) -> None:
    exchanges = recorded(recordings.LIFE_CYCLE)
    async with Replay.start(exchanges) as replay:
        played = await live(replay, exchanges)
    assert replay.misses == []
    assert len(replay.played) == 43
    rest = ("/extensions", "/runCommand", "/vmSizes", "/locations/", "Microsoft.Network")
    assert all(any(word in one.path for word in rest) for one in replay.left)
    async with Simulator.start(subscription=_NOBODY) as arm:
        arm.cloud.add_group("rgname")
        simulated = await live(arm, exchanges)
        assert arm.vms() == []
    power = ["ProvisioningState/succeeded", "PowerState/running"]
    name = sent(exchanges, "PUT", "virtualMachines")[0]
    assert played == ["Succeeded", *power, *power, name, name, "Succeeded"]
    assert simulated == played


async def test_what_was_not_recorded_is_a_miss(recorded: Recorded) -> None:
    exchanges = recorded(recordings.NO_SUCH_GROUP)
    async with (
        Replay.start(exchanges) as replay,
        Client.of(replay, _NOBODY, "fakename") as client,
    ):
        path = f"{client.group}/providers/Microsoft.Compute/disks"
        first = await client.call("GET", path.upper())
        again = await client.call("GET", path)
        other = await client.call("POST", path)
    assert (first.status, first.code) == (404, "ResourceGroupNotFound")
    assert (again.status, other.status) == (501, 501)
    assert len(replay.misses) == 2
    async with (
        Replay.start(exchanges, repeats=True) as replay,
        Client.of(replay, _NOBODY, "fakename") as client,
    ):
        seen = [(await client.call("GET", path)).status for _ in range(3)]
        assert (await client.call("GET", path, more="1")).status == 501
    assert (seen, replay.repeated, len(replay.misses)) == ([404] * 3, 2, 1)
