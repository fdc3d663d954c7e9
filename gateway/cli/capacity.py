"""What still fits into a cluster's file: the biggest VM, how many of a size, any one host lost."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from gateway.cli.offline import FileSize, OfflineRequest, demand_of, read_cluster
from scheduler.capacity.free_capacity import room_of
from scheduler.capacity.headroom import biggest, fits
from scheduler.capacity.host_failure import FailureAnalysis, FailureReport
from scheduler.decisions.explanation import size as bytes_told
from scheduler.model.demand import Demand, Origin, RelocationScope
from scheduler.model.values import replace
from scheduler.snapshot.snapshot import InventorySnapshot, fleet


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class CapacityRequest:
    """How much one VM asks, for how many of it fit.

    Parameters
    ----------
    cpu: int
        Virtual CPUs.
    ram: str
        Memory, such as 4GiB; a bare number counts MiB.
    disk: str
        All its disks together, such as 40GiB; a bare number counts bytes.
    lost_host: bool
        Also with any one host lost.
    json: bool
        One JSON object instead of sentences.
    """

    cpu: int = 0
    ram: str = "0"
    disk: str = "0"
    lost_host: Annotated[bool, Parameter(negative="")] = False
    json: Annotated[bool, Parameter(negative="")] = False


NOTHING = CapacityRequest()


def capacity(path: Path, asked: CapacityRequest, wish: OfflineRequest) -> int:
    """Print what fits; the exit status."""
    cluster = read_cluster(path)
    demand = demand_of(cluster, FileSize(asked.cpu, asked.ram, asked.disk), wish)
    found = weighed(cluster, demand, lost_host=asked.lost_host)
    if asked.json:
        print(json.dumps(found))
    else:
        print("\n".join(_told(found)))
    return 0


def weighed(cluster: InventorySnapshot, demand: Demand, *, lost_host: bool) -> dict[str, Any]:
    """What fits, ready for JSON."""
    known = fleet(cluster)
    room = room_of(known)
    sized = bool(demand.cpu or demand.ram_mib or demand.disk_bytes)
    most = biggest(known, demand, room)
    found: dict[str, Any] = {
        "biggest": {
            "cpu": most.cpu,
            "ramMib": most.ram_mib,
            "diskBytes": most.disk_bytes,
            "shapes": [{"cpu": cpu, "ramMib": ram} for cpu, ram in most.shapes],
        },
        "fits": fits(known, demand, room) if sized else None,
    }
    if lost_host:
        survival = FailureAnalysis(known, peopled(cluster), room).survey(demand if sized else None)
        found["anyHostLost"] = _survival(cluster, survival)
    return found


def peopled(
    cluster: InventorySnapshot, reach: RelocationScope = RelocationScope.RACK
) -> dict[int, list[Demand]]:
    """Who is on each host, as they would ask for another; one that moves counts where it came
    from."""
    hosts = {host.id: host for host in cluster.hosts}
    shared = {each.id: each.shared for each in cluster.datastores}
    found: dict[int, list[Demand]] = {}
    seen = set()
    for each in cluster.residents:
        host = hosts.get(each.host)
        if host is None or each.vm in seen:
            continue
        seen.add(each.vm)
        origin = Origin(
            host.id,
            host.rack,
            host.hypervisor,
            each.datastore,
            shared.get(each.datastore, False),
            reach,
            host.cluster,
        )
        demand = Demand(
            each.vm,
            each.cpu,
            each.ram_mib,
            each.disk_bytes,
            each.type or host.type,
            host.datacenter,
            each.network,
            enterprise=each.enterprise,
            layer=each.layer,
            tier=each.tier,
        )
        found.setdefault(host.id, []).append(replace(demand, origin=origin))
    return found


def _survival(cluster: InventorySnapshot, found: FailureReport) -> dict[str, Any]:
    names = {host.id: host.name for host in cluster.hosts}
    worst = found.worst
    return {
        "safe": found.safe,
        "unsafe": [names[host] for host in found.unsafe],
        "fits": found.left,
        "worst": None
        if worst is None
        else {
            "host": names[worst.host],
            "vms": worst.vms,
            "homeless": worst.homeless,
            "fits": worst.left,
        },
    }


def _told(found: dict[str, Any]) -> list[str]:
    most = found["biggest"]
    amounts = (f"{most['cpu']} CPU", f"{most['ramMib']} MiB RAM", bytes_told(most["diskBytes"]))
    lines = [f"The biggest VM, each by itself: {', '.join(amounts)} of disk."]
    shapes = [f"{one['cpu']} CPU with {one['ramMib']} MiB" for one in most["shapes"]]
    if shapes:
        lines.append(f"Together: {'; '.join(shapes)}.")
    if found["fits"] is not None:
        lines.append(f"Of the size asked for {found['fits']} fit.")
    lost = found.get("anyHostLost")
    if lost is None:
        return lines
    if lost["safe"]:
        lines.append("All VMs find a place if any one host is lost.")
    else:
        lines.append(f"If one of these is lost, VMs find no place: {', '.join(lost['unsafe'])}.")
    if lost["worst"] and lost["worst"]["homeless"]:
        worst = lost["worst"]
        told = f"{worst['host']}: {worst['homeless']} of {worst['vms']} VMs without a place"
        lines.append(f"The worst loss is that of {told}.")
    if lost["fits"] is not None:
        lines.append(f"After any one loss at least {lost['fits']} of the size asked for fit.")
    return lines
