"""api.md 13 and 14: the requests that public Abiquo clients send, as they send them.

`ansible-abiquo-modules` (A), `ojal` and the Terraform provider on it (G), `docker-machine` (D);
`abiquo-api` itself runs in tests/acceptance.
"""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.store.db.pool import Store
from tests.api import vm_world
from tests.api.vm_client import Api, link, serving

VDC = "cloud/virtualdatacenters/1"
APPLIANCE = f"{VDC}/virtualappliances/1"
MEDIA = "application/vnd.abiquo.{}+json"
ENTERPRISE = {"rel": "enterprise", "href": f"{vm_world.ROOT}admin/enterprises/1"}
LOCATION = {"rel": "location", "href": f"{vm_world.ROOT}cloud/locations/1"}
UNTYPED: dict[str, Any] = {"skip_auto_headers": ["Content-Type"]}
LIMITS = ("vms", "vlans", "publicIps", "ram", "cpu")


@pytest.fixture
async def api(store: Store) -> AsyncIterator[Api]:
    """The API over the small world."""
    async with serving(store) as opened:
        yield opened


def typed(name: str) -> dict[str, str]:
    """The headers of a client that sends and takes one media type."""
    return {"Accept": MEDIA.format(name), "Content-Type": MEDIA.format(name)}


def whole_of(vm: dict[str, Any]) -> dict[str, Any]:
    """A VM as the Go client keeps it: the fields of its struct, and all links."""
    kept = ("cpu", "id", "label", "monitored", "name", "ram", "state", "variables", "uuid")
    return {**{name: vm[name] for name in kept if vm[name] or name == "monitored"}} | {
        "links": vm["links"]
    }


async def test_ansible_makes_a_vm_with_all_its_options_left_out(api: Api) -> None:
    """A: every option that was left out is sent as null, sizes as text (C3)."""
    options = "keymap password vdrpEnabled metadata monitored monitoringLevel protected"
    options += " protectedCause fqdn iconUrl"
    body = {
        **dict.fromkeys(options.split()),
        "cpu": "2",
        "ram": "1024",
        "label": "by ansible",
        "variables": {},
        "links": [vm_world.TEMPLATE_LINK],
    }
    made = await api.call("POST", vm_world.VMS, body, headers=typed("virtualmachine"))
    assert (made.status, made.body["cpu"], made.body["ram"]) == (201, 2, 1024)


async def test_ansible_makes_a_virtual_datacenter_and_an_appliance(api: Api) -> None:
    """A: limits are sent as 0, or as the text that a playbook has; G sends them as numbers."""
    limits = {f"{name}{kind}": "0" for name in LIMITS for kind in ("Soft", "Hard")}
    network = {
        **{"name": "default", "address": "192.168.0.0", "mask": "24", "gateway": "192.168.0.1"},
        **{"type": "INTERNAL", "primaryDNS": "", "secondaryDNS": None, "sufixDNS": ""},
    }
    body = {
        **limits,
        **{"name": "by ansible", "hypervisorType": "KVM", "network": network},
        "links": [LOCATION, ENTERPRISE],
    }
    made = await api.call(
        "POST", "cloud/virtualdatacenters", body, headers=typed("virtualdatacenter")
    )
    assert made.status == 201, made.body
    path = made.link("virtualappliances")["href"].removeprefix(vm_world.ROOT)  # type: ignore[index]
    appliance = {"name": "app", "iconUrl": None, "description": None, "restricted": False}
    answer = await api.call("POST", path, appliance, headers=typed("virtualappliance"))
    assert answer.status == 201, answer.body


async def test_ansible_asks_for_a_state_with_post(api: Api) -> None:
    """C8; without a Content-Type."""
    vm = await api.make()
    await api.put(vm, "ON", 1)
    answer = await api.call("POST", f"{vm}/state", data=b'{"state": "OFF"}', **UNTYPED)
    assert (answer.status, await api.row("select kind from task")) == (202, "POWER_OFF")


async def test_ansible_undeploys_an_appliance(api: Api) -> None:
    """A: with the three flags, which a playbook may leave out."""
    vm = await api.make()
    await api.put(vm, "ON", 1)
    flags = dict.fromkeys(("forceEnterpriseSoftLimits", "forceVdcLimits", "forceUndeploy"))
    answer = await api.call("POST", f"{APPLIANCE}/action/undeploy", flags)
    assert answer.status == 202, answer.body


