"""Administrators edit rules, clusters, tiers, layers and reservations while VMs come and go: nobody
meets a fault, and the books balance after it."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.store.db.pool import Store
from tests.api.test_rules_in_effect import APP, DC, RACK, Live, machines, serving_live, to
from tests.tasks.rig import books_balance, ended

ROUNDS = 5


@pytest.fixture
async def live(store: Store) -> AsyncIterator[Live]:
    """The API over a running engine."""
    async with serving_live(store) as made:
        yield made


async def tenant(live: Live, vm: int) -> list[int]:
    """Deploy a VM and undeploy it, again and again."""
    app = 1 if vm <= 4 else 2
    path = f"cloud/virtualdatacenters/{app}/virtualappliances/{app}/virtualmachines/{vm}"
    found = []
    for n in range(ROUNDS):
        action = ("deploy", "undeploy")[n % 2]
        answer = await live.api.call("POST", f"{path}/action/{action}")
        found.append(answer.status)
        task = await live.api.row(
            "select id from task where vm_id = $1 order by n desc limit 1", vm
        )
        await ended(live.rig.store, task)
    return found


async def administrator(live: Live, n: int) -> list[int]:
    """Make and lift one thing of each sort, again and again."""
    found = []
    machine = machines(n)
    for turn in range(ROUNDS):
        about = {"links": machine}
        calls = (
            ("POST", f"{RACK}/clusters", {"name": f"c{n}-{turn}", **about}),
            ("POST", f"admin/enterprises/{1 + n % 2}/reservedmachines", about),
            (
                "POST",
                "admin/rules/machineLoadLevel",
                {"cpuLoadPercentage": 200, "ramLoadPercentage": 100, **about},
            ),
            (
                "PUT",
                f"{DC}/datastoretiers/1/action/adddatastores?force=true",
                {"links": [to(f"{DC}/datastores/2", "datastore")]},
            ),
            ("PUT", f"{RACK}/clusters/{n}", {"links": machines(n, 1 + n % 4)}),
            (
                "PUT",
                f"{APP}/layers/web",
                {"links": [to(f"{APP}/virtualmachines/{v}", "virtualmachine") for v in (1, 1 + n)]},
            ),
            (
                "PUT",
                f"{DC}/datastoretiers/1/action/releasedatastores?force=true",
                {"links": [to(f"{DC}/datastores/2", "datastore")]},
            ),
            ("DELETE", f"admin/enterprises/{1 + n % 2}/reservedmachines/{n}", None),
            ("POST", "admin/rules", {"fitPolicyRules": [{"fitPolicy": "PERFORMANCE"}]}),
            ("DELETE", f"{RACK}/clusters/{n + turn}", None),
        )
        for method, path, body in calls:
            found.append((await live.api.call(method, path, body)).status)
    return found


async def test_edits_and_deploys_at_once_meet_no_fault(live: Live) -> None:
    await live.set("POST", "admin/rules/fitsPolicy", {"fitPolicy": "PROGRESSIVE"})
    await live.set("POST", f"{DC}/datastoretiers", {"name": "gold"})
    vms = [to(f"{APP}/virtualmachines/{n}", "virtualmachine") for n in (1, 2)]
    await live.set("POST", f"{APP}/layers", {"name": "web", "links": vms})
    async with asyncio.timeout(120):
        answered = await asyncio.gather(
            *(tenant(live, vm) for vm in (1, 2, 3, 5, 6)),
            *(administrator(live, n) for n in (1, 2, 3)),
        )
    statuses = [status for each in answered for status in each]
    assert max(statuses) < 500, statuses
    assert min(map(len, answered)) > 0
    assert sum(status < 300 for status in statuses) > len(statuses) // 3
    await books_balance(live.rig.store, disks_measured=True)
