"""Kind K3 over HTTP on real hosts: a CD, an image of a backup tool, and a saved memory are told
before a VM is moved or removed; the way out of each leads on (faults D1, D2, D3, L5)."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.gateway import Gateway, gateways, until
from tests.acceptance.real_hosts import on_lab
from tests.acceptance.test_real_faults import booted, host_of, settled, state
from tests.lab.hosts import Lab, LabHost

pytestmark = pytest.mark.xdist_group("kvm")


class Administrator:
    """Somebody with virsh on the host where a VM is."""

    def __init__(self, gateway: Gateway, vm: str, host: LabHost, name: str) -> None:
        self.gateway, self.vm, self.host, self.name = gateway, vm, host, name

    async def virsh(self, *command: str) -> str:
        return await asyncio.to_thread(self.host.virsh, *command)

    async def rejected(self) -> list[str]:
        """What candidates say against a move, once for each other host."""
        found = await self.gateway.get(f"{self.vm}/action/relocatecandidates")
        reasons = [one for each in found["rejected"] for one in each["reasons"]]
        return [one["spare"] for one in reasons if one["lack"] == "REFUSED"]

    async def told(self, said: str) -> None:
        """Wait until candidates say it; an empty text: nothing any more."""

        async def so() -> bool:
            found = await self.rejected()
            return said in found[0] if found and said else not found and not said

        await until(so)

    async def denied(self, action: str, code: str, said: str) -> None:
        status, body = await self.gateway.call("POST", f"{self.vm}/action/{action}")
        assert status == 409, body
        (error,) = body["collection"]
        assert error["code"] == code
        assert said in error["message"]

    async def drained(self) -> list[dict[str, Any]]:
        """What a plan that empties the host leaves there."""
        shown = await self.gateway.get(self.vm)
        machine = next(one["href"] for one in shown["links"] if one["rel"] == "machine")
        body = {"kind": "drain", "links": [{"rel": "machine", "href": machine}]}
        status, plan = await self.gateway.call("POST", "admin/plans", body)
        assert status in (200, 201), plan
        return list(plan["blocked"])


async def administered(gateway: Gateway, lab: Lab) -> Administrator:
    vm = await gateway.make(await gateway.appliance())
    await gateway.run("POST", f"{vm}/action/deploy")
    shown = await gateway.get(vm)
    await booted(lab, shown["uuid"])
    where = await host_of(gateway, vm)
    host = next(each for each in lab.hosts if each.name == where)
    name = (await asyncio.to_thread(host.virsh, "domname", shown["uuid"])).strip()
    return Administrator(gateway, vm, host, name)


async def test_what_others_put_into_a_vm_is_told_before_it_is_moved_or_removed(
    lab: Lab, database_url: str, tmp_path: Path
) -> None:
    async with gateways(on_lab(lab, tmp_path, database_url)) as (gateway,):
        at = await administered(gateway, lab)
        await gateway.run("PUT", f"{at.vm}/state", {"state": "OFF"})
        cd = at.host.home / "tools.iso"
        cd.write_bytes(b"\0" * 4096)
        await at.virsh("attach-disk", at.name, str(cd), "hdc", "--type", "cdrom", "--config")
        await at.told("tools.iso")
        await at.denied("relocate?target=any", "VM-RELOCATE-10", "tools.iso")
        (left,) = await at.drained()
        assert left["reasons"] == ["FIXED"]
        assert "tools.iso" in left["message"]
        await at.virsh("change-media", at.name, "hdc", "--eject", "--config")
        await at.told("")

        made = ("snapshot-create-as", at.name, "backup", "--disk-only", "--no-metadata")
        assert "created" in await at.virsh(*made)
        await at.told(".backup")
        await at.denied("relocate?target=any", "VM-RELOCATE-10", ".backup")
        await at.denied("undeploy", "VM-121", ".backup")
        await gateway.run("PUT", f"{at.vm}/state", {"state": "ON"})
        base = next(each for each in lab.shared.glob("*.backup")).with_suffix("")
        merged = ("blockcommit", at.name, "hda", "--base", str(base), "--active", "--pivot")
        assert "pivoted" in await at.virsh(*merged)
        await at.told("")

        assert "saved" in await at.virsh("managedsave", at.name)
        await at.told("saved")
        await becomes(gateway, at.vm, "OFF")
        await at.denied("relocate?target=any", "VM-RELOCATE-10", "saved")
        await gateway.run("PUT", f"{at.vm}/state", {"state": "ON"})
        await at.told("")
        source = at.host.name
        await gateway.run("POST", f"{at.vm}/action/relocate?target=any")
        assert await host_of(gateway, at.vm) != source
        await gateway.run("POST", f"{at.vm}/action/undeploy")
        (leftover,) = lab.shared.glob("*.backup")
        leftover.unlink()  # a file of somebody else is never deleted


async def becomes(gateway: Gateway, vm: str, wanted: str) -> None:
    async def so() -> bool:
        return await state(gateway, vm) == wanted

    await until(so)


async def test_an_undeploy_over_an_inactive_pool_leaves_a_vm_that_can_be_undeployed(
    lab: Lab, database_url: str, tmp_path: Path
) -> None:
    """Fault L5: nothing is lost sight of, and once the pool is back everything goes."""
    async with gateways(on_lab(lab, tmp_path, database_url)) as (gateway,):
        at = await administered(gateway, lab)
        await at.virsh("pool-destroy", "shared")
        try:
            task = await gateway.accept("POST", f"{at.vm}/action/undeploy")
            ended = await gateway.end(task)
            assert "FINISHED_UNSUCCESSFULLY" in ended["state"]
            await settled(gateway, at.vm)
            assert at.name in await at.virsh("list", "--all", "--name")
        finally:
            await at.virsh("pool-start", "shared")
        await gateway.run("POST", f"{at.vm}/action/undeploy")
        assert at.name not in await at.virsh("list", "--all", "--name")
