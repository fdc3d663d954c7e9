"""Who may share a host: asked again under the locks of a claim, with what it grants counted in.

Reservations, restrictions, exclusions and layers. The caller holds the rule set for share and the
host's ledger row, so nothing that is read here changes before its transaction ends.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.store.capacity.ledger import Dwellers, Key, Row
from gateway.store.db.pool import Connection
from gateway.store.rules.rule_set import EXCLUSION

_VMS = """
select v.id, v.enterprise_id, v.layer_id, e.reservation_restricted
from vm v join enterprise e on e.id = v.enterprise_id
where v.id = any($1) order by v.id for no key update of v
"""
_AROUND = """
select 'reserved' as what, id as one, reserved_for as other from host
  where id = any($1) and reserved_for is not null
union all select 'apart', element_id, other_id from rule
  where kind = $3 and (element_id = any($2) or other_id = any($2))
"""
_DWELLERS = """
select array_agg(distinct enterprise_id), array_agg(distinct layer_id)
from promised where host_id = $1
"""


@dataclass(frozen=True, slots=True)
class TenantVm:
    """A VM as its neighbours see it."""

    vm_id: int
    enterprise: int
    layer: int | None
    restricted: bool


async def lock_vms(c: Connection, vm_ids: Iterable[int]) -> dict[int, TenantVm]:
    """These VMs, their rows locked, in the order of their ids; before any ledger row."""
    return {row["id"]: TenantVm(*row.values()) for row in await c.fetch(_VMS, sorted(set(vm_ids)))}


@dataclass(slots=True)
class HostTenants:
    """Who lives on each host of a batch of claims, as the batch goes on."""

    reserved_for: Mapping[int, int]
    apart: frozenset[tuple[int, int]]
    living: dict[int, Dwellers]
    moved_in: dict[int, Dwellers] = field(default_factory=dict)

    def clash(self, vm: TenantVm, host: int) -> bool:
        """Whether the VM may not live on the host with those who do."""
        owner = self.reserved_for.get(host)
        if owner not in (None, vm.enterprise) or (vm.restricted and owner != vm.enterprise):
            return True
        there = self.living[host]
        return vm.layer in there.layers or any(
            (vm.enterprise, each) in self.apart for each in there.enterprises
        )

    def move_in(self, vm: TenantVm, host: int) -> None:
        """The VM lives there too, from now on."""
        there = self.living[host]
        layers = there.layers if vm.layer is None else there.layers | {vm.layer}
        now = Dwellers(there.enterprises | {vm.enterprise}, layers)
        if now != there:
            self.living[host] = self.moved_in[host] = now


async def neighbours(
    c: Connection, rows: Mapping[Key, Row], vms: Iterable[TenantVm]
) -> HostTenants:
    """Who lives on the hosts among these locked rows, and whom the VMs' owners keep away from."""
    hosts = [row.id for row in rows.values() if row.kind == "host"]
    around = await c.fetch(_AROUND, hosts, list({vm.enterprise for vm in vms}), EXCLUSION)
    reserved = {row["one"]: row["other"] for row in around if row["what"] == "reserved"}
    pairs = [(row["one"], row["other"]) for row in around if row["what"] == "apart"]
    return neighbours_of(rows, reserved, pairs)


def neighbours_of(
    rows: Mapping[Key, Row], reserved: Mapping[int, int], apart: Iterable[tuple[int, int]]
) -> HostTenants:
    """Who lives on the hosts among these rows, given for whom hosts are `reserved` and which
    enterprises are kept `apart`."""
    return HostTenants(
        reserved,
        frozenset(pair for one, other in apart for pair in ((one, other), (other, one))),
        {
            row.id: Dwellers(frozenset(row.enterprises), frozenset(row.layers))
            for row in rows.values()
            if row.kind == "host"
        },
    )


async def dwellers(c: Connection, hosts: Sequence[int]) -> dict[int, Dwellers]:
    """Who lives on hosts by their bookings; the caller holds the hosts' ledger rows."""
    found = {}
    for host in hosts:
        row = await c.fetchrow(_DWELLERS, host)
        assert row is not None
        enterprises, layers = (frozenset(each or ()) - {None} for each in row.values())
        found[host] = Dwellers(enterprises, layers)
    return found


async def in_layer(c: Connection, vm_id: int, layer_id: int, hosts: Sequence[int]) -> int | None:
    """Which of the hosts has another VM of the layer booked on it; None where none has."""
    found: int | None = await c.fetchval(
        """select min(host_id) from promised
           where host_id = any($3) and layer_id = $2 and vm_id <> $1""",
        vm_id,
        layer_id,
        hosts,
    )
    return found
