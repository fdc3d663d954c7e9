"""The tier of VMs that ask for none: set for a template and a virtual datacenter, and checked."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.store.db.pool import Store
from tests.api.vm_client import Api, serving

VDCS = "cloud/virtualdatacenters"
VDC = f"{VDCS}/1"
REPOSITORY = "admin/enterprises/1/datacenterrepositories/1/virtualmachinetemplates"
TEMPLATE = f"{REPOSITORY}/1"
SETTINGS = ((VDC, "defaultdatastoretier"), (TEMPLATE, "datastoretier0"))


@pytest.fixture
async def api(store: Store) -> AsyncIterator[Api]:
    """The API over the small world."""
    async with serving(store) as opened:
        yield opened


async def tier(api: Api, name: str = "gold", datacenter: int = 1, **fields: Any) -> str:
    """A new tier; its path for tenants."""
    path = f"admin/datacenters/{datacenter}/datastoretiers"
    made = await api.call("POST", path, {"name": name, **fields})
    return f"cloud/locations/{datacenter}/datastoretiers/{made.body['id']}"


def asking(path: str, rel: str) -> dict[str, Any]:
    """A body that links a tier; a template's name cannot be changed, so it is left out."""
    named = {"name": "vdc"} if rel == "defaultdatastoretier" else {}
    return {**named, "links": [{"rel": rel, "href": f"http://x/api/{path}"}]}


@pytest.mark.parametrize(("path", "rel"), SETTINGS)
async def test_it_is_set_kept_and_lifted(api: Api, path: str, rel: str) -> None:
    """The answer put back changes nothing, a body without links neither."""
    gold = await tier(api)
    assert (await api.call("GET", path)).link(rel) is None
    answer = await api.call("PUT", path, asking(gold, rel))
    assert (answer.status, answer.link(rel)["title"]) == (200, "gold")
    assert answer.link(rel)["href"].endswith(gold)
    for body in (answer.body, {"name": answer.body["name"]}):
        assert (await api.call("PUT", path, body)).body == answer.body
    assert (await api.call("GET", path)).body == answer.body
    assert (await api.call("GET", gold, user="reader")).status == 200
    assert (await api.call("PUT", path, {**asking(gold, rel), "links": []})).link(rel) is None


@pytest.mark.parametrize(("path", "rel"), SETTINGS)
async def test_a_new_vm_is_of_it(api: Api, path: str, rel: str) -> None:
    gold = await tier(api)
    await api.call("PUT", path, asking(gold, rel))
    vm = await api.call("GET", await api.make())
    assert vm.link("datastoretier0")["href"].endswith(gold)


async def test_a_virtual_datacenter_is_made_with_it(api: Api) -> None:
    gold = await tier(api)
    location = {"rel": "location", "href": "http://x/api/cloud/locations/1"}
    body = asking(gold, "defaultdatastoretier")
    body |= {"name": "new", "hypervisorType": "KVM", "links": [*body["links"], location]}
    made = await api.call("POST", VDCS, body)
    assert (made.status, made.link("defaultdatastoretier")["title"]) == (201, "gold")


@pytest.mark.parametrize(("path", "rel"), SETTINGS)
async def test_a_wrong_one_is_refused_and_changes_nothing(api: Api, path: str, rel: str) -> None:
    """No tier, one of another location, one that is not for who would use it."""
    far = await tier(api, datacenter=2)
    closed = await tier(api, "closed", defaultAllowed=False)
    for wrong, status, code in (
        ("x", 400, "DSTIER-4"),
        ("cloud/locations/1/datastoretiers/999", 400, "DSTIER-4"),
        (far, 400, "DSTIER-4"),
        (closed, 409, "ENTERPRISE-16"),
    ):
        asked = asking(wrong, rel)
        answer = await api.call("PUT", path, asked | ({"name": "other"} if "name" in asked else {}))
        error = answer.body["collection"][0]
        assert (answer.status, error["code"], error["field"]) == (status, code, f"links[{rel}]")
    shown = await api.call("GET", path)
    assert shown.link(rel) is None
    assert shown.body["name"] != "other"


async def test_a_closed_tier_is_for_a_template_of_who_may_use_it(api: Api) -> None:
    """A template for everybody needs a tier for everybody."""
    closed = await tier(api, "closed", defaultAllowed=False)
    owner = {"links": [{"rel": "enterprise", "href": "http://x/api/admin/enterprises/2"}]}
    number = closed.rpartition("/")[2]
    path = f"admin/datacenters/1/datastoretiers/{number}/enterprises"
    assert (await api.call("POST", path, owner)).status < 300
    theirs = f"{REPOSITORY.replace('enterprises/1', 'enterprises/2')}/4"
    assert (await api.call("PUT", theirs, asking(closed, "datastoretier0"))).status == 200
    assert (await api.call("PUT", TEMPLATE, asking(closed, "datastoretier0"))).status == 409


async def test_who_may_set_it(api: Api) -> None:
    gold = await tier(api)
    for path, rel in SETTINGS:
        assert (await api.call("PUT", path, asking(gold, rel), user="actor")).status == 403
    assert (await api.call("PUT", f"{REPOSITORY}/999", {})).code == "VMTEMPLATE-0"
    await api.call("PUT", TEMPLATE, asking(gold, "datastoretier0"))
    await api.sequence()
    (told,) = (await api.call("GET", "events?entity=VIRTUAL_MACHINE_TEMPLATE")).body["collection"]
    assert (told["action"], told["message"]) == ("MODIFY", "Template tiny: tier gold")


async def test_a_tier_that_goes_meanwhile_is_of_nobody(api: Api) -> None:
    """Whichever comes first, both are answered, and no reference to it is left."""
    for n in range(4):
        gold = await tier(api, f"gold-{n}")
        number = gold.rpartition("/")[2]
        answers = await asyncio.gather(
            *(api.call("PUT", path, asking(gold, rel)) for path, rel in SETTINGS),
            api.call("DELETE", f"admin/datacenters/1/datastoretiers/{number}"),
            api.call("PUT", VDC, asking(gold, "defaultdatastoretier")),
        )
        assert {answer.status for answer in answers} <= {200, 204, 400}, answers
        for path, rel in SETTINGS:
            assert (await api.call("GET", path)).link(rel) is None
