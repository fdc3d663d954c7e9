"""What a VM as recorded asks of a place, in the scheduler's words."""

from gateway.store.vm_record import VmRecord
from scheduler.model.demand import Demand, Origin


def demand_of(vm: VmRecord, *, only: frozenset[int] | None = None, moving: bool = False) -> Demand:
    """What a VM asks for; `moving` adds where it comes from."""
    origin = None
    if moving and vm.host_id is not None:
        assert vm.rack_id is not None
        assert vm.hypervisor is not None
        assert vm.datastore_id is not None
        origin = Origin(
            vm.host_id,
            vm.rack_id,
            vm.hypervisor,
            vm.datastore_id,
            bool(vm.shared),
            cluster=vm.cluster_id,
        )
    return Demand(
        vm=vm.uuid,
        cpu=vm.cpu,
        ram_mib=vm.ram_mib,
        disk_bytes=vm.disk_bytes,
        type=vm.type,
        datacenter=vm.datacenter_id,
        network=vm.nics[0][1] if vm.nics else None,
        origin=origin,
        only=only,
        enterprise=vm.enterprise_id,
        layer=vm.layer_id,
        tier=vm.tier_id,
    )
