"""B9: where DRS acts on a cluster vmgate says so and steps back from balancing, not from orders."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from aiohttp import encode_basic_auth

from tests.acceptance.gateway import Gateway, gateways, href_of, until
from tests.acceptance.test_real_faults import host_of
from tests.acceptance.vcenter_hosts import SHAPE, on_vcenter
from tests.drivers.vsphere_rig import Admin
from tests.lab.vcenter import VCenter, missing, vcenter


@pytest.fixture(params=[True, False], ids=["DRS", "no DRS"])
def vc(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[VCenter]:
    if missing():
        pytest.skip(missing())
    with vcenter(tmp_path / "vsphere", replace(SHAPE, drs=request.param)) as running:
        yield running


async def planned(gateway: Gateway, kind: str, rel: str, href: str) -> dict[str, Any]:
    options = {"gainMinPercent": 1, "movesMaxPercent": 100} if kind == "rebalance" else {}
    body: dict[str, Any] = {"kind": kind, **options}
    body["links"] = [{"rel": rel, "href": href}]
    status, plan = await gateway.call("POST", "admin/plans", body)
    assert status == 201, plan
    return dict(plan)


async def test_drs_is_seen_shown_and_left_its_work(
    vc: VCenter, database_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Two VMs on one host: rebalancing would move one, and does where nobody else does; draining
    the host is done either way, and an order to move a VM is obeyed with a warning."""
    drs = "no DRS" not in request.node.name
    mover = "DRS" if drs else ""
    async with gateways(on_vcenter(vc, tmp_path / "place", database_url)) as (gateway,):
        appliance = await gateway.appliance()
        vms = [await gateway.make(appliance) for _ in range(2)]
        for vm in vms:
            await gateway.run("POST", f"{vm}/action/deploy")
        await together(gateway, vc, vms)
        machines = [href_of(await gateway.get(vm), "machine") for vm in vms]
        assert machines[0] == machines[1]
        assert (await gateway.get(machines[0]))["movedBy"] == mover
        datacenter = href_of(await gateway.get(machines[0]), "datacenter")
        even = await planned(gateway, "rebalance", "datacenter", datacenter)
        assert even["totalMoves"] == (0 if drs else 1)
        told = [(each["movedBy"], each["message"]) for each in even["movedByOthers"]]
        said = "DRS balances this machine's cluster, so it is left out"
        assert told == ([("DRS", said)] * 2 if drs else [])
        empty = await planned(gateway, "drain", "machine", machines[0])
        assert empty["totalMoves"] == 2
        assert [each["movedBy"] for each in empty["movedByOthers"]] == (["DRS"] if drs else [])
        warning = await moved(gateway, vms[0])
        assert ("DRS moves virtual machines here automatically" in warning) is drs
        for vm in vms:
            await gateway.run("POST", f"{vm}/action/undeploy")


async def together(gateway: Gateway, vc: VCenter, vms: list[str]) -> None:
    """DRS has placed the second VM on the other host at power on: somebody brings it back."""
    admin = Admin(vc, vc.home)
    ids = [UUID((await gateway.get(vm))["uuid"]) for vm in vms]
    first, second = [(await asyncio.to_thread(admin.vm, id_)).runtime.host.name for id_ in ids]
    if first != second:
        await asyncio.to_thread(admin.move, ids[1], first)

    async def shown() -> bool:
        return [await host_of(gateway, vm) for vm in vms] == [first, first]

    await until(shown)
    admin.close()


async def moved(gateway: Gateway, vm: str) -> str:
    """Have it relocated; the warning in the answer, empty for none."""
    url = f"{gateway.base}/{vm}/action/relocate?target=any"
    headers = {"Authorization": encode_basic_auth(*gateway.user)}
    async with gateway.session.post(url, headers=headers) as answer:
        assert answer.status == 202
        accepted = await answer.json(content_type=None)
    task = await gateway.end(href_of(accepted, "status"))
    assert task["state"] == "FINISHED_SUCCESSFULLY", task
    return str(answer.headers.get("Warning", ""))
