"""Events over HTTP: the form of 4.7 and later, filters, pages, and reading on from a position."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.events.event import Event, Severity, emit
from gateway.store.db.pool import Store
from tests.api.vm_client import Api, number, serving

FIELDS = (
    "entity action severity message timestamp context user enterpriseName enterpriseURI "
    "entityName entityURI entityMediaType entityEnterpriseName entityEnterpriseURI errorCode "
    "errorMessage exception tags source performedBy onBehalfOf trace details position links"
)


@pytest.fixture
async def api(store: Store) -> AsyncIterator[Api]:
    """The API over the small world."""
    async with serving(store) as opened:
        yield opened


async def tell(api: Api, *events: Event) -> None:
    """Put events into the feed."""
    async with api.store.transaction() as c:
        for event in events:
            await emit(c, event)
    await api.sequence()


def about(n: int, **more: Any) -> Event:
    """An event of enterprise 1 about some host."""
    return Event("MACHINE", "CHECK_STATE", n, **{"enterprise_id": 1, "message": f"m{n}", **more})


async def test_an_event_tells_all(api: Api) -> None:
    """M-053, M-051."""
    vm = await api.make(label="web")
    await api.sequence()
    answer = await api.call("GET", f"{vm}/events")
    (event,) = answer.body["collection"]
    assert set(FIELDS.split()) <= set(event)
    name = (await api.call("GET", vm)).body["name"]
    assert event["source"] == f"acme/admin/vdc/app/{name}"
    assert (event["entity"], event["action"]) == ("VIRTUAL_MACHINE", "CREATE")
    assert event["entityURI"] == f"/api/{vm}"
    assert event["entityMediaType"] == "application/vnd.abiquo.virtualmachine+json"
    assert (event["user"], event["enterpriseURI"]) == ("admin", "/api/admin/enterprises/1")
    moment = datetime.fromisoformat(event["timestamp"])
    assert moment.utcoffset() == UTC.utcoffset(None)
    one = await api.call("GET", f"events/{event['id']}")
    assert one.body == event


async def test_the_newest_come_first_in_pages(api: Api) -> None:
    await tell(api, *(about(n) for n in range(1, 31)))
    body = (await api.call("GET", "events")).body
    assert body["totalSize"] == 30
    assert [event["message"] for event in body["collection"]] == [f"m{n}" for n in range(30, 5, -1)]
    second = (await api.call("GET", "events?startwith=25")).body["collection"]
    assert len(second) == 5


async def test_reading_on_from_a_position_misses_nothing(api: Api) -> None:
    await tell(api, *(about(n) for n in range(1, 8)))
    position, seen = 0, []
    while page := (await api.call("GET", f"events?after={position}&limit=3")).body["collection"]:
        seen += [event["message"] for event in page]
        position = page[-1]["position"]
    assert seen == [f"m{n}" for n in range(1, 8)]


async def test_filters(api: Api) -> None:
    """M-054."""
    await tell(
        api,
        about(1, severity=Severity.ERROR, message="no ro_om", details={"code": "ALLOC-1"}),
        about(2, user="admin"),
        Event("CLUSTER", "MODIFY", 3, enterprise_id=1, message="cluster"),
        Event("VIRTUAL_MACHINE", "DEPLOY", 4, enterprise_id=1, message="of a VM that is gone"),
    )
    wanted = {
        "severity=ERROR": [1],
        "user=admin": [2],
        "entity=CLUSTER": [3],
        "entity=MACHINE&entityId=2": [2],
        "action=MODIFY": [3],
        "has=RO_": [1],
        "datefrom=2000-01-01T00:00:00Z": [1, 2, 3, 4],
        "datefrom=2000-01-01T00:00:00+00:00": [1, 2, 3, 4],
        "dateto=946684800000": [],
    }
    for query, positions in wanted.items():
        body = (await api.call("GET", f"/api/events?{query}&asc=true")).body
        assert [event["position"] for event in body["collection"]] == positions, query
    error = (await api.call("GET", "events/1")).body
    assert (error["errorCode"], error["errorMessage"]) == ("ALLOC-1", "no ro_om")


@pytest.mark.parametrize(
    "query",
    [
        "after=x",
        "after=-1",
        "severity=BAD",
        "datefrom=soon",
        "dateto=2000-01-01T00:00:00",
        f"after={10**25}",
        "datefrom=9999999999999999999",
        "has=%00",
        "by=nonsense",
        "limit=-1",
    ],
)
async def test_a_wrong_filter_is_refused_by_its_name(api: Api, query: str) -> None:
    answer = await api.call("GET", f"events?{query}")
    assert answer.status == 400
    assert query.split("=")[0] in answer.message


async def test_a_tenant_reads_its_own_events_only(api: Api) -> None:
    await tell(api, about(1), about(2, enterprise_id=2), about(3, enterprise_id=None))
    seen = {
        user: [
            event["position"]
            for event in (await api.call("GET", "events", user=user)).body["collection"]
        ]
        for user in ("admin", "reader", "stranger")
    }
    assert seen == {"admin": [3, 2, 1], "reader": [1], "stranger": [2]}
    assert (await api.call("GET", "events/2", user="reader")).status == 404
    assert (await api.call("GET", "events/99")).status == 404


async def test_events_of_one_vm(api: Api) -> None:
    """M-051."""
    one, two = await api.make(), await api.make()
    await api.sequence()
    listed = (await api.call("GET", f"{two}/events")).body
    assert [event["position"] for event in listed["collection"]] == [2]
    assert number(one) != number(two)
