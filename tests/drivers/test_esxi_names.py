"""Faults T8, T9 and T10: names as people write them, names that two things have, what may not be
read, and users who may use a nested resource pool only."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pyVmomi import vim

from drivers.contract import Deploy, HostLink, Location, Remove, Verdict, VmSpec
from drivers.esxi.names import decoded, encoded, spellings
from drivers.esxi.options import parse
from drivers.esxi.role import POOL, PRIVILEGES
from drivers.faults import Rejected, Unreachable
from tests.drivers.rigs import closing, made_by, permitted, surveyed, ticket, until
from tests.drivers.vsphere_rig import PASSWORD, VsphereRig

KINDS = {
    "network": "DistributedVirtualPortgroup",
    "datastore": "Datastore",
}


@pytest.fixture
async def rig(vsphere: VsphereRig) -> VsphereRig:
    return vsphere


@contextmanager
def renamed(rig: VsphereRig, kind: str, old: str, new: str) -> Iterator[None]:
    """What an administrator has renamed."""
    moid = rig.vc.named(kind)[old]
    rig.vc.set(kind, moid, {"name": new})
    try:
        yield
    finally:
        rig.vc.set(kind, moid, {"name": old})


def named(rig: VsphereRig, name: str, *, network: str, store: str) -> HostLink:
    """The first host, with the networks and datastores of a configuration."""
    return HostLink(name, name, {"default": network}, (store,))


def order_of(rig: VsphereRig, store: str = "", **changes: Any) -> tuple[Any, Deploy]:
    """A VM to make on the first host."""
    permit = permitted()
    spec = made_by(permit.task, rig.spec())
    values = {each: getattr(spec, each) for each in spec.__struct_fields__} | changes
    at = Location(rig.first, store or rig.at(rig.first).datastore, True)
    return permit, Deploy(VmSpec(**values), at)


@pytest.mark.parametrize("name", ["lan/1", "a\\b", "100%", "a/b\\c%d", "plain", "%2f", "50%25"])
def test_a_name_survives_being_kept_by_a_vcenter(name: str) -> None:
    assert decoded(encoded(name)) == name


@pytest.mark.parametrize("kept", ["lan%2f1", "lan%2F1"])
def test_both_spellings_of_an_escape_mean_the_same(kept: str) -> None:
    assert decoded(kept) == "lan/1"


def test_a_path_is_tried_as_it_is_before_its_slashes_are_taken_for_names() -> None:
    found = list(spellings("lab/vm/a/b"))
    assert found[0] == "lab/vm/a/b"
    assert "lab/vm/a%2fb" in found
    assert list(spellings("lab")) == ["lab"]


@pytest.mark.parametrize("configured", ["lan/1", "lan%2f1"], ids=["as meant", "as kept"])
async def test_a_network_and_a_datastore_with_escaped_names_are_found(
    rig: VsphereRig, configured: str
) -> None:
    """The vCenter keeps `lan%2f1`; both spellings in the configuration mean it."""
    store = configured.replace("lan", "store")
    with (
        renamed(rig, KINDS["network"], "lan-1", "lan%2f1"),
        renamed(rig, KINDS["datastore"], "shared-1-1", "store%2f1"),
    ):
        rig.driver.attach(named(rig, rig.first, network=configured, store=store))
        permit, order = order_of(rig, store)
        await rig.driver.deploy(permit, order)
        outcome = await rig.driver.settle(ticket(permit, order))
        assert outcome.verdict is Verdict.DONE
        assert outcome.sighting is not None
        assert outcome.sighting.datastores == (store,)
        facts = await surveyed(rig.driver, rig.first)
        assert [each.name for each in facts.hosts[0].datastores] == [store]
        assert [each.datastores for each in facts.vms] == [(store,)]
        remarks = [each for each in await rig.driver.examine() if each.about == rig.first]
        assert all(each.well for each in remarks)
        await asyncio.to_thread(rig.admin.sweep)


async def test_a_template_and_a_vm_with_slashes_in_their_names(rig: VsphereRig) -> None:
    """Paths have slashes too; the VM is seen under the name it was given."""
    with renamed(rig, "VirtualMachine", "template-1", "linux%2f12"):
        permit, order = order_of(rig, name="web/1 100%")
        disk = type(order.spec.disk)(order.spec.disk.volume, "linux/12", 1)
        order = Deploy(_with(order.spec, disk=disk), order.at)
        await rig.driver.deploy(permit, order)
        seen = (await rig.driver.settle(ticket(permit, order))).sighting
        assert seen is not None
        assert seen.name == "web/1 100%"
        assert rig.admin.vm(order.spec.vm).name == "web%2f1 100%25"
        again, other = order_of(rig, name="web/1 100%")
        with pytest.raises(Rejected, match=r"name web/1 100% is taken"):
            await rig.driver.deploy(again, Deploy(_with(other.spec, disk=disk), other.at))


def _with(spec: VmSpec, **changes: Any) -> VmSpec:
    values = {each: getattr(spec, each) for each in spec.__struct_fields__}
    return VmSpec(**(values | changes))


async def test_two_networks_of_one_name_are_refused_by_name(rig: VsphereRig) -> None:
    """Neither the first nor the last is taken: nothing is made, and the check says which."""
    with renamed(rig, "Network", "VM Network", "lan-1"):
        permit, order = order_of(rig)
        with pytest.raises(Rejected, match="2 networks called lan-1"):
            await rig.driver.deploy(permit, order)
        assert await rig.everything(rig.first) == set()
        said = [each.said for each in await rig.driver.examine() if each.about == rig.first]
        assert "it has several networks called lan-1: rename all but one" in said


async def test_two_datastores_of_one_name_are_refused_and_not_offered(rig: VsphereRig) -> None:
    with renamed(rig, "Datastore", "local-1-1", "shared-1-1"):
        permit, order = order_of(rig)
        with pytest.raises(Rejected, match="2 datastores called shared-1-1"):
            await rig.driver.deploy(permit, order)
        facts = await surveyed(rig.driver, rig.first)
        (store,) = [each for each in facts.hosts[0].datastores if each.name == "shared-1-1"]
        assert (store.usable, store.reason) == (
            False,
            "the hypervisor has 2 datastores of this name",
        )


async def test_a_vm_that_may_not_be_read_hides_no_other(
    rig: VsphereRig, caplog: pytest.LogCaptureFixture
) -> None:
    """It is left out of the listing, whose rest is whole; which right is missing is said once, and
    by the check."""
    kept, hidden = await rig.deployed(), await rig.deployed()
    moid = rig.admin.vm(hidden.vm)._moId
    await surveyed(rig.driver, rig.first)
    rig.vc.hide(moid)
    try:
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                facts = await surveyed(rig.driver, rig.first)
                assert [each.vm for each in facts.vms] == [kept.vm]
                assert len(facts.hosts) == 1
        told = [each.message for each in caplog.records if moid in each.message]
        assert told == [
            f"lab: VirtualMachine {moid} may not be read (NoPermission): "
            "give the user System.Read on it"
        ]
        assert any(moid in each.said for each in await rig.driver.examine() if not each.well)
        # It is there and is not found: nobody says that it is gone, so nothing of it is deleted.
        order = _removal(rig, hidden)
        with pytest.raises(Unreachable):
            await rig.driver.settle(ticket(permitted(), order))
        files = rig.vc.files(rig.at(rig.first).datastore)
        with pytest.raises(Rejected, match="may not be read"):
            await rig.driver.remove(permitted(), order)
        assert rig.vc.files(rig.at(rig.first).datastore) == files
    finally:
        rig.vc.hide()
    assert len((await surveyed(rig.driver, rig.first)).vms) == 2


def _removal(rig: VsphereRig, spec: VmSpec) -> Remove:
    return Remove(spec.vm, rig.at(rig.first), spec.disk.volume)


@pytest.mark.parametrize("kind", ["Datastore", "DistributedVirtualPortgroup"])
async def test_what_is_not_used_need_not_be_readable(rig: VsphereRig, kind: str) -> None:
    """A datastore and a network of the host that may not be read are none that it has."""
    name = {"Datastore": "local-1-1", "DistributedVirtualPortgroup": "lan-1"}[kind]
    rig.vc.hide(rig.vc.named(kind)[name])
    try:
        facts = await surveyed(rig.driver, rig.first)
        stores = [each.name for each in facts.hosts[0].datastores]
        assert stores == (["shared-1-1"] if kind == "Datastore" else ["shared-1-1", "local-1-1"])
        permit, order = order_of(rig)
        if kind == "Datastore":
            await rig.driver.deploy(permit, order)
            assert await rig.everything(rig.first) == {order.spec.vm}
        else:
            with pytest.raises(Rejected, match="no network lan-1"):
                await rig.driver.deploy(permit, order)
    finally:
        rig.vc.hide()


async def test_a_host_that_may_not_be_read_hides_no_other(rig: VsphereRig) -> None:
    """It is not seen, like one that the vCenter has lost; its VMs are in doubt and not gone."""
    spec = await rig.deployed(rig.at(rig.second))
    rig.vc.hide(rig.vc.named("HostSystem")[rig.first])
    try:
        facts = await rig.driver.survey("lab")
        assert [each.name for each in facts.hosts] == [rig.second]
        assert [each.vm for each in facts.vms] == [spec.vm]
    finally:
        rig.vc.hide()


def nested(rig: VsphereRig, *names: str) -> dict[str, str]:
    """The ids of resource pools, each below the one before."""
    cluster = rig.admin._content.searchIndex.FindByInventoryPath("lab/host/rack-1")
    pool, made = cluster.resourcePool, {}
    for name in names:
        share = vim.ResourceAllocationInfo(
            reservation=0,
            limit=-1,
            expandableReservation=True,
            shares=vim.SharesInfo(level="normal", shares=0),
        )
        spec = vim.ResourceConfigSpec(cpuAllocation=share, memoryAllocation=share)
        pool = pool.CreateResourcePool(name, spec)
        made[name] = pool._moId
    return made


async def test_a_user_of_a_nested_pool_makes_vms_there(rig: VsphereRig) -> None:
    """Without the option the root pool is refused; with it the VM is in the nested one, and the
    check looks for the privilege there."""
    pools = nested(rig, "tenants", "web%2f1")
    rig.vc.privileges(set(PRIVILEGES) - {POOL}, **{pools["web%2f1"]: [POOL]})
    try:
        permit, order = order_of(rig)
        with pytest.raises(Rejected, match=POOL):
            await rig.driver.deploy(permit, order)
        async with closing(rig.opened(resource_pool="tenants/web%2f1")) as driver:
            await driver.deploy(permit, order)
            assert all(each.well for each in await driver.examine())
        assert rig.admin.vm(order.spec.vm).resourcePool._moId == pools["web%2f1"]
        async with closing(rig.opened(resource_pool="tenants/nowhere")) as driver:
            said = [each.said for each in await driver.examine() if not each.well]
            assert any("has no resource pool tenants/nowhere" in each for each in said)
    finally:
        rig.vc.privileges(None)


async def test_vms_are_made_in_a_folder_below_folders(rig: VsphereRig) -> None:
    """An inventory path; what does not exist is named by the check."""
    root = rig.admin._content.searchIndex.FindByInventoryPath("lab/vm")
    root.CreateFolder("tenants").CreateFolder("web")
    async with closing(rig.opened(folder="tenants/web")) as driver:
        permit, order = order_of(rig)
        await driver.deploy(permit, order)
        path = f"lab/vm/tenants/web/{order.spec.name}"
        made = rig.admin._content.searchIndex.FindByInventoryPath(path)
        assert made.config.instanceUuid == str(order.spec.vm)
        await asyncio.to_thread(made.Destroy_Task)
        await until(lambda: rig.admin._content.searchIndex.FindByInventoryPath(path) is None)
    async with closing(rig.opened(folder="tenants/none")) as driver:
        said = [each.said for each in await driver.examine() if not each.well]
        assert "the vCenter has nothing at lab/vm/tenants/none" in said


def test_the_options_are_texts(rig: VsphereRig) -> None:
    options = {"server": "v", "user": "u", "datacenter": "d", "password_env": PASSWORD}
    assert parse({**options, "resource_pool": "a/b", "folder": "c/d"}).resource_pool == "a/b"
    with pytest.raises(ValueError, match="resource_pool"):
        parse({**options, "resource_pool": 7})
