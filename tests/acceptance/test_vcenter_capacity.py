"""M-032, B1 on a vCenter: a host without room for a clone is passed over; the record says so."""

from pathlib import Path

import pytest

from gateway.store.db.pool import Store
from tests.acceptance.gateway import gateways, href_of
from tests.acceptance.test_real_faults import host_of
from tests.acceptance.vcenter_hosts import on_vcenter
from tests.lab.vcenter import VCenter
from tests.tasks.rig import books_balance


@pytest.mark.parametrize(
    ("method", "fault"),
    [
        ("CloneVM_Task", "InsufficientResourcesFault"),
        ("CloneVM_Task", "NoDiskSpace"),
        ("PowerOnVM_Task", "InsufficientHostMemoryCapacityFault"),
    ],
)
async def test_another_host_is_tried_where_one_has_no_room(
    vc: VCenter, store: Store, database_url: str, tmp_path: Path, method: str, fault: str
) -> None:
    """The VM runs on the second host, nothing is left at the first, and the decision names the
    first with what the vCenter said of it."""
    async with gateways(on_vcenter(vc, tmp_path, database_url)) as (gateway,):
        appliance = await gateway.appliance()
        elsewhere, vm = [await gateway.make(appliance) for _ in range(2)]
        await gateway.run("POST", f"{elsewhere}/action/deploy")
        first = await host_of(gateway, elsewhere)  # the one that is filled first
        vc.forget_calls()
        vc.fault(method, "taskfault", fault=fault)
        await gateway.run("POST", f"{vm}/action/deploy")
        second = await host_of(gateway, vm)
        assert {first, second} == {"esxi-1-1", "esxi-1-2"}
        assert vc.calls()["CloneVM_Task"] == 2
        shown = await gateway.get(vm)
        assert shown["state"] == "ON"
        decision = await gateway.get(href_of(shown, "decision"))
        (refused,) = decision["demand"]["refused"]
        assert fault in refused["said"]
        assert refused["host"] != second
        table = await gateway.get(href_of(decision, "table"))
        assert (table["identical"], table["why"]) == (True, "")
        assert len(vc.named("VirtualMachine")) == 3
        await books_balance(store, disks_measured=True)
        for each in (vm, elsewhere):
            await gateway.run("POST", f"{each}/action/undeploy")
        assert vc.named("VirtualMachine").keys() == {"template-1"}
