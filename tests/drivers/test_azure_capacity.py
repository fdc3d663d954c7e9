"""What the driver of Azure does when a place has no room: other sizes there, then a refusal that
says why, and nothing is left."""

import pytest
from msgspec.structs import replace

from drivers.contract import HostLink, Power, PowerRequest, Reconfigure, Remove, Verdict, VmSpec
from drivers.faults import Indeterminate, Rejected
from tests.drivers.azure_rig import AzureRig, name_of, new_vm
from tests.drivers.rigs import closing, permitted, surveyed, ticket
from tests.lab.azure import networks
from tests.lab.azure.replies import Call


@pytest.fixture
async def rig(azure: AzureRig) -> AzureRig:
    return azure


async def test_an_operation_that_fails_says_why(rig: AzureRig) -> None:
    """A deallocated VM that finds no room when it is started stays, and can be resized."""
    spec = await rig.deployed()
    await rig.driver.power(permitted(), Power(spec.vm, rig.first, PowerRequest.OFF, release=True))
    rig.arm.faults.add("fail", "POST start", code="AllocationFailed", message="No room.")
    kept: list[str] = []
    permit, order = permitted(), Power(spec.vm, rig.first, PowerRequest.ON)
    with pytest.raises(Rejected, match="AllocationFailed: No room") as refused:
        await rig.driver.power(rig.keeping(permit, kept), order)
    assert refused.value.no_capacity
    outcome = await rig.driver.settle(rig.kept(permit, order, kept))
    assert (outcome.verdict, outcome.no_capacity) == (Verdict.FAILED, True)
    bigger = VmSpec(spec.vm, spec.name, 2, 32, spec.disk, spec.nics)
    await rig.driver.reconfigure(permitted(), Reconfigure(bigger, rig.first))
    assert rig.arm.vm(f"vmgate-{spec.vm}").size == "Standard_B2s"


@pytest.mark.parametrize(
    ("code", "how"),
    [
        ("SkuNotAvailable", "reply"),
        ("AllocationFailed", "fail"),
        ("ZonalAllocationFailed", "fail"),
        ("OverconstrainedZonalAllocationRequest", "fail"),
    ],
)
async def test_where_a_size_is_not_to_be_had_the_next_is_tried(
    rig: AzureRig, code: str, how: str
) -> None:
    """At the same place, and remembered; of the first nothing is left."""
    rule = {"code": code, "size": "Standard_B1s", "times": 0}
    rig.arm.faults.add(how, "PUT vm", **rule, **({"status": 409} if how == "reply" else {}))
    permit, order = new_vm(rig)
    await rig.driver.deploy(permit, order)
    assert rig.arm.vm(name_of(order)).size == "Standard_B1ms"
    assert await rig.volumes(order.at) == {order.spec.disk.volume}
    rig.arm.forget_calls()
    await rig.driver.deploy(*new_vm(rig))
    assert rig.arm.calls["PUT vm"] == 1


@pytest.mark.parametrize("how", ["reply", "fail"])
async def test_a_place_without_room_leaves_nothing_and_says_why(rig: AzureRig, how: str) -> None:
    """All sizes were tried; another place may do."""
    words = {"status": 409} if how == "reply" else {}
    rig.arm.faults.add(how, "PUT vm", code="ZonalAllocationFailed", times=0, **words)
    permit, order = new_vm(rig)
    with pytest.raises(Rejected, match="no capacity: ZonalAllocationFailed") as refused:
        await rig.driver.deploy(permit, order)
    assert refused.value.no_capacity
    assert (await rig.driver.settle(ticket(permit, order))).verdict is Verdict.ABSENT
    assert await nothing_is_left(rig)
    (host,) = (await surveyed(rig.driver, rig.first)).hosts
    assert host.accepting  # sizes with more vCPUs were not refused


