"""A drain survives kill -9 of the gateway that runs it: no move is lost, and none made twice."""

import asyncio
from pathlib import Path

from drivers.simulated.world import World
from gateway.store.db.pool import Store
from tests.acceptance.gateway import gateways, href_of, place, until
from tests.tasks.rig import books_balance

VMS = 6
KILLS = 3


async def test_a_drain_goes_on_after_each_kill(
    store: Store, database_url: str, tmp_path: Path
) -> None:
    """The plan is asked for over HTTP and worked out by a process of its own, as in production."""
    at = place(tmp_path, database_url, hosts=3, relocation_s=0.5)
    at.config.write_text(at.config.read_text() + "\n[plans]\nhost_units = 1\n")
    async with gateways(at) as (gateway,):
        appliance = await gateway.appliance()
        vms = [await gateway.make(appliance) for _ in range(VMS)]
        for vm in vms:
            await gateway.run("POST", f"{vm}/action/deploy")
        async with store.read() as c:
            host = await c.fetchval("select host_id from vm group by 1 order by count(*) desc")
            before = await c.fetchval("select count(*) from vm where host_id = $1", host)
        machine = f"{gateway.base}/admin/datacenters/1/racks/1/machines/{host}"
        body = {"kind": "drain", "links": [{"rel": "machine", "href": machine}]}
        status, plan = await gateway.call("POST", "admin/plans", body)
        assert (status, plan["totalMoves"]) == (201, before)
        begins = [move["beginsAtMib"] for move in plan["moves"]["collection"]]
        assert len(set(begins)) == before  # one unit a host: one after the other, by [plans]
        path = f"admin/plans/{plan['id']}"
        status, _ = await gateway.call("POST", href_of(plan, "approve"))
        assert status == 200

        async def moved(count: int) -> bool:
            async with store.read() as c:
                done = await c.fetchval("select count(*) from plan_move where state = 'DONE'")
            return bool(done >= count)

        for kill in range(KILLS):
            await until(lambda kill=kill: moved(kill + 1), 60)
            await gateway.kill()
            await gateway.start()

        async def over() -> bool:
            return str((await gateway.get(path))["state"]) != "RUNNING"

        await until(over, 90)
        ended = await gateway.get(path)
        assert (ended["state"], ended["reason"]) == ("DONE", "")
        async with store.read() as c:
            assert await c.fetchval("select count(*) from vm where host_id = $1", host) == 0
            relocations = await c.fetch(
                "select vm_id, count(*) n from task where kind = 'RELOCATE' group by 1"
            )
        assert [row["n"] for row in relocations] == [1] * before
        boots = {row["boots"] for row in World(at.world).rows("select boots from vm")}
        assert boots == {1}
        await asyncio.gather(gateway.stop(), books_balance(store, disks_measured=True))
