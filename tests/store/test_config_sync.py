"""What a configuration declares again: a host that moved takes nothing of its old rack along."""

from dataclasses import replace

from gateway.store import config_sync
from gateway.store.capacity import ledger
from gateway.store.config_sync import DeclaredHost
from gateway.store.db.pool import Connection, Store
from gateway.store.rules import clusters, rules
from gateway.store.rules.rules import NewRule

HOST = DeclaredHost("sim", "host-1", "KVM", "sim://host-1", "", {}, "MANAGED", [])


async def limit(c: Connection, host_id: int) -> int:
    await c.execute("update host set cpus = 10, memory_mib = 1024")
    await ledger.refresh_limits(c)
    found: int = await c.fetchval("select cpu_limit from ledger where id = $1", host_id)
    return found


async def test_a_host_leaves_the_cluster_with_its_rack(store: Store) -> None:
    """Only with its rack: declared again where it is, it stays in the cluster, and its rule."""
    async with store.transaction() as c:
        datacenter, _ = await config_sync.datacenter(c, "dc", "")
        old, new = [await config_sync.rack(c, datacenter, name, "") for name in ("old", "new")]
        host = await config_sync.host(c, old, HOST)
        cluster = await clusters.add(c, old, "blue")
        assert cluster is not None
        await c.execute("update host set cluster_id = $1", cluster)
        rule = NewRule("machine_load", "cluster", cluster, cpu_percent=300, ram_percent=100)
        await rules.add(c, rule)
        assert await config_sync.host(c, old, HOST) == host
        assert await limit(c, host) == 30
        assert [one.hosts for one in await clusters.of_rack(c, old)] == [((host, "host-1"),)]
        assert await config_sync.host(c, new, HOST) == host
        assert await limit(c, host) == 10
        assert [one.hosts for one in await clusters.of_rack(c, old)] == [()]


async def test_a_host_sees_no_datastore_of_its_old_datacenter(store: Store) -> None:
    """Datastores are named within a datacenter: the same name elsewhere is another one."""
    host = replace(HOST, datastores=["disks"])
    async with store.transaction() as c:
        racks = []
        for name in ("old", "new"):
            datacenter, _ = await config_sync.datacenter(c, name, "")
            await config_sync.datastore(c, datacenter, "disks", ("disks", False, True, None, ""))
            racks.append(await config_sync.rack(c, datacenter, "rack", ""))
        for rack in racks:
            number = await config_sync.host(c, rack, host)
            seen = await c.fetch(
                """select d.datacenter_id = h.datacenter_id as here from host_datastore
                   join datastore d on d.id = datastore_id join host h on h.id = host_id
                   where host_id = $1""",
                number,
            )
            assert [row["here"] for row in seen] == [True]
