"""Holds over HTTP: booked all or none, shown with their places, taken over, renewed, released."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from gateway.store.db.pool import Store
from scheduler.snapshot.snapshot import from_mapping
from tests.api import vm_world
from tests.api.test_relocation import running
from tests.api.vm_client import Api, link, serving

GIB = 2**30
DATACENTER = {"rel": "datacenter", "href": f"{vm_world.ROOT}admin/datacenters/1"}
OWNER = {"rel": "enterprise", "href": f"{vm_world.ROOT}admin/enterprises/1"}


@pytest.fixture
async def api(store: Store) -> AsyncIterator[Api]:
    """The API over the small world."""
    async with serving(store) as opened:
        yield opened


def body(*entries: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A hold of these VMs, by default of one, for a minute."""
    one = {"cpu": 2, "ram": 256, "disk": GIB, "type": "KVM", "network": "lan"}
    return {
        "ttl": 60,
        "links": [DATACENTER, OWNER],
        "virtualmachines": {"collection": [{**one, **each} for each in entries or ({},)]},
        **more,
    }


async def test_a_hold_shows_its_places_and_its_end(api: Api) -> None:
    made = await api.call("POST", "admin/holds", body({"count": 2}, {"cpu": 4}, name="for friday"))
    assert made.status == 201
    assert made.headers["Content-Type"].startswith("application/vnd.abiquo.hold+json")
    assert (made.body["name"], made.body["free"]) == ("for friday", 3)
    places = made.body["places"]["collection"]
    assert [place["cpu"] for place in places] == [2, 2, 4]
    assert all(
        {link["rel"] for link in one["links"]} == {"machine", "datastore", "decision"}
        for one in places
    )
    path = f"admin/holds/{made.body['id']}"
    assert (await api.call("GET", path)).body == made.body
    listed = (await api.call("GET", "admin/holds")).body["collection"]
    assert [one["id"] for one in listed] == [made.body["id"]]
    used = await api.row("select sum(cpu_used) from ledger where kind = 'host'")
    assert used == 8
    renewed = await api.call("POST", f"{path}/action/renew", {"ttl": 600})
    assert renewed.body["expires"] > made.body["expires"]
    assert (await api.call("DELETE", path)).status == 204
    for method in ("GET", "DELETE"):
        gone = await api.call(method, path)
        assert (gone.status, gone.code) == (404, "HOLD-0")
    assert await api.row("select sum(cpu_used) from ledger where kind = 'host'") == 0


async def test_the_cluster_s_file_has_what_is_held(api: Api) -> None:
    """Each place by itself, so that the use of every machine is that of VMs and holds there."""
    made = await api.call("POST", "admin/holds", body({"count": 2}, {"cpu": 4}))
    taken = "update hold_booking set vm_id = 1 where id = (select max(id) from hold_booking)"
    cluster = from_mapping((await api.call("GET", "admin/cluster")).body)
    assert sorted(each.cpu for each in cluster.holds) == [2, 2, 4]
    assert len({each.id for each in cluster.holds}) == 3
    assert {each.until for each in cluster.holds} == {made.body["expires"][:19] + "Z"}
    for host in cluster.hosts:
        assert host.cpu_used == sum(each.cpu for each in cluster.holds if each.host == host.id)
    async with api.store.transaction() as c:
        await c.execute(taken)
    cluster = from_mapping((await api.call("GET", "admin/cluster")).body)
    assert len(cluster.holds) == 2


async def test_all_or_nothing_with_the_reasons(api: Api) -> None:
    refused = await api.call("POST", "admin/holds", body({"count": 30}))
    assert (refused.status, refused.code) == (409, "HOLD-1")
    assert "fits no host, so nothing is held" in refused.message
    assert await api.row("select sum(cpu_used) from ledger where kind = 'host'") == 0


async def test_a_hold_leads_to_its_decisions(api: Api) -> None:
    """Each place to the one that chose it, and back; a refusal to the one that says why."""
    made = await api.call("POST", "admin/holds", body({"count": 2}))
    for place in made.body["places"]["collection"]:
        path = link(place, "decision")["href"].removeprefix(vm_world.ROOT)
        found = await api.call("GET", path)
        assert (found.body["kind"], found.body["outcome"]) == ("hold", "placed")
        assert found.link("machine")["href"] == link(place, "machine")["href"]
        assert found.link("hold")["href"].endswith(made.body["id"])
        assert (await api.call("GET", path, user="reader")).link("hold") is None
        assert (await api.call("GET", path, user="stranger")).status == 404
    refused = await api.call("POST", "admin/holds", body({"count": 30}))
    path = link(refused.body, "decision")["href"].removeprefix(vm_world.ROOT)
    found = await api.call("GET", path)
    assert (found.body["kind"], found.body["outcome"]) == ("hold", "refused")
    assert found.body["refused"]["hosts"] > 0
    assert found.link("hold") is None
    await api.call("DELETE", f"admin/holds/{made.body['id']}")
    listed = (await api.call("GET", "admin/decisions")).body["collection"]
    assert len(listed) == 3
    assert not [one for one in listed if link(one, "hold")]