async def test_a_quota_that_is_used_up_takes_out_its_family_only(rig: AzureRig) -> None:
    """Standard_B2s and Standard_D2s_v3 both have two vCPUs."""
    rig.arm.sizes.set_limit("eastus", "standardBSFamily", 0)
    permit, order = new_vm(rig, 2)
    await rig.driver.deploy(permit, order)
    assert rig.arm.vm(name_of(order)).size == "Standard_D2s_v3"
    rig.arm.sizes.set_limit("eastus", "cores", 2)
    with pytest.raises(Rejected, match="quota"):
        await rig.driver.deploy(*new_vm(rig, 2))


async def test_what_azure_finds_wrong_fails_at_once_and_leaves_nothing(rig: AzureRig) -> None:
    rig.arm.faults.add("fail", "PUT vm", code="InvalidParameter", message="No such image.")
    with pytest.raises(Rejected, match="InvalidParameter: No such image") as refused:
        await rig.driver.deploy(*new_vm(rig))
    assert not refused.value.no_capacity
    assert rig.arm.calls["PUT vm"] == 1
    assert await nothing_is_left(rig)


async def test_a_process_that_dies_over_a_failed_create_leaves_what_remove_takes(
    rig: AzureRig,
) -> None:
    """The saga takes back what it began: a VM that never ran, its disk and its interface."""
    rig.arm.faults.add("fail", "PUT vm", code="AllocationFailed")
    rig.arm.faults.add("drop", "DELETE vm")
    permit, order = new_vm(rig)
    with pytest.raises(Indeterminate):
        await rig.driver.deploy(permit, order)
    outcome = await rig.driver.settle(ticket(permit, order))
    assert outcome.verdict is Verdict.FAILED
    remove = Remove(order.spec.vm, order.at, order.spec.disk.volume)
    async with closing(rig.opened()) as fresh:
        await fresh.remove(permit, remove)
        assert (await fresh.settle(ticket(permit, remove))).verdict is Verdict.DONE
    assert await nothing_is_left(rig)


async def nothing_is_left(rig: AzureRig) -> bool:
    """No VM, disk or interface."""
    kinds = ("Microsoft.Compute/disks", "Microsoft.Network/networkInterfaces")
    return not rig.arm.vms() and not any(rig.arm.resources(kind) for kind in kinds)


async def test_what_others_use_of_a_quota_is_not_offered(rig: AzureRig) -> None:
    """Neither VMs that are not ours, nor what no listing shows; deallocated VMs still count."""
    rig.arm.sizes.set_limit("eastus", "cores", 20)
    rig.arm.sizes.use_elsewhere("eastus", "cores", 5)
    spec = await rig.deployed()
    stranger = await rig.foreign(rig.first)
    await rig.driver.power(permitted(), Power(spec.vm, rig.first, PowerRequest.OFF, release=True))
    facts = await surveyed(rig.driver, rig.first)
    (host,) = facts.hosts
    # 20 less 5; ours and the stranger's, which runs, are counted by the gateway.
    assert host.cpus == 15
    rig.arm.deallocate(next(name for name in rig.arm.vms() if name.startswith("by-hand")))
    (host,) = (await surveyed(rig.driver, rig.first)).hosts
    assert host.cpus == 14  # the gateway does not count a foreign VM that is off; Azure does
    assert {vm.vm for vm in facts.vms} == {spec.vm, stranger}


async def test_a_region_that_does_not_answer_is_not_seen_and_others_are(rig: AzureRig) -> None:
    """Nor are its VMs: of them nothing is said. What was known of it before still counts."""
    spec = await rig.deployed()
    async with closing(rig.opened()) as driver:
        rule = rig.arm.faults.add("reply", "GET usages", status=400, location="eastus", times=0)
        facts = await driver.survey("azure")
        assert [host.name for host in facts.hosts] == [rig.second]
        assert facts.vms == ()
        rule.release()
        assert [vm.vm for vm in (await surveyed(driver, rig.first)).vms] == [spec.vm]
        rig.arm.faults.add("reply", "GET usages", status=400, location="eastus", times=0)
        assert [vm.vm for vm in (await surveyed(driver, rig.first)).vms] == [spec.vm]