async def test_the_go_client_deploys_with_the_whole_vm(api: Api) -> None:
    """G: the body of a deploy or undeploy is `null`, or the VM as it was read before."""
    accept = {"Accept": MEDIA.format("acceptedrequest")}
    task = {**accept, "Content-Type": MEDIA.format("virtualmachinetask")}
    vm = await api.make()
    before = whole_of((await api.call("GET", vm)).body)
    assert (await api.call("POST", f"{vm}/action/deploy", before, headers=task)).status == 202
    await api.finish(await api.row("select id from task"), "success")
    await api.put(vm, "ON", 1)
    answer = await api.call("POST", f"{vm}/action/undeploy", before, headers=task)
    assert answer.status == 202, answer.body
    other = await api.make()
    answer = await api.call(
        "POST", f"{other}/action/deploy", data=b"null", headers=accept, **UNTYPED
    )
    assert answer.status == 202


async def test_the_go_client_reconfigures_what_it_read_before(api: Api) -> None:
    """G: a PUT of its struct, after the VM was powered off: its state is of before."""
    vm = await api.make()
    await api.put(vm, "ON", 1)
    kept = whole_of((await api.call("GET", vm)).body)
    await api.put(vm, "OFF", 1)
    headers = {**typed("virtualmachine"), "Accept": MEDIA.format("acceptedrequest")}
    answer = await api.call("PUT", vm, {**kept, "ram": 512}, headers=headers)
    assert answer.status == 202, answer.body
    assert (await api.row("select payload from task"))["ram_mib"] == 512


async def test_terraform_finds_and_makes(api: Api) -> None:
    """G: collections with a query of one word, and a virtual datacenter with all its numbers."""
    found = await api.call("GET", "cloud/virtualdatacenters?enterprise=1")
    assert [one["id"] for one in found.body["collection"]] == [1]
    found = await api.call("GET", "cloud/virtualdatacenters?enterprise=2&datacenter=1")
    assert [one["id"] for one in found.body["collection"]] == [2]
    found = await api.call("GET", f"{VDC}/action/templates?has=TIN")
    assert [one["name"] for one in found.body["collection"]] == ["tiny"]
    found = await api.call("GET", f"{VDC}/action/templates?has=nothing")
    assert found.body["collection"] == []
    numbers = (
        "cpuHard cpuSoft diskHardLimitInMb diskSoftLimitInMb publicIpsHard publicIpsSoft ramHard "
        "ramSoft storageHardInMb storageSoftInMb vlansHard vlansSoft"
    )
    network = {
        **{"address": "192.168.0.0", "mask": 24, "gateway": "192.168.0.1", "name": "default"},
        "type": "INTERNAL",
    }
    body = {
        **dict.fromkeys(numbers.split(), 0),
        **{"hypervisorType": "KVM", "name": "by terraform", "network": network},
        "links": [ENTERPRISE, LOCATION],
    }
    made = await api.call("POST", "cloud/virtualdatacenters", body)
    assert made.status == 201, made.body
    again = await api.call("PUT", f"cloud/virtualdatacenters/{made.body['id']}", body)
    assert again.status == 200, again.body
    rule = {"aggregated": False, "cpuLoadPercentage": "80", "ramLoadPercentage": 90}
    rule["links"] = [{"rel": "datacenter", "href": f"{vm_world.ROOT}admin/datacenters/1"}]
    answer = await api.call("POST", "admin/rules/machineLoadLevel", rule)
    assert (answer.status, answer.body["cpuLoadPercentage"]) == (201, 80)


@pytest.mark.parametrize("field", ["cpu", "ram", "coresPerSocket"])
@pytest.mark.parametrize("text", ["two", "", " ", "-1", "1.5", "0x2", "1e3", "0", "٣", "9" * 16])
async def test_a_text_that_is_no_number_is_refused_by_its_field(
    api: Api, field: str, text: str
) -> None:
    """I6."""
    body = {field: text, "links": [vm_world.TEMPLATE_LINK]}
    answer = await api.call("POST", vm_world.VMS, body)
    assert (answer.status, answer.body["collection"][0]["field"]) == (400, field)
    assert await api.row("select count(*) from vm") == 0


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("admin/holds", {"ttl": "5"}),
        ("admin/plans", {"kind": "rebalance", "movesMaxPercent": "5"}),
        ("admin/rulesets", {"machineLoadRules": [{"machine": 1, "cpuLoadPercentage": "80"}]}),
    ],
)
async def test_our_own_resources_take_numbers_only(
    api: Api, path: str, body: dict[str, Any]
) -> None:
    body.setdefault("links", [{"rel": "datacenter", "href": "http://x/api/admin/datacenters/1"}])
    body.setdefault("virtualmachines", [{"cpu": 1, "ram": 1, "type": "KVM"}])
    if path != "admin/holds":
        del body["virtualmachines"]
    answer = await api.call("POST", path, body)
    assert answer.status == 400, answer.body
    assert answer.body["collection"][0]["field"].rpartition(".")[2] in (
        *("ttl", "movesMaxPercent", "cpuLoadPercentage"),
    )


