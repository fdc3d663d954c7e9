"""Fault S7: a page is bounded whatever is asked for, and so is what one caller may cost others."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from gateway.api.http.costly_requests import (
    PER_CALLER,
    WAITING_PER_CALLER,
    CostlyRequests,
    RequestCost,
)
from gateway.api.http.paging import PAGE_MAX
from gateway.denial import ApiError, ErrorKind
from gateway.store.db.pool import Store
from tests.api.vm_client import Api, serving

ROWS = PAGE_MAX + 205
LIST = "admin/enterprises"


@pytest.fixture
async def api(store: Store) -> AsyncIterator[Api]:
    """The API over the small world, with more tenants than a page holds."""
    async with serving(store) as opened:
        async with store.transaction() as c:
            await c.execute(
                "insert into enterprise (id, name) select n, 'tenant-' || n"
                " from generate_series(1001, $1::bigint) n",
                1000 + ROWS - 2,
            )
        yield opened


@pytest.mark.parametrize("asked", ["0", "1000", "1001", "2147483647"])
async def test_a_page_is_bounded_and_next_leads_to_the_others(api: Api, asked: str) -> None:
    page = await api.call("GET", f"{LIST}?limit={asked}")
    assert page.body["totalSize"] == ROWS
    assert len(page.body["collection"]) == PAGE_MAX
    seen = [one["id"] for one in page.body["collection"]]
    following = page.link("next")
    assert following is not None
    rest = await api.call("GET", "/api/" + following["href"].partition("/api/")[2])
    seen += [one["id"] for one in rest.body["collection"]]
    assert len(set(seen)) == len(seen) == ROWS
    assert rest.link("next") is None


async def test_all_of_a_short_list_is_one_page(api: Api) -> None:
    page = await api.call("GET", f"{LIST}?limit=0&has=tenant-100")
    assert len(page.body["collection"]) == page.body["totalSize"] == 9
    assert [one["rel"] for one in page.body["links"]] == ["first", "last"]
    assert "limit=0" in page.body["links"][0]["href"]


@dataclass
class Crowd:
    """Costly requests that hold their slots until `done`."""

    costly: CostlyRequests
    done: asyncio.Event
    running: list[int]

    async def one(self, caller: int, cost: RequestCost = RequestCost.WHOLE_INVENTORY) -> None:
        async with self.costly.turn(caller, cost):
            self.running.append(caller)
            await self.done.wait()


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_caller_has_few_costly_requests_and_leaves_room_for_others() -> None:
    crowd = Crowd(CostlyRequests(), asyncio.Event(), [])
    async with asyncio.TaskGroup() as group:
        for _ in range(PER_CALLER + WAITING_PER_CALLER):
            group.create_task(crowd.one(1))
        await settled()
        assert crowd.running == [1] * PER_CALLER
        with pytest.raises(ApiError) as denied:
            await crowd.one(1)
        assert denied.value.kind is ErrorKind.TOO_MANY
        assert denied.value.retry_after_s
        group.create_task(crowd.one(2))
        await settled()
        assert crowd.running == [*[1] * PER_CALLER, 2]
        at_once = RequestCost.WHOLE_INVENTORY.value
        for caller in range(3, 3 + at_once):
            group.create_task(crowd.one(caller))
        await settled()
        assert len(crowd.running) == at_once
        crowd.done.set()
    assert len(crowd.running) == PER_CALLER + WAITING_PER_CALLER + 1 + at_once
    async with crowd.costly.turn(1, RequestCost.WHOLE_INVENTORY):
        pass


async def test_long_pages_are_made_one_by_one_and_wait_for_no_plan() -> None:
    crowd = Crowd(CostlyRequests(), asyncio.Event(), [])
    async with asyncio.TaskGroup() as group:
        for caller in range(RequestCost.WHOLE_INVENTORY.value):
            group.create_task(crowd.one(caller))
        await settled()
        for caller in (11, 12):
            group.create_task(crowd.one(caller, RequestCost.LONG_PAGE))
        await settled()
        assert crowd.running == [0, 1, 2, 3, 11]
        crowd.done.set()
    assert crowd.running[-1] == 12


async def test_too_many_costly_requests_are_429(api: Api) -> None:
    """Through HTTP: none is an error of ours, and those refused are told when to come back."""
    calls = [api.call("GET", f"{LIST}?limit=0") for _ in range(40)]
    answers = await asyncio.gather(*calls)
    refused = [one for one in answers if one.status != 200]
    assert len(answers) > len(refused) > 0
    for one in refused:
        assert (one.status, one.code) == (429, "429-TOO-MANY-REQUESTS")
        assert int(one.headers["Retry-After"]) >= 1
    assert (await api.call("GET", f"{LIST}?limit=0")).status == 200
