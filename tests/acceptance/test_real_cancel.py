"""L8 on real hosts: a live move, disk included, is cancelled over HTTP while it runs. It ends in
10 s; the VM still runs at its source, with one booking, and nothing is left on the target."""

from pathlib import Path
from typing import Any

import libvirt
import pytest

from gateway.store.db.pool import Store
from tests.acceptance.gateway import Gateway, gateways, until
from tests.acceptance.real_hosts import on_lab
from tests.acceptance.test_real_faults import host_of, state
from tests.lab.configuration import Times
from tests.lab.hosts import Lab, LabHost

pytestmark = pytest.mark.xdist_group("kvm")
WITHIN_S = 10.0
TRIES = 12
CALM = Times(lease_s=10, heartbeat_s=1, period_s=2, unknown_after_s=20)


def slow(config: Path) -> None:
    """Moves at 1 MiB/s, and VMs on the hosts' own disks, so that the disk moves, too."""
    text = config.read_text(encoding="utf-8")
    text = text.replace("enabled = false", "enabled = true")
    text = text.replace("shared = true", "shared = true\nenabled = false", 1)
    text = text.replace('disk_bus = "ide"', 'disk_bus = "ide"\nbandwidth_mib_s = 1', 1)
    config.write_text(text, encoding="utf-8")


async def cancelled_move(gateway: Gateway, vm: str) -> dict[str, Any]:
    """A live move, and its task once it has ended after a cancellation while it ran."""
    task = await gateway.accept("POST", f"{vm}/action/relocate?target=any")

    async def moving() -> bool:
        jobs = (await gateway.get(task))["jobs"]["collection"]
        return bool(jobs[1]["state"] != "PENDING")

    async def over() -> bool:
        return (await gateway.get(task))["state"] not in ("PENDING", "STARTED")

    await until(moving)
    await gateway.call("POST", f"{task}/action/cancel")
    await until(over, WITHIN_S)
    ended: dict[str, Any] = await gateway.get(task)
    return ended


def defined(host: LabHost) -> dict[str, bool]:
    """The domains of a host as its own libvirt has them, and whether each runs."""
    connection = libvirt.open(host.address)
    try:
        return {one.UUIDString(): bool(one.isActive()) for one in connection.listAllDomains()}
    finally:
        connection.close()


async def test_a_live_move_is_cancelled(
    lab: Lab, database_url: str, store: Store, tmp_path: Path
) -> None:
    """Some moves are over before they are cancelled: then the VM is asked to move again."""
    place = on_lab(lab, tmp_path, database_url, CALM)
    slow(place.config)
    async with gateways(place) as (gateway,):
        vm = await gateway.make(await gateway.appliance())

        async def deployed() -> bool:  # once the hosts were seen
            done = await gateway.end(await gateway.accept("POST", f"{vm}/action/deploy"))
            return bool(done["state"] == "FINISHED_SUCCESSFULLY")

        await until(deployed)
        uuid = (await gateway.get(vm))["uuid"]
        for _ in range(TRIES):
            at = await host_of(gateway, vm)
            ended = await cancelled_move(gateway, vm)
            if ended["state"] == "CANCELLED":
                break
        assert ended["state"] == "CANCELLED", ended
        rolled = {job["type"]: job["rollbackState"] for job in ended["jobs"]["collection"]}
        assert rolled == {"SCHEDULE": "DONE", "RELOCATE": "DONE"}
        assert (await state(gateway, vm), await host_of(gateway, vm)) == ("ON", at)
        there = {host.name: defined(host) for host in lab.hosts}
        assert there == {host.name: {uuid: True} if host.name == at else {} for host in lab.hosts}
        async with store.read() as c:
            assert await c.fetchval("select count(*) from booking") == 1
        await gateway.run("POST", f"{vm}/action/undeploy")
