"""I16: whoever follows `next` sees each row that existed throughout exactly once."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.store.db.pool import Store
from tests.api import vm_world
from tests.api.vm_client import Api, link, number, serving

VDC = "cloud/virtualdatacenters/1"


@pytest.fixture
async def api(store: Store) -> AsyncIterator[Api]:
    """The API over the small world."""
    async with serving(store) as opened:
        yield opened


async def drop(api: Api, path: str) -> None:
    """Delete a row of any kind, as somebody else would meanwhile."""
    table = {"virtualmachines": "vm", "virtualappliances": "virtualappliance"}
    table |= {"virtualdatacenters": "virtualdatacenter", "enterprises": "enterprise"}
    async with api.store.transaction() as c:
        await c.execute(f"delete from {table[path.split('/')[-2]]} where id = $1", number(path))


def own(row: dict[str, Any]) -> str:
    """A row's path below /api."""
    found = link(row, "edit") or link(row, "self")
    assert found is not None
    return str(found["href"]).removeprefix(vm_world.ROOT)


async def fill(api: Api, path: str) -> None:
    """Rows enough for some pages."""
    for n in range(9):
        if path.endswith("virtualmachines"):
            await api.make(label=f"m{n % 3}", cpu=1 + n % 2)
            continue
        async with api.store.transaction() as c:
            await c.execute(
                {
                    f"{VDC}/virtualappliances": """insert into virtualappliance
                        (virtualdatacenter_id, enterprise_id, name) values (1, 1, $1)""",
                    "cloud/virtualdatacenters": """insert into virtualdatacenter
                        (name, enterprise_id, datacenter_id, type) values ($1, 1, 1, 'KVM')""",
                    "admin/enterprises": "insert into enterprise (name) values ($1)",
                }[path],
                f"row {n}",
            )


@pytest.mark.parametrize("order", ["", "&by=id&asc=false", "&asc=false", "&by=id"])
@pytest.mark.parametrize(
    "path",
    [vm_world.VMS, f"{VDC}/virtualappliances", "cloud/virtualdatacenters", "admin/enterprises"],
)
async def test_each_row_that_stays_is_seen_once(api: Api, path: str, order: str) -> None:
    """While rows of the page that was just read are deleted, and others are made."""
    await fill(api, path)
    before = [own(row) for row in (await api.call("GET", f"{path}?limit=0")).body["collection"]]
    assert len(before) >= 9
    seen: list[str] = []
    gone: set[str] = set()
    at: Any = f"/api/{path}?limit=3{order}"
    while at is not None:
        page = await api.call("GET", at)
        assert page.status == 200
        rows = [own(row) for row in page.body["collection"]]
        seen += rows
        following = page.link("next")
        at = None if following is None else following["href"].removeprefix("http://gateway.test")
        made = [each for each in rows if path == vm_world.VMS or number(each) >= 100]
        for each in made[:2]:
            await drop(api, each)
            gone.add(each)
    assert len(gone) >= 4
    assert len(seen) == len(set(seen))
    assert set(before) - gone <= set(seen)


@pytest.mark.parametrize("by", ["label", "state", "cpu", "ram", "creationTimestamp", "id", "name"])
@pytest.mark.parametrize("asc", ["true", "false"])
async def test_pages_by_key_are_the_list_in_its_order(api: Api, by: str, asc: str) -> None:
    """Also where many rows have one value; the pages by number are the same."""
    await fill(api, vm_world.VMS)
    query = f"{vm_world.VMS}?by={by}&asc={asc}"
    whole = [row["id"] for row in (await api.call("GET", f"{query}&limit=0")).body["collection"]]
    by_key, by_number = [], []
    at: Any = f"/api/{query}&limit=2"
    while at is not None:
        page = await api.call("GET", at)
        by_key += [row["id"] for row in page.body["collection"]]
        following = page.link("next")
        at = None if following is None else following["href"].removeprefix("http://gateway.test")
        start = len(by_number)
        page = await api.call("GET", f"{query}&limit=2&startwith={start}")
        by_number += [row["id"] for row in page.body["collection"]]
    assert by_key == whole == by_number


async def test_events_and_decisions_page_by_key(api: Api) -> None:
    """New events come at the front meanwhile; none is seen twice."""
    for _ in range(5):
        await api.make()
    await api.sequence()
    whole = (await api.call("GET", "events?limit=0")).body["collection"]
    page = await api.call("GET", "events?limit=2")
    seen = [row["links"][0]["href"] for row in page.body["collection"]]
    await api.make()
    await api.sequence()
    while (following := page.link("next")) is not None:
        page = await api.call("GET", following["href"].removeprefix("http://gateway.test"))
        seen += [row["links"][0]["href"] for row in page.body["collection"]]
    assert len(whole) >= 5
    assert seen == [row["links"][0]["href"] for row in whole]
    assert (await api.call("GET", "admin/decisions?limit=2")).link("next") is None


async def test_a_short_list_in_parts(api: Api) -> None:
    """Whole when nothing is asked; in parts by name, found and sorted as asked."""
    path = "admin/datacenters/1/racks/1/machines"
    whole = (await api.call("GET", path)).body
    assert "totalSize" not in whole
    names = [row["name"] for row in whole["collection"]]
    page = await api.call("GET", f"{path}?limit=2")
    assert page.body["totalSize"] == len(names) == 4
    seen = [row["name"] for row in page.body["collection"]]
    async with api.store.transaction() as c:
        await c.execute("delete from host_datastore where host_id = 1")
        await c.execute("delete from ledger where kind = 'host' and id = 1")
        await c.execute("delete from host where id = 1")
    while (following := page.link("next")) is not None:
        page = await api.call("GET", following["href"].removeprefix("http://gateway.test"))
        seen += [row["name"] for row in page.body["collection"]]
    assert seen == sorted(names)
    found = (await api.call("GET", f"{path}?asc=false&has=H")).body["collection"]
    assert [row["name"] for row in found] == sorted(set(names) - {"h1"}, reverse=True)


@pytest.mark.parametrize("cursor", ["x", "WzFd", "WyJuYW1lIiwiYSIsImIiXQ==", "ÿ", "W10="])
async def test_a_cursor_of_ones_own_is_refused(api: Api, cursor: str) -> None:
    """The third is of the right form, and no id: `["name","a","b"]`."""
    for path in ("cloud/virtualmachines", "admin/enterprises", "cloud/virtualappliances"):
        answer = await api.call("GET", f"{path}?cursor={cursor}")
        assert (answer.status, answer.body["collection"][0]["field"]) == (400, "cursor")
