"""Rule sets as versions: written, tried, put in force or refused whole, rolled back (B3, B4)."""

import tomllib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from gateway.events.sequencer import Sequencer
from gateway.store.ledger import refresh_limits
from gateway.store.pool import Store
from gateway.tasks.planner import Planner
from scheduler.cluster import fleet, from_mapping
from scheduler.fit_policy import FitPolicy
from tests.api.vm_client import Answer, Api, serving
from tests.scheduler.places import DEMAND

SETS = "admin/rulesets"
DRAFTS = f"{SETS}/drafts"
LOAD = "admin/rules/machineLoadLevel"
RACK = {"rel": "rack", "href": "http://x/api/admin/datacenters/1/racks/1"}
FIT = [{"fitPolicy": "PROGRESSIVE", "packing": False}]
TOML = {"Content-Type": "application/toml"}


@pytest.fixture
async def api(store: Store) -> AsyncIterator[Api]:
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


async def test_every_edit_of_a_rule_is_a_version_with_its_author(api: Api) -> None:
    """B4: the history is complete, also for edits that no draft made."""
    before = (await api.call("GET", SETS)).body["collection"]
    made = await api.call(
        "POST",
        LOAD,
        load(
            150,
            100,
            links=[{**RACK, "rel": "datacenter", "href": "http://x/api/admin/datacenters/1"}],
        ),
    )
    assert made.status == 201
    await api.call("DELETE", f"{LOAD}/{made.body['id']}")
    after = (await api.call("GET", SETS)).body["collection"]
    assert len(after) == len(before) + 2
    assert [one["author"] for one in after[:2]] == ["admin", "admin"]
    assert [one["inForce"] for one in after[:2]] == [True, False]
    assert after[0]["parent"] == after[1]["version"]
    with_rule = await api.call("GET", f"{SETS}/{after[1]['version']}")
    assert load(150, 100, datacenter=1) in with_rule.body["machineLoadRules"]
    without = await api.call("GET", f"{SETS}/{after[0]['version']}")
    assert load(150, 100, datacenter=1) not in without.body["machineLoadRules"]


async def test_an_activated_draft_is_in_force_with_limits_version_and_event(api: Api) -> None:
    draft = await drafted(api, load(300, 100, rack=1), load(50, 100, machine=2), comment="more")
    was = (await api.call("GET", SETS)).body["collection"][0]["version"]
    rack_rule = await api.row("select id from rule where level = 'rack'")
    done = await activate(api, draft)
    assert (done.status, done.body["inForce"], done.body["parent"]) == (200, True, was)
    assert (await limit(api, 1), await limit(api, 2)) == (48, 8)
    assert await api.row("select version from rule_set") == done.body["version"] > was
    assert await api.row("select id from rule where level = 'rack'") == rack_rule
    assert (await api.call("GET", f"{DRAFTS}/{draft.body['id']}")).code == "RULE-17"
    await api.sequence()
    event = (await api.call("GET", "events?entity=RULES&action=ACTIVATE")).body["collection"][0]
    assert str(done.body["version"]) in event["message"]
    assert api.woken


async def test_a_draft_made_stale_by_another_activation_changes_nothing(api: Api) -> None:
    """A stale draft would undo what somebody else just did."""
    first, second = await drafted(api, load(300, 100, rack=1)), await drafted(api)
    assert (await activate(api, first)).status == 200
    before = await state(api)
    refused = await activate(api, second)
    assert (refused.status, refused.code) == (409, "RULE-14")
    assert await state(api) == before
    renewed = await api.call(
        "PUT",
        f"{DRAFTS}/{second.body['id']}",
        draft_of(load(200, 100, rack=1)),
        headers={"If-Match": second.headers["ETag"]},
    )
    assert (await activate(api, renewed)).status == 200
    assert await limit(api, 1) == 32


async def test_a_plain_edit_makes_a_draft_stale_too(api: Api) -> None:
    draft = await drafted(api, load(300, 100, rack=1))
    await api.call(
        "POST",
        LOAD,
        load(
            120,
            100,
            links=[
                {"rel": "machine", "href": "http://x/api/admin/datacenters/1/racks/1/machines/2"}
            ],
        ),
    )
    assert (await activate(api, draft)).code == "RULE-14"


