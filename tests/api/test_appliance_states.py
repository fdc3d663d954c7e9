"""M-081..M-087, M-089: an appliance's state follows from its VMs', for every mixture of them."""

from collections.abc import AsyncIterator
from itertools import combinations_with_replacement

import pytest

from gateway.store.db.pool import Store
from tests.api.vm_client import Api, serving

LOCKED = "LOCKED"
STATES = ("NOT_ALLOCATED", "ALLOCATED", "CONFIGURED", "ON", "PAUSED", "OFF", "UNKNOWN", LOCKED)
MIXTURES = [mixture for size in range(5) for mixture in combinations_with_replacement(STATES, size)]
_SQL = """
insert into virtualappliance (id, virtualdatacenter_id, enterprise_id, name)
  values ($1::bigint, 1, 1, $1::bigint::text)
"""
_VM = """
insert into vm (uuid, name, label, virtualappliance_id, virtualdatacenter_id, enterprise_id,
  datacenter_id, user_id, template_id, type, cpu, ram_mib, disk_bytes, state, known_state)
select gen_random_uuid(), 'vm', '', $1, 1, 1, 1, 1, 1, 'KVM', 1, 1, 1, $2, $2 returning id
"""
_TASK = """
insert into task (id, kind, vm_id, vm_name, user_id, enterprise_id)
values (gen_random_uuid(), 'RESET', $1, 'vm', 1, 1)
"""


def expected(mixture: tuple[str, ...]) -> str:
    """The rule in the words of the API, written down a second time."""
    if not mixture:
        return "EMPTY"
    if "UNKNOWN" in mixture:
        return "UNKNOWN"
    if LOCKED in mixture:
        return LOCKED
    deployed = sum(state in ("CONFIGURED", "ON", "PAUSED", "OFF") for state in mixture)
    if deployed == len(mixture):
        return "DEPLOYED"
    return "NOT_DEPLOYED" if deployed == 0 else "NEEDS_SYNC"


@pytest.fixture
async def api(store: Store) -> AsyncIterator[Api]:
    """The API over the small world."""
    async with serving(store) as opened:
        yield opened


async def test_every_mixture_of_up_to_four_vms(api: Api) -> None:
    async with api.store.transaction() as c:
        await c.execute("delete from virtualappliance where id in (1, 3)")
        for n, mixture in enumerate(MIXTURES, 1000):
            await c.execute(_SQL, n)
            for state in mixture:
                vm = await c.fetchval(_VM, n, "ON" if state == LOCKED else state)
                if state == LOCKED:
                    await c.execute(_TASK, vm)
    shown = await api.call("GET", "cloud/virtualdatacenters/1/virtualappliances?limit=0")
    assert shown.status == 200
    found = {int(one["name"]): one["state"] for one in shown.body["collection"]}
    wanted = {n: expected(mixture) for n, mixture in enumerate(MIXTURES, 1000)}
    assert len(found) == len(MIXTURES) == 495
    assert found == wanted


async def test_an_event_tells_each_change_once(api: Api) -> None:
    """M-087: EMPTY, then NOT_DEPLOYED, LOCKED while a task holds a VM, DEPLOYED, EMPTY again."""
    vm = await api.make()
    await api.sequence()
    second = await api.make()
    await api.sequence()
    assert (await api.call("DELETE", second)).status == 204
    accepted = await api.call("POST", f"{vm}/action/deploy")
    assert accepted.status == 202
    await api.sequence()
    async with api.store.transaction() as c:
        await c.execute("update task set state = 'done', result = 'cancelled'")
    assert (await api.call("DELETE", vm)).status == 204
    await api.sequence()
    found = (await api.call("GET", "events?limit=0&asc=true")).body["collection"]
    told = [one for one in found if one["entity"] == "VIRTUAL_APPLIANCE"]
    states = [one["details"]["state"] for one in sorted(told, key=lambda one: one["position"])]
    assert states == ["NOT_DEPLOYED", "LOCKED", "EMPTY"]
