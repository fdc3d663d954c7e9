"""How a survey, or silence, becomes record and events, in the observer's one transaction."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from drivers.facts import Facts, HostFacts, PowerState, Sighting
from gateway.events.event import Event, Severity, emit
from gateway.lifecycle import VmState, public_reason
from gateway.reconcile.derived_state import NOT_SEEN, SEEN_TWICE, DerivedState, read, unchanged
from gateway.store import deleted_vms, observations
from gateway.store.capacity import external_moves, ledger
from gateway.store.capacity.external_moves import ExternalMove, VmPlace
from gateway.store.db.pool import Connection
from gateway.store.observations import AttachedHost, HostChange, HostSeen, ObservedVm, RecordedVm
from gateway.tasks.labels import PROTECTED, although, protection

READ_AT_ONCE = 1000
"""VMs that are compared without a pause: a few ms."""


@dataclass(frozen=True, slots=True)
class SurveyResult:
    """What one round has to tell of VMs: `before` is their record from before the look, `seen`
    where each is. Nothing is said of who is not in `before`; who is not in `seen` was not seen."""

    hypervisor: str
    owner: str
    at: datetime
    before: Sequence[RecordedVm] = ()
    seen: Mapping[UUID, Sequence[Sighting]] = field(default_factory=dict)


def sighted(vms: Sequence[Sighting]) -> dict[UUID, list[Sighting]]:
    """Where each VM is; the half-made copy of one that moves is nowhere yet."""
    found: dict[UUID, list[Sighting]] = {}
    for each in vms:
        if not each.arriving:
            found.setdefault(each.vm, []).append(each)
    return found


async def record_vms(c: Connection, look: SurveyResult) -> tuple[bool, list[ExternalMove]]:
    """Write what was seen of VMs; whether anything changed, and who moved.

    The bookings of those are for `moved.rebook`, after all that is written of VMs: whoever holds a
    VM's row may wait for the ledger, never the other way.
    """
    news = await _news(look)
    if not news:
        return False, []
    fresh = await observations.lock(c, [vm for vm, _ in news])
    news = [(vm, reading) for vm, reading in news if vm.id in fresh]
    movers = [(vm, seen) for vm, reading in news if (seen := reading.moved(vm)) is not None]
    moves = await _moves(c, look.hypervisor, movers)
    told = [await _record(c, look, vm, reading, moves.get(vm.id)) for vm, reading in news]
    return any(told), list(moves.values())


async def record_places(
    c: Connection, hypervisor: str, facts: Facts, moves: Sequence[ExternalMove]
) -> bool:
    """Write what was seen of hosts and datastores, and book who moved where it is now."""
    names = [host.name for host in facts.hosts]
    booked = await observations.booked_on(c, hypervisor, names)
    # Who is booked below counts as nobody's use no more: both are in the ledger for no moment.
    booked |= await observations.recorded_on(c, [move.vm_id for move in moves])
    foreign_cpu, foreign_ram = _foreign(facts.vms, booked)
    hosts: list[int] = []
    datastores: list[int] = []
    for host in facts.hosts:
        seen = _host_seen(host, foreign_cpu[host.name], foreign_ram[host.name])
        changed = await observations.write_host(c, hypervisor, seen)
        if changed is not None:
            hosts.append(changed.id)
            await _tell_host(c, changed, host.name)
        for store in host.datastores:
            measured = (store.capacity_bytes, store.free_bytes, store.path)
            found = await observations.write_datastore(
                c, hypervisor, host.name, store.name, measured
            )
            if found is not None:
                datastores.append(found)
    for link in await observations.write_links(c, hypervisor, facts.hosts):
        hosts.append(link.host_id)
        await _tell_link(c, link)
    again = await _reappeared(c, hypervisor, facts)
    if hosts or datastores:
        await ledger.refresh_limits(c, hosts=hosts, datastores=datastores)
    if moves:
        await external_moves.rebook(c, moves)
    return bool(hosts or datastores or moves or again)


async def _reappeared(c: Connection, hypervisor: str, facts: Facts) -> bool:
    """Report VMs that were deleted while UNKNOWN and are listed again; they count as foreign."""
    names = {vm.vm: vm.name for vm in facts.vms}
    marked = [(vm.vm, vm.host) for vm in facts.vms if vm.task is not None]
    found = await deleted_vms.seen(c, hypervisor, marked, [host.name for host in facts.hosts])
    for vm in found:
        message = (
            f"{vm.name} was deleted while UNKNOWN and is on {vm.host} again, as {names[vm.uuid]}:"
            " delete it there, vmgate does not manage it"
        )
        await emit(
            c,
            Event(
                "VIRTUAL_MACHINE",
                "VSM_REAPPEARED",
                vm.vm_id,
                message=message,
                told=f"{vm.name} was deleted while UNKNOWN and was seen again",
                severity=Severity.WARN,
                enterprise_id=vm.enterprise_id,
                entity_name=vm.name,
                details={
                    "uuid": str(vm.uuid),
                    "label": vm.label,
                    "host": vm.host,
                    "deletedAt": vm.deleted_at,
                },
            ),
        )
    return bool(found)


async def record_silence(
    c: Connection, hypervisor: str, hosts: Sequence[str], reason: str = ""
) -> bool:
    """Write that hosts do not answer, and why."""
    fresh = await observations.write_unreachable(c, hypervisor, hosts, reason)
    if fresh:
        await ledger.refresh_limits(c, hosts=[id_ for id_, _ in fresh])
    for id_, name in fresh:
        await emit(
            c,
            Event(
                "MACHINE",
                "CHECK_STATE",
                id_,
                message=f"Host {name} does not answer" + (f": {reason}" if reason else ""),
                severity=Severity.WARN,
                entity_name=name,
            ),
        )
    return bool(fresh)


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
        host.mover,
    )


async def _tell_host(c: Connection, change: HostChange, name: str) -> None:
    facts = ", ".join(f"{what} {_plain(old)} -> {_plain(new)}" for what, old, new in change.facts)
    message = f"Host {name} changed: {facts} (survey)"
    await emit(c, Event("MACHINE", "CHECK_STATE", change.id, message=message, entity_name=name))


def _plain(fact: object) -> str:
    match fact:
        case "":
            return "none"
        case True:
            return "yes"
        case False:
            return "no"
    return str(fact)


async def _tell_link(c: Connection, link: AttachedHost) -> None:
    """Report that a host can use a datastore no longer, or again."""
    told = f"Host {link.host} cannot use datastore {link.datastore}: {link.problem}"
    again = f"Host {link.host} can use datastore {link.datastore} again"
    await emit(
        c,
        Event(
            "MACHINE",
            "CHECK_STATE",
            link.host_id,
            message=told if link.problem else again,
            severity=Severity.WARN if link.problem else Severity.INFO,
            entity_name=link.host,
            details={"datastore": link.datastore, "problem": link.problem},
        ),
    )


async def _news(look: SurveyResult) -> list[tuple[RecordedVm, DerivedState]]:
    """Whose record is to change; others have their turn in between."""
    found = []
    for n, vm in enumerate(look.before, 1):
        if n % READ_AT_ONCE == 0:
            await asyncio.sleep(0)
        sightings = look.seen.get(vm.uuid, ())
        # Placed and not made yet: there is nothing to be seen.
        if vm.state is VmState.ALLOCATED or unchanged(vm, sightings):
            continue
        reading = read(vm, sightings)
        if _is_news(vm, reading):
            found.append((vm, reading))
    return found


def _is_news(vm: RecordedVm, reading: DerivedState) -> bool:
    """Whether the record is to change. One that stays UNKNOWN keeps the evidence it has, unless it
    is seen on several hosts now, so that the next look asks both, or seen with another reason."""
    if reading.said == SEEN_TWICE and vm.seen_on != reading.hosts:
        return True
    if vm.state is reading.state is VmState.UNKNOWN and (vm.seen_on or reading.said == NOT_SEEN):
        return False
    return reading.observed != vm.observed or reading.moved(vm) is not None


async def _moves(
    c: Connection, hypervisor: str, movers: Sequence[tuple[RecordedVm, Sighting]]
) -> dict[int, ExternalMove]:
    if not movers:
        return {}
    seen = [(vm, VmPlace(at.host, at.datastores, at.volumes)) for vm, at in movers]
    return await external_moves.moves(c, hypervisor, seen)


async def _record(
    c: Connection,
    look: SurveyResult,
    vm: RecordedVm,
    reading: DerivedState,
    move: ExternalMove | None,
) -> bool:
    """Write one VM's news. Seen elsewhere, where it cannot be booked, it is UNKNOWN."""
    evidence: dict[str, Any] = {
        "state": reading.said,
        "host": vm.host,
        "by": look.owner,
        "at": look.at.isoformat(),
    }
    there = reading.moved(vm)
    observed = reading.observed
    if there is not None:
        evidence["host"] = there.host
        if move is None:
            observed = ObservedVm(VmState.UNKNOWN, reason=_unregistered(there))
    if reading.said == SEEN_TWICE:
        evidence["hosts"] = list(reading.hosts)
    elif move is None and observed == vm.observed:
        return False
    await observations.write_state(c, vm, observed, evidence)
    if move is not None and there is not None:
        await external_moves.record(c, move)
        await _tell_move(c, vm, there, move, evidence)
    if observed != vm.observed:
        await _tell_state(c, vm, observed, evidence)
    return True


