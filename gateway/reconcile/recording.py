"""How a survey, or silence, becomes record and events, in the observer's one transaction."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from drivers.facts import Facts, HostFacts, PowerState, Sighting
from gateway.events.event import Event, Severity, emit
from gateway.lifecycle import VmState
from gateway.store import ledger, observations
from gateway.store.observations import Believed, HostSeen
from gateway.store.pool import Connection

_BEFORE_POWER = (VmState.CONFIGURED, VmState.ALLOCATED)


async def record_facts(
    c: Connection, hypervisor: str, facts: Facts, before: Sequence[Believed], owner: str
) -> bool:
    """Write what a complete survey saw; whether anything changed."""
    # VMs before places: whoever holds a VM's row may wait for the ledger, never the other way.
    seen = {sighting.vm: sighting for sighting in facts.vms if not sighting.arriving}
    states = [await _record_state(c, vm, seen.get(vm.uuid), facts.taken_at, owner) for vm in before]
    places = await _record_places(c, hypervisor, facts)
    return places or any(states)


async def record_silence(
    c: Connection, hypervisor: str, hosts: Sequence[str], lost: Sequence[Believed], owner: str
) -> bool:
    """Write that hosts do not answer, and that their VMs `lost` are UNKNOWN."""
    now = datetime.now(UTC)
    states = [await _record_state(c, vm, None, now, owner) for vm in lost]
    fresh = await observations.write_unreachable(c, hypervisor, hosts)
    if fresh:
        await ledger.refresh_limits(c, hosts=[id_ for id_, _ in fresh])
    for id_, name in fresh:
        await emit(
            c,
            Event(
                "MACHINE",
                "CHECK_STATE",
                id_,
                message=f"Host {name} does not answer",
                severity=Severity.WARN,
                entity_name=name,
            ),
        )
    return bool(fresh) or any(states)


async def _record_places(c: Connection, hypervisor: str, facts: Facts) -> bool:
    names = [host.name for host in facts.hosts]
    booked = await observations.booked_on(c, hypervisor, names)
    foreign_cpu, foreign_ram = _foreign(facts.vms, booked)
    hosts: list[int] = []
    datastores: list[int] = []
    for host in facts.hosts:
        seen = _host_seen(host, foreign_cpu[host.name], foreign_ram[host.name])
        changed = await observations.write_host(c, hypervisor, seen)
        if changed is not None:
            hosts.append(changed)
            await _tell_host(c, changed, host.name)
        for store in host.datastores:
            measured = (store.capacity_bytes, store.free_bytes, store.path)
            found = await observations.write_datastore(
                c, hypervisor, host.name, store.name, measured
            )
            if found is not None:
                datastores.append(found)
    if hosts or datastores:
        await ledger.refresh_limits(c, hosts=hosts, datastores=datastores)
    return bool(hosts or datastores)


def _foreign(
    vms: Sequence[Sighting], booked: set[tuple[str, UUID]]
) -> tuple[Counter[str], Counter[str]]:
    """vCPUs and MiB, by host, of running VMs that are not booked where they were seen."""
    cpu: Counter[str] = Counter()
    ram: Counter[str] = Counter()
    for vm in vms:
        if (vm.host, vm.vm) in booked or vm.state is PowerState.OFF:
            continue
        cpu[vm.host] += vm.cpu
        ram[vm.host] += vm.ram_mib
    return cpu, ram


def _host_seen(host: HostFacts, foreign_cpu: int, foreign_ram_mib: int) -> HostSeen:
    return HostSeen(
        host.name,
        host.cpus,
        host.memory_mib,
        host.hypervisor,
        host.version,
        foreign_cpu,
        foreign_ram_mib,
        host.accepting,
        None if host.load is None else (host.load.cpu_mhz, host.load.memory_mib),
    )


async def _tell_host(c: Connection, host_id: int, name: str) -> None:
    message = f"Host {name} was seen with other facts than before"
    await emit(c, Event("MACHINE", "CHECK_STATE", host_id, message=message, entity_name=name))


def state_from(seen: Sighting | None, vm: Believed) -> VmState:
    """What a sighting, or none, makes of a VM's state."""
    if seen is None or seen.host != vm.host or seen.state is PowerState.UNKNOWN:
        return VmState.UNKNOWN
    if seen.state is PowerState.OFF and vm.known_state in _BEFORE_POWER:
        return VmState.CONFIGURED
    return VmState(seen.state.value)


def _named(state: VmState, deallocated: bool) -> str:
    return f"{state} and deallocated" if deallocated else state.value


async def _record_state(
    c: Connection, vm: Believed, seen: Sighting | None, at: datetime, owner: str
) -> bool:
    if vm.state is VmState.ALLOCATED:
        return False  # placed, not made yet: there is nothing to be seen
    state = state_from(seen, vm)
    deallocated = state is VmState.OFF and seen is not None and seen.deallocated
    if (state, deallocated) == (vm.state, vm.deallocated):
        return False
    evidence: dict[str, Any] = {
        "state": seen.state.value if seen else "NOT_SEEN",
        "host": vm.host,
        "by": owner,
        "at": at.isoformat(),
    }
    if not await observations.write_state(c, vm, state, deallocated, evidence):
        return False
    lost = state is VmState.UNKNOWN
    why = f"last known {vm.known_state}" if lost else f"was {_named(vm.state, vm.deallocated)}"
    await emit(
        c,
        Event(
            "VIRTUAL_MACHINE",
            "VSM_CHANGE_STATE",
            vm.id,
            message=f"{vm.name} is {_named(state, deallocated)} ({why})",
            severity=Severity.WARN if lost else Severity.INFO,
            enterprise_id=vm.enterprise_id,
            entity_name=vm.name,
            details=evidence,
        ),
    )
    return True
