"""Each route that changes something refuses who lacks its privilege, and changes nothing."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from gateway.api.vms.vm_routes import VM_ROUTES
from gateway.store.db.pool import Store
from tests.api.vm_client import Api, number, serving

GUARDED = [(method, path, needed) for method, path, _, needed in VM_ROUTES if needed is not None]


@pytest.fixture
async def api(store: Store) -> AsyncIterator[Api]:
    """The API over the small world."""
    async with serving(store) as opened:
        yield opened


def test_every_route_that_changes_something_needs_a_privilege() -> None:
    """M-141: deny by default."""
    open_ = [(method, path) for method, path, _, needed in VM_ROUTES if needed is None]
    assert {method for method, _ in open_} == {"GET"}


@pytest.mark.parametrize(("method", "path", "needed"), GUARDED)
async def test_without_the_privilege_it_is_forbidden(
    api: Api, method: str, path: str, needed: str
) -> None:
    """M-030, M-072, M-130, M-134, M-135."""
    vm = await api.make()
    await api.put(vm, "ON", 1)
    before = await api.row("select to_jsonb(vm) from vm")
    names = {"vdc": 1, "vapp": 1, "vm": number(vm), "dc": 1, "rack": 1, "machine": 1}
    url = "/api" + path.format(**names, task=uuid4(), enterprise=1, user=1, network=1, ip=1)
    answer = await api.call(method, url, {"state": "OFF"}, user="reader")
    assert answer.status == 403, needed
    assert await api.row("select to_jsonb(vm) from vm") == before
    assert await api.row("select count(*) from task") == 0


async def test_a_vm_is_found_below_its_own_appliance_only(api: Api) -> None:
    vm = number(await api.make())
    for place in (
        "virtualdatacenters/1/virtualappliances/3",
        "virtualdatacenters/2/virtualappliances/1",
        "virtualdatacenters/2/virtualappliances/2",
    ):
        answer = await api.call("GET", f"cloud/{place}/virtualmachines/{vm}")
        assert (answer.status, answer.code) == (404, "VM-1")
