"""What is written in a rule set, as JSON and TOML, and what it would do before it counts."""

import tomllib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.events.sequencer import Sequencer
from gateway.placement.fleet_mirror import FleetMirror
from gateway.store.capacity.ledger import refresh_limits
from gateway.store.db.pool import Store
from scheduler.model.fit_policy import FitPolicy
from scheduler.model.values import replace
from scheduler.snapshot.snapshot import fleet, from_mapping
from tests.api.ruleset_world import (
    DRAFTS,
    SETS,
    TOML,
    draft_of,
    drafted,
    load,
    small_world,
    state,
)
from tests.api.vm_client import Api
from tests.scheduler.places import DEMAND


@pytest.fixture
async def api(store: Store) -> AsyncIterator[Api]:
    """The world of the rule sets."""
    async with small_world(store) as opened:
        yield opened


async def test_toml_goes_out_and_comes_back_the_same(api: Api) -> None:
    draft = await drafted(
        api,
        load(300, 100, rack=1),
        comment="for the night",
        tests=[{"name": "t", "cpu": 1, "ram": 1, "disk": 1, "datacenter": 1, "type": "KVM"}],
    )
    path = f"{DRAFTS}/{draft.body['id']}"
    headers = {"Accept": "application/toml", "Authorization": "Token token-of-admin"}
    async with api._client.get(f"/api/{path}", headers=headers) as answer:
        assert answer.content_type == "application/toml"
        text = await answer.text()
    assert tomllib.loads(text)["machineLoadRules"] == [load(300, 100, rack=1)]
    again = await api.call("POST", SETS, data=text.encode(), headers=TOML)
    assert again.status == 201, again.body
    same = ("machineLoadRules", "fitPolicyRules", "tests", "comment")
    assert {name: again.body[name] for name in same} == {name: draft.body[name] for name in same}


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        ({"fitPolicyRules": []}, 409, "RULE-4", "fitPolicyRules"),
        (draft_of(load(-1, 100, rack=1)), 400, "RULE-8", "machineLoadRules[0].cpuLoadPercentage"),
        (draft_of(load(1, 10_001, rack=1)), 400, "RULE-11", "machineLoadRules[0].ramLoadPerce"),
        (draft_of(load(1, 1, rack=1), load(2, 2, rack=1)), 409, "RULE-7", "machineLoadRules[1]"),
        (draft_of(load(1, 1)), 400, "RULE-5", "machineLoadRules[0].links"),
        (draft_of(load(1, 1, rack="x")), 400, "RULE-5", "machineLoadRules[0].links[rack]"),
        (draft_of(load(1, 1, rack=999)), 400, "RULE-5", "machineLoadRules[0].links[rack]"),
        (draft_of(load(1, 1, rak=1)), 400, "400-BAD-REQUEST", "machineLoadRules[0].rak"),
        (draft_of(load(1, 1, links=3)), 400, "400-BAD-REQUEST", "machineLoadRules[0].links"),
        ({**draft_of(), "fitPolicyRules": [{"fitPolicy": "X"}]}, 400, "RULE-6", "fitPolicyRules["),
        (draft_of(enterpriseExclusionRules=[{"enterprises": [1]}]), 400, "RULE-5", "enterpriseE"),
        (draft_of(tests=[{"name": "t"}]), 400, "RULE-13", "tests[0]"),
        (draft_of(tests=[{"name": "t", "ram": "4G"}]), 400, "RULE-13", "tests[0]"),
        (draft_of(machineLoadRule=[]), 400, "400-BAD-REQUEST", "machineLoadRule"),
        (draft_of(comment=3), 400, "400-BAD-REQUEST", "comment"),
        ([], 400, "400-BAD-REQUEST", ""),
    ],
)
async def test_a_wrong_set_is_refused_as_the_rules_are_and_changes_nothing(
    api: Api, body: Any, status: int, code: str, field: str
) -> None:
    before = await state(api)
    for path in (SETS, f"{SETS}/action/validate", f"{SETS}/action/simulate"):
        refused = await api.call("POST", path, body)
        assert (refused.status, refused.code) == (status, code), refused.body
        told = refused.body["collection"][0].get("field", "")
        assert told.startswith(field)
    assert await state(api) == before
    assert (await api.call("GET", DRAFTS)).body["collection"] == []


@pytest.mark.parametrize("raw", [b"[[", b"\xff", b"x = ", b"machineLoadRules = 3"])
async def test_bad_toml_is_refused(api: Api, raw: bytes) -> None:
    refused = await api.call("POST", SETS, data=raw, headers=TOML)
    assert (refused.status, refused.code) == (400, "400-BAD-REQUEST")


async def test_a_simulation_tells_the_effect_and_changes_nothing(api: Api) -> None:
    """P9: before and after, against the present inventory."""
    async with api.store.transaction() as c:
        await c.execute("update host set foreign_cpu = 10 where id = 1")
        await refresh_limits(c)
    before = await state(api)
    found = await api.call("POST", f"{SETS}/action/simulate", draft_of(load(50, 100, rack=1)))
    assert found.status == 200
    (over,) = found.body["effect"]["over"]
    assert (over["kind"], over["id"], over["used"], over["limit"]) == ("host", 1, 10, 8)
    # Of h1 6 free CPUs go, of h2 and h4 8 each; of h6 its only one.
    assert found.body["effect"]["headroom"]["cpu"]["change"] == -(6 + 8 + 8 + 1)
    assert await state(api) == before


async def test_the_cluster_s_file_repeats_the_live_decisions(api: Api) -> None:
    """Issue item 7: what the fleet of the file places, the live planner places."""
    vm = await api.make(label="one")
    await api.put(vm, "ON", 1)
    async with api.store.transaction() as c:
        await c.execute(
            """insert into booking (vm_id, host_id, datastore_id, task_id, cpu, ram_mib,
                 disk_bytes, resident)
               select id, 1, 1, gen_random_uuid(), cpu, ram_mib, disk_bytes, true from vm"""
        )
        await refresh_limits(c)
    await api.sequence()
    told = await api.call("GET", "admin/cluster")
    cluster = from_mapping(told.body)
    (resident,) = cluster.residents
    assert (resident.host, resident.network, resident.on) == (1, "lan", True)
    assert cluster.position == await api.row("select position from feed_head")
    under = cluster.under(cluster.rules)
    assert under == cluster, "the store's limits are those of scheduler.model.limits"
    planner = FleetMirror(api.store, Sequencer(api.store))
    await planner.load()
    for policy_cpu in (1, 15, 17):
        demand = replace(DEMAND, cpu=policy_cpu, enterprise=1)
        assert fleet(cluster).place(demand, FitPolicy.PROGRESSIVE) == planner.place(demand)