def _unregistered(seen: Sighting) -> str:
    """Return the reason of a VM that cannot be booked where it was seen."""
    on = f" on datastore {', '.join(seen.datastores)}" if seen.datastores else ""
    return f"it is at a place that is not registered: host {seen.host}{on}"


def _named(one: ObservedVm) -> str:
    return f"{one.state} and deallocated" if one.deallocated else one.state.value


async def _tell_state(
    c: Connection, vm: RecordedVm, observed: ObservedVm, evidence: dict[str, Any]
) -> None:
    lost = observed.state is VmState.UNKNOWN
    was = f"last known {vm.known_state}" if lost else f"was {_named(vm.observed)}"
    if (observed.state, observed.deallocated) == (vm.state, vm.deallocated):
        was = f"was {vm.reason}" if vm.reason else "no reason before"
    reason = observed.reason
    if reason:
        evidence["reason"] = reason
    state = f"{vm.name} is {_named(observed)}"
    public = f"{state}: {public_reason(reason)}" if reason else state
    payload = {} if vm.protected_cause is None else {PROTECTED: vm.protected_cause}
    await emit(
        c,
        Event(
            "VIRTUAL_MACHINE",
            "VSM_CHANGE_STATE",
            vm.id,
            message=f"{state}: {reason} ({was}){although(payload)}"
            if reason
            else f"{state} ({was}){although(payload)}",
            told=f"{public} ({public_reason(was)}){although(payload)}",
            severity=Severity.WARN if lost or reason else Severity.INFO,
            enterprise_id=vm.enterprise_id,
            entity_name=vm.name,
            details={**evidence, **protection(payload)},
        ),
    )


async def _tell_move(
    c: Connection, vm: RecordedVm, seen: Sighting, move: ExternalMove, evidence: dict[str, Any]
) -> None:
    """`decision` is the one that placed the VM where it was; none led to where it is."""
    details = evidence | {"from": vm.host, "to": seen.host}
    message = f"{vm.name} was moved from outside, from {vm.host} to {seen.host}"
    public = f"{vm.name} was moved to another machine from outside"
    if seen.host == vm.host:
        to = ", ".join(seen.datastores)
        details |= {"fromDatastore": vm.pool, "toDatastore": to}
        message = f"The disk of {vm.name} was moved from outside, from {vm.pool} to {to}"
        public = f"The disk of {vm.name} was moved to another datastore from outside"
    if move.decision is not None:
        details["decision"] = str(move.decision)
    await emit(
        c,
        Event(
            "VIRTUAL_MACHINE",
            "VSM_MOVED",
            vm.id,
            message=message,
            told=public,
            enterprise_id=vm.enterprise_id,
            entity_name=vm.name,
            details=details,
        ),
    )