async def test_zones_of_a_region_share_its_quota(rig: AzureRig) -> None:
    """Their sum is what the region has left, beside what runs in each."""
    rig.arm.sizes.set_limit("eastus", "cores", 20)
    spec = await rig.deployed()
    zone = HostLink("zone-2", "eastus/2", {"default": rig.arm.subnet}, ("disks",))
    rig.driver.attach(zone)
    facts = await rig.driver.survey("azure")
    cpus = {host.name: host.cpus for host in facts.hosts}
    assert cpus == {rig.first: 1 + 10, "zone-2": 9, rig.second: 100}
    assert [vm.vm for vm in facts.vms] == [spec.vm]


@pytest.mark.parametrize("wrong", ["template", "password", "network"])
async def test_what_cannot_be_asked_for_is_refused_before_anything_is_made(
    rig: AzureRig, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    """An image that is none, a password that is gone, a network that the place has not."""
    monkeypatch.setenv("VMGATE_TEST_ADMIN", "secret")
    permit, order = new_vm(rig)
    async with closing(rig.opened(admin_password_env="VMGATE_TEST_ADMIN")) as driver:
        monkeypatch.delenv("VMGATE_TEST_ADMIN")
        if wrong != "password":
            monkeypatch.setenv("VMGATE_TEST_ADMIN", "secret")
        if wrong == "template":
            disk = replace(order.spec.disk, template="ubuntu")
            order = replace(order, spec=replace(order.spec, disk=disk))
        if wrong == "network":
            driver.attach(HostLink(rig.first, "eastus/1", {"default": ""}, ("disks",)))
        with pytest.raises(Rejected):
            await driver.deploy(permit, order)
    assert all(of.startswith("GET") for of in rig.arm.calls)


async def test_an_interface_that_is_there_is_taken_and_stays(rig: AzureRig) -> None:
    """By reference, with the VM's id in its name: vmgate neither makes nor deletes it."""
    permit, order = new_vm(rig)
    path = rig.arm.subnet.partition("/providers/")[0]
    path += f"/providers/Microsoft.Network/networkInterfaces/theirs-{order.spec.vm}"
    ip = {"name": "ip", "properties": {"subnet": {"id": rig.arm.subnet}}}
    body = {"location": "eastus", "properties": {"ipConfigurations": [ip]}}
    names = {"subscription": rig.arm.subscription, "group": "vmgate", "of": "PUT nic"}
    call = Call("PUT", path, names, {}, {}, body, "")
    networks.put(rig.arm.cloud, call, networks.INTERFACES)
    rig.arm.finish()
    link = HostLink(rig.first, "eastus/1", {"default": path.replace(str(order.spec.vm), "{vm}")})
    rig.driver.attach(link)
    await rig.driver.deploy(permit, order)
    assert rig.arm.calls["PUT nic"] == 0
    remove = Remove(order.spec.vm, order.at, order.spec.disk.volume)
    await rig.driver.remove(permitted(), remove)
    (left,) = rig.arm.resources("Microsoft.Network/networkInterfaces")
    assert left.name == f"theirs-{order.spec.vm}"


async def test_a_vm_has_the_address_that_it_is_shown_with(rig: AzureRig) -> None:
    """A fixed one; where the subnet has no such address, the refusal names it and the network."""
    permit, order = new_vm(rig)
    nic = replace(order.spec.nics[0], address="10.0.0.77")
    order = replace(order, spec=replace(order.spec, nics=(nic,)))
    code = "PrivateIPAddressNotInSubnet"
    rig.arm.faults.add("reply", "PUT nic", status=400, code=code)
    with pytest.raises(Rejected, match=f"{code}: 10.0.0.77 in network default") as refused:
        await rig.driver.deploy(permit, order)
    assert not refused.value.no_capacity
    assert await nothing_is_left(rig)
    await rig.driver.deploy(permit, order)
    (made,) = rig.arm.resources("Microsoft.Network/networkInterfaces")
    (ip,) = made.properties["ipConfigurations"]
    assert ip["properties"]["privateIPAddress"] == "10.0.0.77"
    assert ip["properties"]["privateIPAllocationMethod"] == "Static"
