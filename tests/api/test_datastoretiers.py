"""Datastore tiers over HTTP: made, filled, opened to enterprises, offered to them, asked for."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.store.db.pool import Store
from tests.api import vm_world
from tests.api.vm_client import Api, number, serving

TIERS = "admin/datacenters/1/datastoretiers"
OFFERED = "cloud/locations/1/datastoretiers"
DATASTORE = "admin/datacenters/1/datastores/1"
GOLD = {"name": "gold", "description": "fast", "storageAllocationPolicy": "PROGRESSIVE"}


@pytest.fixture
async def api(store: Store) -> AsyncIterator[Api]:
    """The API over the small world."""
    async with serving(store) as opened:
        yield opened


@pytest.fixture
async def gold(api: Api) -> str:
    """The path of a tier."""
    made = await api.call("POST", TIERS, GOLD)
    assert made.status == 201, made.body
    return f"{TIERS}/{made.body['id']}"


def links(*paths: str, rel: str = "datastore") -> dict[str, Any]:
    """A body of links."""
    return {"links": [{"rel": rel, "href": f"http://x/api/{path}"} for path in paths]}


async def fill(api: Api, tier: str) -> None:
    """Put the datastore into the tier."""
    answer = await api.call("PUT", f"{tier}/action/adddatastores", links(DATASTORE))
    assert answer.status == 204, answer.body


async def test_a_tier_is_made_changed_and_removed(api: Api, gold: str) -> None:
    one = (await api.call("GET", gold)).body
    expected = {
        **GOLD,
        "enabled": True,
        "defaultAllowed": True,
        "defaultForDatacenter": False,
    }
    assert {name: one[name] for name in expected} == expected
    assert (await api.call("GET", TIERS)).body["collection"] == [one]
    assert (await api.call("PUT", gold, one)).body == one
    change = {"enabled": False, "storageAllocationPolicy": "PERFORMANCE", "description": ""}
    changed = (await api.call("PUT", gold, change)).body
    assert changed == {**one, **change}
    assert (await api.call("DELETE", gold)).status == 204
    assert (await api.call("GET", gold)).code == "DSTIER-0"
    await api.sequence()
    events = (await api.call("GET", "events?entity=DATASTORE_TIER&asc=true")).body["collection"]
    assert [one["action"] for one in events] == ["CREATE", "MODIFY", "MODIFY", "DELETE"]


async def test_one_tier_is_the_default(api: Api, gold: str) -> None:
    """Making another the default is one edit; the default is not removed."""
    await api.call("PUT", gold, {"defaultForDatacenter": True})
    assert (
        (await api.call("GET", "admin/datacenters/1"))
        .link("defaultdatastoretier")["href"]
        .endswith(gold)
    )
    refused = await api.call("DELETE", gold)
    assert (refused.status, refused.code) == (409, "DSTIER-1")
    silver = await api.call("POST", TIERS, {"name": "silver", "defaultForDatacenter": True})
    assert silver.body["defaultForDatacenter"] is True
    assert (await api.call("GET", gold)).body["defaultForDatacenter"] is False
    assert (await api.call("DELETE", gold)).status == 204


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        ({}, 400, "400-BAD-REQUEST", "name"),
        ({"name": " "}, 400, "400-BAD-REQUEST", "name"),
        ({"name": 7}, 400, "400-BAD-REQUEST", "name"),
        ({"name": "x" * 256}, 400, "400-BAD-REQUEST", "name"),
        ({"name": "gold"}, 409, "DSTIER-7", "name"),
        ({"name": "x", "description": 7}, 400, "400-BAD-REQUEST", "description"),
        ({"name": "x", "enabled": "no"}, 400, "400-BAD-REQUEST", "enabled"),
        ({"name": "x", "defaultAllowed": 1}, 400, "400-BAD-REQUEST", "defaultAllowed"),
        ({"name": "x", "defaultForDatacenter": []}, 400, "400-BAD-REQUEST", "defaultForDatacenter"),
        (
            {"name": "x", "storageAllocationPolicy": "X"},
            400,
            "400-BAD-REQUEST",
            "storageAllocationPolicy",
        ),
        (
            {"name": "x", "storageAllocationPolicy": []},
            400,
            "400-BAD-REQUEST",
            "storageAllocationPolicy",
        ),
    ],
)
async def test_a_wrong_tier_is_refused_by_its_field(
    api: Api, gold: str, body: dict[str, Any], status: int, code: str, field: str
) -> None:
    refused = await api.call("POST", TIERS, body)
    assert (refused.status, refused.code) == (status, code)
    assert refused.body["collection"][0]["field"] == field
    before = (await api.call("GET", gold)).body
    other = (await api.call("POST", TIERS, {"name": "silver"})).body
    changed = await api.call("PUT", f"{TIERS}/{other['id']}", {"name": "gold", **body})
    assert changed.status in (400, 409)
    assert (await api.call("GET", TIERS)).body["collection"] == [before, other]


async def test_datastores_come_and_go(api: Api, gold: str) -> None:
    await fill(api, gold)
    await fill(api, gold)
    held = (await api.call("GET", f"{gold}/datastores")).body["collection"]
    assert [one["id"] for one in held] == [1]
    shown = await api.call("GET", DATASTORE)
    assert shown.link("datastoretier")["href"].endswith(gold)
    assert shown.body["tier"] == "gold"
    path = f"{gold}/action/releasedatastores"
    assert (await api.call("PUT", path, links(DATASTORE))).status == 204
    assert (await api.call("GET", DATASTORE)).link("datastoretier") is None
    again = await api.call("PUT", path, links(DATASTORE))
    assert (again.status, again.code) == (409, "DATASTORE-11")


@pytest.mark.parametrize("action", ["adddatastores", "releasedatastores"])
@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "DATASTORE-8"),
        ({"links": []}, "DATASTORE-8"),
        (links(DATASTORE, rel="machine"), "DATASTORE-8"),
        (links("x"), "DATASTORE-9"),
        (links(DATASTORE, "datastores/99"), "DATASTORE-9"),
    ],
)
async def test_wrong_datastores_are_refused(
    api: Api, gold: str, action: str, body: dict[str, Any], code: str
) -> None:
    if action == "releasedatastores":
        await fill(api, gold)
    before = await api.row("select tier_id from datastore where id = 1")
    refused = await api.call("PUT", f"{gold}/action/{action}", body)
    assert (refused.status, refused.code) == (400, code)
    assert refused.body["collection"][0]["field"] == "links[datastore]"
    assert await api.row("select tier_id from datastore where id = 1") == before


async def test_a_tier_in_use_is_not_pulled_away(api: Api, gold: str) -> None:
    """DSTIER-2, DSTIER-3, LIMIT-22; `force` says that the admin knows."""
    vm = await api.make()
    await api.put(vm, "ON", 1)
    refused = await api.call("PUT", f"{gold}/action/adddatastores", links(DATASTORE))
    assert (refused.status, refused.code) == (409, "DSTIER-2")
    assert (await api.call("PUT", f"{gold}/action/adddatastores?force=maybe", {})).status == 400
    add = f"{gold}/action/adddatastores?force=true"
    assert (await api.call("PUT", add, links(DATASTORE))).status == 204
    assert (await api.call("GET", vm)).link("datastoretier0")["title"] == "gold"
    refused = await api.call("PUT", f"{gold}/action/releasedatastores", links(DATASTORE))
    assert (refused.status, refused.code) == (409, "DSTIER-2")
    assert (await api.call("DELETE", gold)).code == "DSTIER-3"
    assert (await api.call("PUT", f"{gold}/action/restrictallenterprises")).code == "LIMIT-22"
    assert await api.row("select open_to_all from tier") is True
    forced = await api.call("PUT", f"{gold}/action/restrictallenterprises?force=true")
    assert forced.status == 204


async def test_a_tier_is_open_to_those_it_names(api: Api, gold: str) -> None:
    everyone = await api.call("GET", f"{gold}/enterprises?limit=1")
    assert everyone.body["totalSize"] == 2
    assert (await api.call("PUT", f"{gold}/action/restrictallenterprises")).status == 204
    assert (await api.call("GET", gold)).body["defaultAllowed"] is False
    assert (await api.call("GET", f"{gold}/enterprises")).body["totalSize"] == 0
    assert (await api.call("GET", OFFERED, user="stranger")).body["collection"] == []
    other = links("admin/enterprises/2", rel="enterprise")
    assert (await api.call("POST", f"{gold}/enterprises", other)).status == 204
    named = (await api.call("GET", f"{gold}/enterprises")).body["collection"]
    assert [one["name"] for one in named] == ["other"]
    (offered,) = (await api.call("GET", OFFERED, user="stranger")).body["collection"]
    assert offered["name"] == "gold"
    assert (await api.call("GET", f"{OFFERED}/{offered['id']}", user="stranger")).body == offered
    assert (await api.call("GET", OFFERED, user="reader")).body["collection"] == []
    assert (await api.call("GET", f"{OFFERED}/{offered['id']}", user="reader")).code == "DSTIER-0"
    assert (await api.call("DELETE", f"{gold}/enterprises/2")).status == 204
    assert (await api.call("DELETE", f"{gold}/enterprises/2")).code == "EN-0"
    assert (await api.call("PUT", f"{gold}/action/allowallenterprises")).status == 204
    assert (await api.call("DELETE", f"{gold}/enterprises/2")).code == "409-CONFLICT"
    for body in ({}, links("x", rel="enterprise"), links("enterprises/9", rel="enterprise")):
        refused = await api.call("POST", f"{gold}/enterprises", body)
        assert refused.body["collection"][0]["field"] == "links[enterprise]"


async def test_compatible_tiers_have_a_datastore_that_the_type_sees(api: Api, gold: str) -> None:
    path = f"{OFFERED}/action/compatibles"
    assert (await api.call("PUT", path, {"links": []})).body["links"] == []
    await fill(api, gold)
    for template, expected in ((None, 1), (1, 1), (2, 0)):  # only KVM hosts see the datastore
        root = "admin/enterprises/1/datacenterrepositories/1/virtualmachinetemplates"
        named = [] if template is None else [f"{root}/{template}"]
        answer = await api.call("PUT", path, links(*named, rel="virtualmachinetemplate"))
        assert len(answer.body["links"]) == expected, template
    assert answer.headers["Content-Type"].startswith("application/vnd.abiquo.links+json")
    unknown = await api.call(
        "PUT", path, links("virtualmachinetemplates/9", rel="virtualmachinetemplate")
    )
    assert unknown.status == 400
    assert (await api.call("GET", "cloud/locations/9/datastoretiers")).code == "DC-0"


async def test_a_vm_asks_for_a_tier(api: Api, gold: str) -> None:
    tier = {"rel": "datastoretier0", "href": f"http://x/api/{OFFERED}/{number(gold)}"}
    body = {"links": [vm_world.TEMPLATE_LINK, tier]}
    made = await api.call("POST", vm_world.VMS, body)
    assert made.status == 201
    assert made.link("datastoretier0")["href"].endswith(f"{OFFERED}/{number(gold)}")
    path = f"{vm_world.VMS}/{made.body['id']}"
    assert await api.row("select tier_id from vm") == number(gold)
    assert (await api.call("PUT", path, made.body)).status == 204
    assert (await api.call("GET", path)).body == made.body
    silver = (await api.call("POST", TIERS, {"name": "silver"})).body["id"]
    other = {"rel": "datastoretier0", "href": f"http://x/api/{OFFERED}/{silver}"}
    assert (await api.call("PUT", path, {"links": [other]})).status == 204
    assert (await api.call("GET", path)).link("datastoretier0")["title"] == "silver"
    await api.put(path, "OFF", 1)
    refused = await api.call("PUT", path, {"links": [tier], "label": "changed"})
    assert (refused.status, refused.code) == (409, "DSTIER-6")
    assert await api.row("select tier_id from vm") == silver
    assert await api.row("select label from vm") != "changed"


@pytest.mark.parametrize("href", ["x", "", "http://x/api/cloud/locations/1/datastoretiers/9"])
async def test_a_wrong_tier_of_a_vm_is_refused(api: Api, href: str) -> None:
    wrong = {"rel": "datastoretier0", "href": href}
    vm = await api.make()
    for answer in (
        await api.call("POST", vm_world.VMS, {"links": [vm_world.TEMPLATE_LINK, wrong]}),
        await api.call("PUT", vm, {"links": [wrong]}),
    ):
        assert (answer.status, answer.code) == (400, "DSTIER-4")
        assert answer.body["collection"][0]["field"] == "links[datastoretier0]"
    assert await api.row("select count(*) from vm") == 1


async def test_a_tier_that_is_not_open_is_not_asked_for(api: Api, gold: str) -> None:
    await api.call("PUT", f"{gold}/action/restrictallenterprises")
    tier = {"rel": "datastoretier0", "href": f"http://x/api/{OFFERED}/{number(gold)}"}
    refused = await api.call("POST", vm_world.VMS, {"links": [vm_world.TEMPLATE_LINK, tier]})
    assert (refused.status, refused.code) == (409, "ENTERPRISE-16")
    assert await api.row("select count(*) from vm") == 0