async def test_held_room_is_seen_by_candidates(api: Api) -> None:
    vm = await running(api)
    assert (await api.call("POST", "admin/holds", body({"cpu": 15}))).status == 201
    found = (await api.call("GET", f"{vm}/action/relocatecandidates")).body
    assert found["collection"] == [] or found["collection"][0]["id"] == 2


async def test_a_deploy_and_a_move_name_their_hold(api: Api) -> None:
    made = (await api.call("POST", "admin/holds", body({"count": 2}))).body["id"]
    vm = await api.make()
    answer = await api.call("POST", f"{vm}/action/deploy", {"hold": made})
    assert answer.status == 202
    assert (await api.row("select payload from task"))["hold"] == made
    moving = await running(api)
    answer = await api.call("POST", f"{moving}/action/relocate", {"hold": made})
    assert answer.status == 202
    payload = await api.row("select payload from task where kind = 'RELOCATE'")
    assert (payload["hold"], payload["host_id"]) == (made, None)


@pytest.mark.parametrize("action", ["deploy", "relocate"])
async def test_a_hold_that_is_not_for_the_vm_is_refused(api: Api, action: str) -> None:
    vm = await api.make() if action == "deploy" else await running(api)
    small = (await api.call("POST", "admin/holds", body({"cpu": 1}))).body["id"]
    for hold, status, code in (
        (small, 409, "HOLD-2"),
        (str(uuid4()), 404, "HOLD-0"),
        ("no uuid", 400, "400-BAD-REQUEST"),
        (7, 400, "400-BAD-REQUEST"),
    ):
        answer = await api.call("POST", f"{vm}/action/{action}", {"hold": hold})
        assert (answer.status, answer.code) == (status, code)
        assert answer.body["collection"][0]["field"] == "hold"
    assert await api.row("select count(*) from task") == 0


async def test_an_appliance_takes_a_place_for_each_of_its_vms(api: Api) -> None:
    made = (await api.call("POST", "admin/holds", body({"count": 2}))).body["id"]
    for _ in range(2):
        await api.make()
    path = "cloud/virtualdatacenters/1/virtualappliances/1/action/deploy"
    assert (await api.call("POST", path, {"hold": made})).status == 202
    count = await api.row("select count(*) from task where payload->>'hold' = $1", made)
    assert count == 2


async def test_an_expired_hold_is_gone_before_it_is_swept(api: Api) -> None:
    made = (await api.call("POST", "admin/holds", body())).body["id"]
    async with api.store.transaction() as c:
        await c.execute("update hold set expires_at = clock_timestamp()")
    assert (await api.call("GET", f"admin/holds/{made}")).code == "HOLD-0"
    assert (await api.call("GET", "admin/holds")).body["collection"] == []
    answer = await api.call("POST", f"admin/holds/{made}/action/renew", {"ttl": 5})
    assert answer.code == "HOLD-0"


async def test_a_machine_with_a_held_place_is_not_removed(api: Api) -> None:
    made = (await api.call("POST", "admin/holds", body())).body
    machine = next(
        link for link in made["places"]["collection"][0]["links"] if link["rel"] == "machine"
    )
    path = machine["href"].removeprefix(vm_world.ROOT)
    assert (await api.call("DELETE", path)).code == "MACHINE-6"
    await api.call("DELETE", f"admin/holds/{made['id']}")
    assert (await api.call("DELETE", path)).status == 204


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (body(ttl=0), "ttl"),
        (body(ttl=86401), "ttl"),
        (body(ttl=True), "ttl"),
        (body(links=[OWNER]), "links[datacenter]"),
        (body({"count": 257}), "virtualmachines"),
        (body(virtualmachines={"collection": []}), "virtualmachines"),
        (body({"cpu": 0}), "cpu"),
        (body({"ram": None}), "ram"),
        (body({"disk": -1}), "disk"),
        (body({"type": None}), "type"),
        (
            body({"links": [{"rel": "layer", "href": "x/virtualappliances/1/layers/none"}]}),
            "links[layer]",
        ),
        (
            body({"links": [{"rel": "datastoretier", "href": "x/datastoretiers/9"}]}),
            "links[datastoretier]",
        ),
    ],
)
async def test_what_is_wrong_is_named(api: Api, wrong: dict[str, Any], field: str) -> None:
    answer = await api.call("POST", "admin/holds", wrong)
    assert (answer.status, answer.body["collection"][0]["field"]) == (400, field)


async def test_places_that_do_not_exist_are_named(api: Api) -> None:
    for rel, resource, code in (
        ("datacenter", "datacenters", "DC-0"),
        ("enterprise", "enterprises", "EN-0"),
    ):
        link = {"rel": rel, "href": f"{vm_world.ROOT}admin/{resource}/99"}
        others = [one for one in (DATACENTER, OWNER) if one["rel"] != rel]
        answer = await api.call("POST", "admin/holds", body(links=[*others, link]))
        assert (answer.status, answer.code) == (404, code)


async def test_tenants_neither_hold_nor_look(api: Api) -> None:
    assert (await api.call("POST", "admin/holds", body(), user="actor")).status == 403
    assert (await api.call("GET", "admin/holds", user="actor")).status == 403
