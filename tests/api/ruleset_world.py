"""Rule sets for the tests: a world with two rules, drafts of it, and all that they may touch."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from gateway.store.db.pool import Store
from tests.api.vm_client import Answer, Api, serving

SETS = "admin/rulesets"
DRAFTS = f"{SETS}/drafts"
LOAD = "admin/rules/machineLoadLevel"
RACK = {"rel": "rack", "href": "http://x/api/admin/datacenters/1/racks/1"}
FIT = [{"fitPolicy": "PROGRESSIVE", "packing": False}]
TOML = {"Content-Type": "application/toml"}


@asynccontextmanager
async def small_world(store: Store) -> AsyncIterator[Api]:
    """The small world with the fit policy that is always there, by way of the rules' own API."""
    async with serving(store) as opened:
        async with store.transaction() as c:
            await c.execute(
                "insert into rule (kind, level, fit_policy) "
                "values ('fit_policy', 'global', 'PROGRESSIVE')"
            )
        await opened.call("POST", LOAD, load(100, 100, links=[RACK]))
        yield opened


def load(cpu: int, ram: int, **about: Any) -> dict[str, Any]:
    return {"cpuLoadPercentage": cpu, "ramLoadPercentage": ram, "aggregated": False, **about}


def draft_of(*loads: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"machineLoadRules": [*loads], "fitPolicyRules": FIT, **more}


async def drafted(api: Api, *loads: dict[str, Any], **more: Any) -> Answer:
    made = await api.call("POST", SETS, draft_of(*loads, **more))
    assert made.status == 201, made.body
    return made


async def activate(api: Api, draft: Answer, **more: Any) -> Answer:
    headers = {"If-Match": draft.headers["ETag"]}
    path = f"{DRAFTS}/{draft.body['id']}/action/activate"
    return await api.call("POST", path, headers=headers, **more)


async def state(api: Api) -> tuple[Any, ...]:
    """All that an activation touches."""
    return (
        await api.row("select jsonb_agg(to_jsonb(r) order by r.id) from rule r"),
        await api.row("select version from rule_set"),
        await api.row("select count(*) from rule_set_version"),
        await api.row("select jsonb_agg(to_jsonb(l) order by kind, id) from ledger l"),
        await api.row("select count(*) from outbox"),
    )


async def limit(api: Api, host: int) -> int:
    found: int = await api.row("select cpu_limit from ledger where kind='host' and id=$1", host)
    return found
