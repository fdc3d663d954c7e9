"""What a demand adds to each place it touches; what a relocating VM already holds is not added."""

from scheduler.model.demand import Demand
from scheduler.model.inventory import AggregateScope, Datastore, Host


def holds_host(demand: Demand, host: Host) -> bool:
    """Whether the VM is on this very host already."""
    return demand.origin is not None and demand.origin.host == host.id


def holds_datastore(demand: Demand, host: Host, datastore: Datastore) -> bool:
    """Whether the VM's disks are on this datastore already and the host can use them there."""
    origin = demand.origin
    if origin is None or origin.datastore != datastore.id:
        return False
    return origin.shared or origin.host == host.id


def holds_scope(demand: Demand, scope: AggregateScope) -> bool:
    """Whether the VM counts in this aggregated element already."""
    if demand.origin is None:
        return False
    if scope.kind == "rack":
        return demand.origin.rack == scope.id
    if scope.kind == "cluster":
        return demand.origin.cluster == scope.id
    return demand.datacenter == scope.id


def disk_added(demand: Demand, host: Host, datastore: Datastore) -> int:
    """Bytes that the VM would add to the datastore if it ran on the host."""
    return 0 if holds_datastore(demand, host, datastore) else demand.disk_bytes