async def test_a_draft_that_somebody_changed_is_not_activated_unread(api: Api) -> None:
    draft = await drafted(api, load(300, 100, rack=1))
    path = f"{DRAFTS}/{draft.body['id']}"
    mine = {"If-Match": draft.headers["ETag"]}
    assert (await api.call("PUT", path, draft_of(), headers=mine)).status == 200
    before = await state(api)
    assert (await activate(api, draft)).code == "RULE-18"
    assert (await api.call("PUT", path, draft_of(), headers=mine)).code == "RULE-18"
    assert (await api.call("DELETE", path, headers=mine)).code == "RULE-18"
    missing = await api.call("POST", f"{path}/action/activate")
    assert (missing.status, missing.body["collection"][0]["field"]) == (400, "If-Match")
    assert await state(api) == before


async def test_a_failing_rule_test_gates_activation_and_is_named(api: Api) -> None:
    """B4: a VM of this size must fit on so many hosts."""
    test = {
        "name": "a big one",
        "cpu": 10,
        "ram": "1GiB",
        "disk": "1GiB",
        "datacenter": 1,
        "type": "KVM",
        "hosts_min": 3,
    }
    draft = await drafted(api, load(50, 100, rack=1), tests=[test])
    before = await state(api)
    refused = await activate(api, draft)
    assert (refused.status, refused.code) == (409, "RULE-15")
    assert 'the test "a big one" wants 3 hosts and 1 would do' in refused.message
    assert await state(api) == before
    checked = await api.call("POST", f"{DRAFTS}/{draft.body['id']}/action/validate")
    assert (checked.body["valid"], checked.body["failedTests"][0]["hosts"]) == (False, 1)
    passing = await drafted(api, load(100, 100, rack=1), tests=[test])
    done = await activate(api, passing)
    assert done.status == 200
    kept = done.body["tests"][0]
    assert (kept["name"], kept["ram_mib"], kept["hosts_min"]) == ("a big one", 1024, 3)


async def test_roll_back_is_a_new_version_with_the_old_content(api: Api) -> None:
    first = (await api.call("GET", SETS)).body["collection"][0]["version"]
    done = await activate(api, await drafted(api, load(300, 100, rack=1)))
    path = f"{SETS}/{first}/action/rollback"
    stale = await api.call("POST", path, headers={"If-Match": f'"{first}"'})
    assert (stale.status, stale.code) == (409, "RULE-18")
    back = await api.call("POST", path, headers={"If-Match": done.headers["ETag"]})
    assert back.status == 200
    assert back.body["version"] > done.body["version"]
    assert back.body["comment"] == f"back to version {first}"
    assert await limit(api, 1) == 16
    diff = await api.call("GET", f"{SETS}/{first}/action/diff?with={back.body['version']}")
    assert diff.body["changed"] == []


async def test_a_diff_says_what_is_added_removed_and_changed(api: Api) -> None:
    draft = await drafted(
        api,
        load(300, 100, rack=1),
        load(50, 100, machine=2),
        enterpriseExclusionRules=[{"enterprises": [2, 1]}],
    )
    path = f"{DRAFTS}/{draft.body['id']}/action/diff"
    found = (await api.call("GET", path)).body
    assert found["added"]["machineLoadRules"] == [load(50, 100, machine=2)]
    assert found["added"]["enterpriseExclusionRules"] == [{"enterprises": [1, 2]}]
    (changed,) = found["changed"]
    assert changed["before"] == {"rules": "machineLoadRules", **load(100, 100, rack=1)}
    assert changed["after"] == {"rules": "machineLoadRules", **load(300, 100, rack=1)}


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


async def test_nobody_activates_their_own_draft_under_the_rule_of_two(store: Store) -> None:
    async with serving(store, two_person=True) as api:
        async with store.transaction() as c:
            may = "{PHYS_DC_RULES,PHYS_DC_ENUMERATE}"
            await c.execute(f"update app_user set privileges = '{may}' where id = 4")
        draft = await drafted(api, load(300, 100, rack=1))
        before = await state(api)
        refused = await activate(api, draft)
        assert (refused.status, refused.code) == (409, "RULE-16")
        assert await state(api) == before
        assert (await activate(api, draft, user="actor")).status == 200


async def test_who_may(api: Api) -> None:
    """Reading needs the inventory's privilege, changing that of the rules, the file that of all."""
    for method, path in (("GET", SETS), ("POST", SETS), ("GET", "admin/cluster")):
        assert (await api.call(method, path, user="reader")).status == 403


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
    assert under == cluster, "the store's limits are those of scheduler.limits"
    planner = Planner(api.store, Sequencer(api.store))
    await planner.load()
    for policy_cpu in (1, 15, 17):
        demand = replace(DEMAND, cpu=policy_cpu, enterprise=1)
        assert fleet(cluster).place(demand, FitPolicy.PROGRESSIVE) == planner.place(demand)
