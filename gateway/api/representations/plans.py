"""Plans on the wire: gains in percent, costs in MiB and bytes, moves by their numbers."""

from collections.abc import Sequence
from typing import Any

from gateway.api.http.links import Linker
from gateway.store.plans import StoredMove, StoredPlan
from scheduler.model.arithmetic import WHOLE


def plan(links: Linker, one: StoredPlan, moves: Sequence[StoredMove] | None) -> dict[str, Any]:
    """A plan; `moves` None leaves them out."""
    path = f"admin/plans/{one.id}"
    told, names = one.told["plan"], one.told["names"]
    offered = [
        links.link("edit", path, "plan", title=f"{one.kind} {one.id}"),
        links.link("datacenter", f"admin/datacenters/{one.datacenter_id}", "datacenter"),
    ]
    if one.state in ("PROPOSED", "RUNNING"):
        offered.append(links.link("approve", f"{path}/action/approve", "plan"))
        offered.append(links.link("cancel", f"{path}/action/cancel", "plan"))
    body: dict[str, Any] = {
        "id": str(one.id),
        "kind": one.kind,
        "state": one.state,
        "reason": one.reason,
        "machine": one.host_id,
        "creationTimestamp": one.created_at.isoformat(),
        "timestamp": one.updated_at.isoformat(),
        "user": one.nick,
        "machinesBefore": told["hostsBefore"],
        "machinesAfter": told["hostsAfter"],
        "closes": told["closes"],
        "empties": told["empties"],
        "opens": told["opens"],
        "totalMoves": len(told["moves"]),
        "blocked": [
            {
                "uuid": each["vm"],
                "name": names.get(each["vm"], ""),
                "machine": each["host"],
                "reasons": each["reasons"],
                "message": each["told"],
            }
            for each in told["blocked"]
        ],
        "movedByOthers": one.told.get("movedByOthers", []),
        "makespanInMib": one.told["makespan"],
        "boundInMib": one.told["bound"],
        "links": offered,
    }
    if moves is not None:
        rows = [_move(links, one, each) for each in moves]
        body["moves"] = {"links": [], "collection": rows}
    return body


def _move(links: Linker, one: StoredPlan, move: StoredMove) -> dict[str, Any]:
    offered = []
    if move.virtualdatacenter_id is not None:
        vm = (
            f"cloud/virtualdatacenters/{move.virtualdatacenter_id}"
            f"/virtualappliances/{move.virtualappliance_id}/virtualmachines/{move.vm_id}"
        )
        offered.append(links.link("virtualmachine", vm, "virtualmachine", title=move.vm_name))
        if move.task_id is not None:
            offered.append(links.link("task", f"{vm}/tasks/{move.task_id}", "task"))
    return {
        "number": move.n,
        "virtualmachine": move.vm_id,
        "name": move.vm_name,
        "source": {"id": move.source_id, "name": move.source},
        "target": {"id": move.target_id, "name": move.target},
        "datastore": move.datastore_id,
        "reason": move.reason,
        "gainPercent": round(100 * move.gain / WHOLE, 2),
        "cost": {"ram": move.ram_mib, "disk": move.disk_bytes},
        "after": move.after,
        "beginsAtMib": one.told["begins"][move.n],
        "state": move.state,
        "message": move.told,
        "links": offered,
    }
