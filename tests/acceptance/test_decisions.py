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
