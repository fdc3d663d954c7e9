"""Faults T7 through the API: what a type of hypervisor cannot give is refused by its field, before
anything is booked."""

from pathlib import Path
from typing import Any

from gateway.store.db.pool import Store
from tests.acceptance.gateway import Gateway, gateways, href_of
from tests.acceptance.vcenter_hosts import on_vcenter
from tests.lab.vcenter import VCenter

WRONG = [
    ({"ram": 513}, "ram", "multiples of 4 MiB: 512 or 516, not 513"),
    ({"ram": 1}, "ram", "multiples of 4 MiB: 4, not 1"),
    ({"ram": 2**31 - 1}, "ram", "at most 25165824 MiB"),
    ({"cpu": 769}, "cpu", "at most 768 CPUs"),
]


async def refused(gateway: Gateway, method: str, path: str, body: Any) -> tuple[str, str]:
    """The field that a 400 names, and what it says."""
    status, said = await gateway.call(method, path, body)
    assert status == 400, said
    message = str(said["collection"][0]["message"])
    return message.partition(":")[0], message


async def test_a_size_that_esxi_cannot_give_is_refused_and_books_nothing(
    vc: VCenter, store: Store, database_url: str, tmp_path: Path
) -> None:
    """Where a VM is made, edited, resized, and where room is held for one; the sizes next to it
    are named, and are taken."""
    async with gateways(on_vcenter(vc, tmp_path, database_url)) as (gateway,):
        appliance = await gateway.appliance()
        vm = await gateway.make(appliance, ram=512)
        body = await gateway.get(vm)
        template = {"links": [{"rel": "virtualmachinetemplate"}]}
        vdc = "/".join(appliance.split("/")[:3])
        offered = (await gateway.get(f"{vdc}/action/templates"))["collection"][0]
        template["links"][0]["href"] = href_of(offered, "edit")
        machines = (await gateway.get("admin/datacenters"))["collection"][0]
        for wrong, field, said in WRONG:
            for method, path, more in (
                ("POST", f"{appliance}/virtualmachines", template),
                ("PUT", vm, body),
            ):
                named, message = await refused(gateway, method, path, {**more, **wrong})
                assert named.endswith(field)
                assert said in message
            entry = {"cpu": 1, "ram": 512, "type": "VMX_04", **wrong}
            links = [{"rel": "datacenter", "href": href_of(machines, "edit")}]
            hold = {"ttl": 60, "links": links, "virtualmachines": {"collection": [entry]}}
            named, message = await refused(gateway, "POST", "admin/holds", hold)
            assert said in message
        await gateway.run("POST", f"{vm}/action/deploy")
        await gateway.run("PUT", f"{vm}/state", {"state": "OFF"})
        named, message = await refused(gateway, "PUT", vm, {**await gateway.get(vm), "ram": 514})
        assert "512 or 516" in message
        await gateway.run("PUT", vm, {**await gateway.get(vm), "ram": 516})
        assert (await gateway.get(vm))["ram"] == 516
        async with store.transaction() as c:  # as an earlier version has recorded it
            other = await gateway.make(appliance)
            id_ = int(other.rpartition("/")[2])
            await c.execute("update vm set ram_mib = 514 where id = $1", id_)
        for path in (f"{other}/action/deploy", f"{appliance}/action/deploy"):
            _, message = await refused(gateway, "POST", path, None)
            assert "512 or 516" in message
        assert (await gateway.get(other))["state"] == "NOT_ALLOCATED"
        async with store.read() as c:
            assert await c.fetchval("select count(*) from booking where vm_id = $1", id_) == 0
        await gateway.run("POST", f"{vm}/action/undeploy")
