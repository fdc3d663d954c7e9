"""Clusters over HTTP: machines of one rack that a rule may be about, each in one at most."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.store.db.pool import Store
from tests.api.vm_client import Api, serving

RACK = "admin/datacenters/1/racks/1"
CLUSTERS = f"{RACK}/clusters"


@pytest.fixture
async def api(store: Store) -> AsyncIterator[Api]:
    """The API over the small world."""
    async with serving(store) as opened:
        yield opened


def of(*hosts: int, rack: int = 1, **fields: Any) -> dict[str, Any]:
    """A cluster of these machines."""
    root = f"http://x/api/admin/datacenters/1/racks/{rack}/machines"
    return {"links": [{"rel": "machine", "href": f"{root}/{n}"} for n in hosts], **fields}


def members(body: dict[str, Any]) -> list[int]:
    """The machines a cluster links."""
    return [int(one["href"].rpartition("/")[2]) for one in body["links"] if one["rel"] == "machine"]


async def test_a_cluster_is_made_changed_and_removed(api: Api) -> None:
    made = await api.call("POST", CLUSTERS, of(2, 1, name="blue"))
    assert (made.status, made.body["name"], members(made.body)) == (201, "blue", [1, 2])
    path = f"{CLUSTERS}/{made.body['id']}"
    assert (await api.call("GET", path)).body == made.body
    assert (await api.call("GET", CLUSTERS)).body["collection"] == [made.body]
    assert (await api.call("PUT", path, made.body)).body == made.body
    machine = await api.call("GET", f"{RACK}/machines/1")
    assert machine.link("cluster")["href"].endswith(path)
    assert machine.link("cluster")["title"] == "blue"
    renamed = await api.call("PUT", path, {"name": "green"})
    assert (renamed.body["name"], members(renamed.body)) == ("green", [1, 2])
    changed = await api.call("PUT", path, of(2, 6))
    assert (changed.body["name"], members(changed.body)) == ("green", [2, 6])
    assert (await api.call("GET", f"{RACK}/machines/1")).link("cluster") is None
    assert (await api.call("DELETE", path)).status == 204
    assert (await api.call("GET", path)).code == "CLUSTER-0"
    assert await api.row("select count(*) from host where cluster_id is not null") == 0
    await api.sequence()
    events = (await api.call("GET", "events?entity=CLUSTER&asc=true")).body["collection"]
    assert [one["action"] for one in events] == ["CREATE", *["MODIFY"] * 3, "DELETE"]


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        (of(1), 400, "400-BAD-REQUEST", "name"),
        (of(1, name=" "), 400, "400-BAD-REQUEST", "name"),
        (of(1, name="x" * 256), 400, "400-BAD-REQUEST", "name"),
        (of(1, name=7), 400, "400-BAD-REQUEST", "name"),
        (of(6, name="blue"), 409, "CLUSTER-2", "name"),
        (of(6, 1, name="red"), 409, "CLUSTER-3", "links[machine]"),
        (of(3, name="red"), 400, "400-BAD-REQUEST", "links[machine]"),
        (of(999, name="red"), 400, "400-BAD-REQUEST", "links[machine]"),
        (
            {"name": "red", "links": [{"rel": "machine", "href": "x"}]},
            400,
            "400-BAD-REQUEST",
            "links[machine]",
        ),
    ],
)
async def test_a_wrong_cluster_is_refused_and_nothing_is_half_made(
    api: Api, body: dict[str, Any], status: int, code: str, field: str
) -> None:
    await api.call("POST", CLUSTERS, of(1, 2, name="blue"))
    refused = await api.call("POST", CLUSTERS, body)
    assert (refused.status, refused.code) == (status, code)
    assert refused.body["collection"][0]["field"] == field
    assert await api.row("select count(*) from cluster") == 1
    assert await api.row("select count(*) from host where cluster_id is not null") == 2


async def test_a_refused_change_leaves_the_cluster_as_it_was(api: Api) -> None:
    await api.call("POST", CLUSTERS, of(1, name="blue"))
    red = (await api.call("POST", CLUSTERS, of(2, name="red"))).body
    path = f"{CLUSTERS}/{red['id']}"
    for body, code in ((of(1, 2), "CLUSTER-3"), ({"name": "blue"}, "CLUSTER-2")):
        assert (await api.call("PUT", path, body)).code == code
    assert (await api.call("PUT", path, of(6, name="blue"))).code == "CLUSTER-2"
    assert (await api.call("GET", path)).body == red


async def test_a_cluster_is_of_its_rack(api: Api) -> None:
    made = (await api.call("POST", CLUSTERS, of(1, name="blue"))).body
    elsewhere = f"admin/datacenters/1/racks/2/clusters/{made['id']}"
    for method in ("GET", "PUT", "DELETE"):
        body = {"name": "x"} if method == "PUT" else None
        assert (await api.call(method, elsewhere, body)).code == "CLUSTER-0"
    assert (await api.call("GET", "admin/datacenters/1/racks/9/clusters")).code == "RACK-0"
    assert (await api.call("POST", CLUSTERS, of(name="x"), user="actor")).status == 403
