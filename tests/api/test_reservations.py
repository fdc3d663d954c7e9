"""Reserved machines over HTTP, and enterprises that use no others."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.store.db.pool import Store
from tests.api.vm_client import Api, serving

MACHINES = "admin/datacenters/1/racks/1/machines"
ACME = "admin/enterprises/1"
OTHER = "admin/enterprises/2"
RESERVED = "reservedmachines"


@pytest.fixture
async def api(store: Store) -> AsyncIterator[Api]:
    """The API over the small world."""
    async with serving(store) as opened:
        yield opened


def machine(host: int) -> dict[str, Any]:
    """A link to a machine."""
    return {"links": [{"rel": "machine", "href": f"http://x/api/{MACHINES}/{host}"}]}


async def test_a_machine_is_reserved_and_released(api: Api) -> None:
    made = await api.call("POST", f"{OTHER}/{RESERVED}", machine(1))
    assert (made.status, made.body["name"]) == (201, "h1")
    assert made.link("enterprise")["href"].endswith("/admin/enterprises/2")
    assert made.link("enterprise")["title"] == "other"
    assert (await api.call("GET", f"{MACHINES}/1")).body == made.body
    assert (await api.call("GET", f"{OTHER}/{RESERVED}")).body["collection"] == [made.body]
    assert (await api.call("GET", f"{ACME}/{RESERVED}")).body["collection"] == []
    assert (await api.call("DELETE", f"{OTHER}/{RESERVED}/1")).status == 204
    assert (await api.call("GET", f"{MACHINES}/1")).link("enterprise") is None
    await api.sequence()
    events = (await api.call("GET", "events?entity=MACHINE&asc=true")).body["collection"]
    assert [one["details"]["reserved_for"] for one in events] == [2, None]


async def test_a_machine_itself_may_be_given(api: Api) -> None:
    one = (await api.call("GET", f"{MACHINES}/2")).body
    assert (await api.call("POST", f"{ACME}/{RESERVED}", one)).status == 201
    named = await api.call(
        "GET",
        f"{ACME}/{RESERVED}",
        headers={"Accept": "application/vnd.abiquo.reservedmachines+json"},
    )
    assert named.headers["Content-Type"].startswith("application/vnd.abiquo.reservedmachines+json")
    assert [each["id"] for each in named.body["collection"]] == [2]


async def test_nobody_is_moved_away_by_a_reservation(api: Api) -> None:
    """Refused while VMs of others are there, by record or by booking; own ones are welcome."""
    vm = await api.make()
    await api.put(vm, "ON", 1)
    refused = await api.call("POST", f"{OTHER}/{RESERVED}", machine(1))
    assert (refused.status, refused.code) == (409, "MACHINE-16")
    assert (await api.call("POST", f"{ACME}/{RESERVED}", machine(1))).status == 201


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        (machine(1), 409, "MACHINE-14", "links[machine]"),
        (machine(2), 409, "MACHINE-12", "links[machine]"),
        (machine(999), 404, "MACHINE-0", "links[machine]"),
        ({}, 400, "400-BAD-REQUEST", "links[machine]"),
        ({"links": [{"rel": "machine", "href": "x"}]}, 400, "400-BAD-REQUEST", "links[machine]"),
        ({"links": [{"rel": "rack", "href": "x"}]}, 400, "400-BAD-REQUEST", "links[machine]"),
        ([], 400, "400-BAD-REQUEST", "body"),
    ],
)
async def test_a_wrong_reservation_changes_nothing(
    api: Api, body: Any, status: int, code: str, field: str
) -> None:
    assert (await api.call("POST", f"{ACME}/{RESERVED}", machine(1))).status == 201
    assert (await api.call("POST", f"{OTHER}/{RESERVED}", machine(2))).status == 201
    refused = await api.call("POST", f"{ACME}/{RESERVED}", body)
    assert (refused.status, refused.code) == (status, code)
    assert refused.body["collection"][0]["field"] == field
    assert await api.row("select array_agg(reserved_for order by id) from host where id < 3") == [
        1,
        2,
    ]


async def test_what_is_not_reserved_is_not_released(api: Api) -> None:
    await api.call("POST", f"{OTHER}/{RESERVED}", machine(2))
    for host, status, code in (
        (1, 409, "MACHINE-13"),
        (2, 409, "MACHINE-13"),
        (9, 404, "MACHINE-0"),
    ):
        answer = await api.call("DELETE", f"{ACME}/{RESERVED}/{host}")
        assert (answer.status, answer.code) == (status, code)
    assert (await api.call("DELETE", f"admin/enterprises/9/{RESERVED}/2")).code == "EN-0"
    assert await api.row("select reserved_for from host where id = 2") == 2


async def test_an_enterprise_is_restricted_to_its_machines(api: Api) -> None:
    one = (await api.call("GET", ACME)).body
    assert one["isReservationRestricted"] is False
    assert (await api.call("PUT", ACME, one)).body == one
    changed = await api.call("PUT", ACME, {**one, "isReservationRestricted": True})
    assert (changed.status, changed.body["isReservationRestricted"]) == (200, True)
    assert (await api.call("PUT", ACME, {"name": "acme"})).body == changed.body
    assert (await api.call("GET", OTHER)).body["isReservationRestricted"] is False
    await api.sequence()
    events = (await api.call("GET", "events?entity=ENTERPRISE")).body["collection"]
    assert len(events) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [({"isReservationRestricted": "yes"}, "isReservationRestricted"), ({"name": "x"}, "name")],
)
async def test_a_wrong_enterprise_is_refused(api: Api, body: dict[str, Any], field: str) -> None:
    refused = await api.call("PUT", ACME, {"isReservationRestricted": True, **body})
    assert refused.status == 400
    assert refused.body["collection"][0]["field"] == field
    assert await api.row("select reservation_restricted from enterprise where id = 1") is False
    assert (await api.call("PUT", "admin/enterprises/9", {})).code == "EN-0"
    assert (await api.call("PUT", ACME, {}, user="actor")).status == 403
