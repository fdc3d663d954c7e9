"""The small world with what rules are about: a fit policy, a cluster and a tier."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from gateway.store.db.pool import Store
from tests.api.vm_client import Api, serving

ROOT = "admin/rules"
LOAD = f"{ROOT}/machineLoadLevel"
STORAGE = f"{ROOT}/datastoreloadlevel"
FIT = f"{ROOT}/fitsPolicy"
APART = f"{ROOT}/enterpriseExclusions"
DC = "http://x/api/admin/datacenters/1"
HOST = {"rel": "machine", "href": f"{DC}/racks/1/machines/1"}
RACK = {"rel": "rack", "href": f"{DC}/racks/1"}
DATACENTER = {"rel": "datacenter", "href": DC}
CLUSTER = {"rel": "cluster", "href": f"{DC}/racks/1/clusters/1"}
DATASTORE = {"rel": "datastore", "href": f"{DC}/datastores/1"}
TIER = {"rel": "datastoretier", "href": f"{DC}/datastoretiers/1"}
ACME = {"rel": "enterprise", "href": "http://x/api/admin/enterprises/1"}
OTHER = {"rel": "enterprise", "href": "http://x/api/admin/enterprises/2"}
_SQL = """
insert into rule (kind, level, fit_policy) values ('fit_policy', 'global', 'PROGRESSIVE');
insert into cluster (rack_id, name) values (1, 'c1');
update host set cluster_id = 1 where id in (1, 2);
insert into tier (datacenter_id, name) values (1, 'gold');
update datastore set tier_id = 1;
"""


@contextlib.asynccontextmanager
async def serving_rules(store: Store) -> AsyncIterator[Api]:
    """The API, with the fit policy that is always there, a cluster of the hosts 1 and 2, and a
    tier of the datastore 1."""
    async with serving(store) as opened:
        async with store.transaction() as c:
            await c.execute(_SQL)
        yield opened


def load(cpu: int, ram: int, *links: dict[str, str], **more: Any) -> dict[str, Any]:
    """A machine load rule about the elements linked."""
    return {"cpuLoadPercentage": cpu, "ramLoadPercentage": ram, "links": [*links], **more}


async def limit(api: Api, kind: str, id_: int, column: str) -> int | None:
    """What a row of the ledger says."""
    found: int | None = await api.row(
        f"select {column} from ledger where kind = $1 and id = $2", kind, id_
    )
    return found


def path(link: dict[str, Any] | None) -> str:
    """A link's path below /api."""
    assert link is not None
    return str(link["href"]).partition("/api/")[2]
