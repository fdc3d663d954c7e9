"""What tasks could not delete is listed until somebody has deleted it (faults L5)."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from gateway.store.db.pool import Store
from gateway.store.tasks import leftovers
from gateway.store.tasks.leftovers import NewLeftover
from tests.api.vm_client import Api, serving


@pytest.fixture
async def api(store: Store) -> AsyncIterator[Api]:
    """The API over the small world."""
    async with serving(store) as opened:
        yield opened


async def test_a_leftover_is_listed_and_taken_off(api: Api) -> None:
    left = NewLeftover(
        uuid4(), "vm", 1, uuid4(), "lab", "one", "pool", "disk", {"type": "remove"}, "inactive"
    )
    async with api.store.transaction() as c:
        await leftovers.put(c, left)
        await leftovers.put(c, left)
    listed = await api.call("GET", "admin/leftovers")
    assert listed.headers["Content-Type"].startswith("application/vnd.abiquo.leftovers+json")
    (one,) = listed.body["collection"]
    assert (one["machine"], one["datastore"], one["volume"]) == ("one", "pool", "disk")
    assert (one["reason"], one["vmUuid"]) == ("inactive", str(left.vm_uuid))
    path = f"admin/leftovers/{one['id']}"
    assert (await api.call("DELETE", path)).status == 204
    again = await api.call("DELETE", path)
    assert (again.status, again.code) == (404, "LEFTOVER-0")
    assert (await api.call("GET", "admin/leftovers")).body["collection"] == []


async def test_who_may_not_know_of_hosts_sees_none(api: Api) -> None:
    assert (await api.call("GET", "admin/leftovers", user="actor")).status == 403
