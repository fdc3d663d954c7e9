"""B1 end to end: real gateways, real PostgreSQL; why, by link, and the same answer again."""

import asyncio
from pathlib import Path
from typing import Any

from tests.acceptance.gateway import Gateway, gateways, href_of, place


async def table_of(gateway: Gateway, body: dict[str, Any]) -> dict[str, Any]:
    """The table of the decision that a representation links to."""
    decision = await gateway.get(href_of(body, "decision"))
    return dict(await gateway.get(href_of(decision, "table")))


async def test_every_answer_of_two_gateways_can_be_asked_for_and_made_again(
    database_url: str, tmp_path: Path
) -> None:
    """I13, M-052: placements, a move and a refusal, by whichever gateway."""
    at = place(tmp_path, database_url, cpus=4)
    async with gateways(at, 2) as (one, two):
        appliance = await one.appliance()
        vms = [await one.make(appliance) for _ in range(6)]
        await asyncio.gather(
            *(
                each.run("POST", f"{vm}/action/deploy")
                for each, vm in zip((one, two) * 3, vms, strict=True)
            )
        )
        await two.run("POST", f"{vms[0]}/action/relocate?target=any")
        large = await one.make(appliance, cpu=5)
        failed = await one.end(await two.accept("POST", f"{large}/action/deploy"))
        assert failed["state"] == "FINISHED_UNSUCCESSFULLY"
        bodies = [*[await two.get(vm) for vm in vms], failed]
        for body in bodies:
            table = await table_of(two, body)
            assert (table["identical"], table["why"]) == (True, "")
            assert len(table["collection"]) == 4
        refused = await one.get(href_of(failed, "decision"))
        assert refused["refused"]["byLack"] == {"CPU": 4}
        listed = await one.get("admin/decisions?limit=0")
        assert listed["totalSize"] == 8


async def test_what_is_refused_at_once_is_advised(database_url: str, tmp_path: Path) -> None:
    """B2: a hold without room, and a move to a machine that takes nobody; the 409 leads there."""
    at = place(tmp_path, database_url, hosts=2, cpus=4)
    async with gateways(at) as (gateway,):
        vm = await gateway.make(await gateway.appliance())
        await gateway.run("POST", f"{vm}/action/deploy")
        links = [{"rel": "datacenter", "href": "http://x/api/admin/datacenters/1"}]
        size = {"count": 9, "cpu": 1, "ram": 128, "type": "KVM"}
        wish = {"ttl": 60, "links": links, "virtualmachines": {"collection": [size]}}
        status, held = await gateway.call("POST", "admin/holds", wish)
        assert status == 409
        decision = await gateway.get(href_of(held, "decision"))
        assert decision["kind"] == "hold"
        assert decision["advice"]
        here = href_of(await gateway.get(vm), "machine")
        there = here[:-1] + {"1": "2", "2": "1"}[here[-1]]
        status, _ = await gateway.call("PUT", there, {"state": "HALTED"})
        assert status == 200
        body = {"links": [{"rel": "machine", "href": there}]}
        status, moved = await gateway.call("POST", f"{vm}/action/relocate", body)
        assert status == 409
        decision = await gateway.get(href_of(moved, "decision"))
        kinds = [one["changes"][0]["kind"] for one in decision["advice"]]
        assert "MANAGE_HOST" in kinds
