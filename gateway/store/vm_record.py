"""What tasks need of a VM, and the only writes of its state and place."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from gateway.lifecycle import VmState
from gateway.store.db.pool import Connection


@dataclass(frozen=True, slots=True)
class VmRecord:
    """A VM with the names its drivers know things by; place fields are None when it has none."""

    id: int
    uuid: UUID
    name: str
    type: str
    cpu: int
    ram_mib: int
    disk_bytes: int
    state: VmState
    known_state: VmState
    version: int
    enterprise_id: int
    datacenter_id: int
    volume: str
    host_id: int | None
    host: str | None
    hypervisor: str | None
    rack_id: int | None
    datastore_id: int | None
    pool: str | None
    shared: bool | None
    template: str
    disk_format: str
    layer_id: int | None = None
    tier_id: int | None = None
    cluster_id: int | None = None
    nics: tuple[tuple[str, str, str], ...] = field(default=())


_SELECT = """
select v.id, v.uuid, v.name, v.type, v.cpu, v.ram_mib, v.disk_bytes, v.state, v.known_state,
  v.version, v.enterprise_id, v.datacenter_id, v.volume, v.host_id, h.name host, h.hypervisor,
  h.rack_id, v.datastore_id, d.pool, d.shared, t.source, t.disk_format,
  v.layer_id, h.cluster_id, case when v.datastore_id is not null then d.tier_id
    else coalesce(v.tier_id, t.tier_id, c.tier_id, f.id) end tier_id,
  coalesce((select array_agg(array[i.mac, n.tag, host(i.address)] order by i.n)
            from nic i join network n on n.id = i.network_id where i.vm_id = v.id), '{}') nics
from vm v join template t on t.id = v.template_id
join virtualdatacenter c on c.id = v.virtualdatacenter_id
left join tier f on f.datacenter_id = v.datacenter_id and f.is_default and f.enabled
  and (f.open_to_all or exists (select from tier_enterprise e
    where e.tier_id = f.id and e.enterprise_id = v.enterprise_id))
left join host h on h.id = v.host_id left join datastore d on d.id = v.datastore_id
"""


def _record(row: Iterable[tuple[str, Any]]) -> VmRecord:
    values = dict(row)
    nics = tuple((mac, tag, address) for mac, tag, address in values.pop("nics"))
    values["state"] = VmState(values["state"])
    values["known_state"] = VmState(values["known_state"])
    values["template"] = values.pop("source")
    return VmRecord(**values, nics=nics)


async def load(c: Connection, vm_id: int) -> VmRecord:
    """The VM; raises LookupError when there is none."""
    row = await c.fetchrow(_SELECT + "where v.id = $1", vm_id)
    if row is None:
        raise LookupError(f"virtual machine {vm_id} does not exist")
    return _record(row.items())


async def record_state(
    c: Connection,
    vm_id: int,
    state: VmState,
    seen: Mapping[str, Any] | None = None,
    *,
    deallocated: bool = False,
    reason: str = "",
) -> None:
    """Write a state that was seen; `seen` says where, by whom and when, `deallocated` that the VM
    was seen to have given its compute back, `reason` why the hypervisor has it in that state."""
    await c.execute(
        """update vm set state = $2, version = version + 1, synchronized_at = clock_timestamp(),
             known_state = case when $2 = 'UNKNOWN' then known_state else $2 end,
             seen = coalesce($3, seen), deallocated = $4, state_reason = $5
           where id = $1""",
        vm_id,
        state.value,
        dict(seen) if seen is not None else None,
        deallocated,
        reason,
    )


async def forget(c: Connection, vm_id: int, by: str) -> None:
    """Write UNKNOWN for a placed VM whose host does not answer; its last known state stays."""
    await c.execute(
        """update vm set state = 'UNKNOWN', version = vm.version + 1, deallocated = false,
             seen = jsonb_build_object('state', 'NOT_SEEN', 'host', h.name, 'by', $2::text)
           from host h where vm.id = $1 and h.id = vm.host_id
             and vm.state not in ('UNKNOWN', 'ALLOCATED')""",
        vm_id,
        by,
    )


async def record_place(
    c: Connection, vm_id: int, host_id: int | None, datastore_id: int | None, volume: str
) -> None:
    """Write where a VM lives, or that it lives nowhere."""
    await c.execute(
        """update vm set host_id = $2, datastore_id = $3, volume = $4, version = version + 1
           where id = $1""",
        vm_id,
        host_id,
        datastore_id,
        volume,
    )


async def record_decision(c: Connection, vm_id: int, decision: str | None) -> None:
    """Write which decision placed a VM where it is; None for nowhere."""
    await c.execute(
        "update vm set decision_id = $2 where id = $1",
        vm_id,
        None if decision is None else UUID(decision),
    )


async def record_size(c: Connection, vm_id: int, cpu: int, ram_mib: int) -> None:
    """Write a VM's new size."""
    await c.execute(
        "update vm set cpu = $2, ram_mib = $3, version = version + 1 where id = $1",
        vm_id,
        cpu,
        ram_mib,
    )
