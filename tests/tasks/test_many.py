"""Several processes on one PostgreSQL, some killed: the long run is `make many-processes`."""

from gateway.store.db.pool import StoreSettings
from tests.postgres import create_database
from tests.tasks.many import Plan, packing, run


async def test_killed_processes_leak_nothing_and_promise_nothing_twice(postgres_server, tmp_path):
    """I2, I3: each is taken over from its journal, and the ledger stays exact and within limits."""
    url = await create_database(postgres_server, "many_mixed")
    settings = StoreSettings(tmp_path, database_url=url)
    plan = Plan(processes=4, hosts=12, vms=200, operations=600, kills=3, seed=4)
    seen = await run(settings, plan)
    assert seen.operations == 600
    assert seen.kills == 3
    assert seen.over_commits == 0


async def test_processes_together_pack_nearly_as_one_alone(postgres_server, tmp_path):
    """Each fills its own share first, and the whole fleet before anything is refused."""
    one, many = await packing(postgres_server, tmp_path, Plan(processes=4, hosts=8, vms=400))
    assert one.over_commits == many.over_commits == 0
    assert many.vms >= 0.9 * one.vms > 0
