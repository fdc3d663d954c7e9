"""Rule sets as versions: written, tried, put in force or refused whole, rolled back (B3, B4)."""

from collections.abc import AsyncIterator

import pytest

from gateway.store.db.pool import Store
from tests.api.ruleset_world import (
    DRAFTS,
    LOAD,
    RACK,
    SETS,
    activate,
    draft_of,
    drafted,
    limit,
    load,
    small_world,
    state,
)
from tests.api.vm_client import Api, serving


@pytest.fixture
async def api(store: Store) -> AsyncIterator[Api]:
    """The world of the rule sets."""
    async with small_world(store) as opened:
        yield opened


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