async def test_things_are_found_by_the_title_of_their_own_link(api: Api) -> None:
    """C5: of every resource that a list gives."""
    await api.make(label="titled")
    for path in (
        *("cloud/virtualmachines", "cloud/virtualdatacenters", "cloud/virtualappliances"),
        *("cloud/locations", "admin/enterprises", "admin/enterprises/1/users"),
        *("admin/datacenters", "admin/datacenters/1/racks", "config/hypervisortypes"),
        *("admin/datacenters/1/racks/1/machines", "admin/datacenters/1/datastores"),
        *(f"{VDC}/action/templates", f"{VDC}/privatenetworks"),
    ):
        rows = (await api.call("GET", path)).body["collection"]
        assert rows, path
        for row in rows:
            own = link(row, "edit") or link(row, "self")
            assert own is not None
            assert own["title"] in (row.get("label"), row["name"]), path


async def test_the_id_of_a_template_is_a_text(api: Api) -> None:
    """C6."""
    found = await api.call("GET", f"{VDC}/action/templates")
    assert [one["id"] for one in found.body["collection"]] == ["1"]
    href = link(found.body["collection"][0], "edit")["href"]
    given = (await api.call("GET", href.removeprefix(vm_world.ROOT))).body
    assert given["id"] == "1"


async def test_regions_of_public_clouds_are_no_private_datacenters(api: Api) -> None:
    """C7: the location whose hosts are Azure's, and none besides."""
    regions = {"Accept": MEDIA.format("publiccloudregions")}
    found = await api.call("GET", "cloud/locations", headers=regions)
    assert (found.status, found.body["collection"]) == (200, [])
    assert found.headers["Content-Type"].startswith(MEDIA.format("publiccloudregions"))
    region = {"Accept": MEDIA.format("publiccloudregion")}
    assert (await api.call("GET", "cloud/locations/1", headers=region)).code == "DC-0"
    async with api.store.transaction() as c:
        await c.execute("update host set type = 'azurecompute-arm' where datacenter_id = 2")
        await c.execute("update host set type = 'azurecompute-arm' where id = 4")
    found = await api.call("GET", "cloud/locations", headers=regions)
    assert [one["name"] for one in found.body["collection"]] == ["dc two"]
    assert (await api.call("GET", "cloud/locations/2", headers=region)).body["name"] == "dc two"
    both = {"Accept": f"{MEDIA.format('datacenters')}, {MEDIA.format('publiccloudregions')}"}
    found = await api.call("GET", "cloud/locations", headers=both)
    assert [one["id"] for one in found.body["collection"]] == [1, 2]


async def test_links_that_are_followed_unasked_are_there_and_resolve(api: Api) -> None:
    """C4: each with a collection, empty where there is none of it."""
    followed = {
        await api.make(): "harddisks volumes metadata tags nics tasks events",
        VDC: "disks volumes purchased topurchase privatenetworks tiers defaultvlan location",
        "admin/enterprises/1": "limits users",
        "cloud/locations/1": "location templates datastoretiers hypervisortypes",
        "admin/datacenters/1": "network networkservicetypes tiers racks datastores",
    }
    for path, rels in followed.items():
        thing = (await api.call("GET", path)).body
        for rel in rels.split():
            found = link(thing, rel)
            assert found is not None, (path, rel)
            accept = {"Accept": found["type"]}
            href = found["href"].removeprefix(vm_world.ROOT)
            answer = await api.call("GET", href, headers=accept)
            assert answer.status == 200, (path, rel)
            assert answer.headers["Content-Type"].startswith(found["type"]), (path, rel)
            assert isinstance(answer.body["links"], list)


async def test_what_is_empty_takes_nothing(api: Api) -> None:
    """C4, I4: tags and metadata are given back as they are; some of them are not offered."""
    vm = await api.make()
    for path, some in (
        ("tags", {"collection": [{"key": "a"}]}),
        ("metadata", {"metadata": {"a": 1}}),
    ):
        given = (await api.call("GET", f"{vm}/{path}")).body
        assert (await api.call("PUT", f"{vm}/{path}", given)).status == 200
        answer = await api.call("PUT", f"{vm}/{path}", some)
        assert (answer.status, answer.body["collection"][0]["field"]) == (409, next(iter(some)))
    assert (await api.call("GET", f"{vm}/tags", user="stranger")).code == "VM-1"
