"""What the store promises of new VMs: one interface, a free address, a MAC that follows."""

import asyncio
from ipaddress import ip_network
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.denial import ApiError, ErrorKind
from gateway.store import nics, vm_insert, vms
from gateway.store.db.paged import PageRequest
from gateway.store.db.pool import Store
from gateway.store.nics import mac_of, pool_of
from gateway.store.vm_insert import NewVm
from tests.api import vm_world


@pytest.fixture
async def world(store: Store) -> Store:
    """The store with the small world in it."""
    await vm_world.build(store)
    return store


async def make(store: Store, appliance: int = 1, vdc: int = 1, label: str = "one") -> int:
    """A VM with its interface."""
    new = NewVm(uuid4(), appliance, 1, 1, label, "", 2, 256, {})
    async with store.transaction() as c:
        made = await vm_insert.insert(c, new)
        assert made is not None
        await nics.attach(c, made, new.uuid, vdc)
        return made


async def address_of(store: Store, vm_id: int) -> str:
    async with store.read() as c:
        return (await nics.of_vms(c, [vm_id]))[vm_id][0].address


@given(st.uuids())
def test_a_mac_follows_from_the_uuid_and_is_local_and_unicast(vm: UUID) -> None:
    """M-150: names are deterministic."""
    first = int(mac_of(vm, 0)[:2], 16)
    assert mac_of(vm, 0) == mac_of(vm, 0)
    assert first & 2
    assert not first & 1


@pytest.mark.parametrize(
    ("network", "first", "last"),
    [
        ("10.0.0.0/24", "10.0.0.1", "10.0.0.254"),
        ("10.0.0.0/31", "10.0.0.0", "10.0.0.1"),
        ("10.0.0.5/32", "10.0.0.5", "10.0.0.5"),
        ("fd00::/64", "fd00::1", "fd00::ffff:ffff:ffff:ffff"),
    ],
)
def test_a_pool_leaves_out_network_and_broadcast(network: str, first: str, last: str) -> None:
    assert tuple(map(str, pool_of(ip_network(network)))) == (first, last)


async def test_addresses_start_after_the_gateway_and_freed_ones_come_back(world: Store) -> None:
    one, two, three = [await make(world) for _ in range(3)]
    assert [await address_of(world, vm) for vm in (one, two, three)] == [
        "10.1.0.2",
        "10.1.0.3",
        "10.1.0.4",
    ]
    async with world.transaction() as c:
        await vms.delete(c, two)
    assert await address_of(world, await make(world)) == "10.1.0.3"
    assert await address_of(world, await make(world)) == "10.1.0.5"


async def test_concurrent_vms_get_distinct_addresses(world: Store) -> None:
    made = await asyncio.gather(*(make(world) for _ in range(24)))
    assert len({await address_of(world, vm) for vm in made}) == 24


async def test_an_exhausted_pool_is_a_conflict_that_leaves_no_vm(world: Store) -> None:
    assert await address_of(world, await make(world, 2, 2)) == "10.2.0.2"
    with pytest.raises(ApiError, match="No free address") as refused:
        await make(world, 2, 2)
    assert refused.value.kind is ErrorKind.CONFLICT
    async with world.read() as c:
        assert await c.fetchval("select count(*) from vm where virtualappliance_id = 2") == 1


async def test_a_page_counts_all_and_finds_text_literally(world: Store) -> None:
    for label in ("a%b", "a_b", "ab", "B"):
        await make(world, label=label)
    async with world.read() as c:
        page = await vms.page(
            c, vms.VmScope(enterprise_id=1, has="a%"), PageRequest(0, 25, "label")
        )
        assert [vm.label for vm in page.rows] == ["a%b"]
        two = await vms.page(c, vms.VmScope(virtualappliance_id=1), PageRequest(1, 2, "label"))
        assert (len(two.rows), two.total) == (2, 4)
        everything = await vms.page(c, vms.VmScope(), PageRequest(0, 0, "id", False))
        assert [vm.id for vm in everything.rows] == sorted(
            (vm.id for vm in everything.rows), reverse=True
        )


@pytest.mark.parametrize(
    ("edit", "tier"),
    [
        ("select", None),
        ("update tier set is_default = true where id = 3", 3),
        ("update tier set is_default = true, open_to_all = false where id = 3", None),
        (
            """update tier set is_default = true, open_to_all = false where id = 3;
               insert into tier_enterprise values (3, 1)""",
            3,
        ),
        (
            """update tier set is_default = true where id = 3;
               update virtualdatacenter set tier_id = 2""",
            2,
        ),
        ("update virtualdatacenter set tier_id = 2; update template set tier_id = 1", 1),
    ],
)
async def test_the_tier_of_a_new_vm(world: Store, edit: str, tier: int | None) -> None:
    """M-043: the template's, else the virtual datacenter's, else the default that is open to it."""
    async with world.transaction() as c:
        await c.execute(
            """insert into tier (datacenter_id, name)
               values (1, 'template''s'), (1, 'vdc''s'), (1, 'default')"""
        )
        await c.execute(edit)
    made = await make(world)
    async with world.read() as c:
        assert await c.fetchval("select tier_id from vm where id = $1", made) == tier
