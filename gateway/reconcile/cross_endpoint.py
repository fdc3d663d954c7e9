"""A VM that is recorded on a host of another endpoint is looked for there too: it may be on both.

One endpoint's list says nothing of other hosts. So a VM that is listed here and recorded there
is followed only once both hosts answered anew: seen here, and positively not there. One that was
seen on two hosts stays in doubt until all of them but one say that they have none.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from drivers.facts import Facts, Sighting
from drivers.faults import Fault
from gateway.reconcile.guarded import GuardedDriver
from gateway.reconcile.survey_record import sighted
from gateway.store import observations
from gateway.store.db.pool import Store
from gateway.store.observations import RecordedVm

LOOKS_MAX = 32
"""VMs that one round looks for elsewhere; the others' turn comes with the next."""


@dataclass(frozen=True, slots=True)
class EndpointScope:
    """What a list is of: an endpoint of the driver called `hypervisor`, and the hosts it covers."""

    driver: GuardedDriver
    hypervisor: str
    hosts: frozenset[str]


async def misplaced_vms(store: Store, at: EndpointScope, facts: Facts) -> list[RecordedVm]:
    """The VMs of ours in a list that are recorded on hosts of other endpoints, as recorded now."""
    marked = [each.vm for each in facts.vms if each.task is not None and not each.arriving]
    others = at.driver.endpoints().values()
    if not marked or all(host in at.hosts for hosts in others for host in hosts):
        return []
    async with store.read() as c:
        return await observations.believed_elsewhere(c, at.hypervisor, marked, list(at.hosts))


async def confirm_locations(
    at: EndpointScope, facts: Facts, before: Sequence[RecordedVm], strayed: Sequence[RecordedVm]
) -> tuple[list[RecordedVm], dict[UUID, list[Sighting]]]:
    """Those of whom is known now where they are, and all their sightings.

    Left out is who could not be looked for, or is about to arrive somewhere.
    """
    seen = sighted(facts.vms)
    doubted = [vm for vm in before if not at.hosts.issuperset(vm.seen_on)]
    sure = [vm for vm in before if at.hosts.issuperset(vm.seen_on)]
    asked = [*strayed, *doubted][:LOOKS_MAX]
    for vm, found in zip(asked, await _looked_for(at, asked, seen), strict=True):
        if found is not None:
            sure.append(vm)
            seen[vm.uuid] = found
    return sure, seen


async def _looked_for(
    at: EndpointScope, vms: Iterable[RecordedVm], seen: dict[UUID, list[Sighting]]
) -> list[list[Sighting] | None]:
    return await asyncio.gather(*(_look_for(at, vm, seen.get(vm.uuid, [])) for vm in vms))


async def _look_for(
    at: EndpointScope, vm: RecordedVm, listed: Sequence[Sighting]
) -> list[Sighting] | None:
    """All its sightings, each of a look that began after its record was read; None in doubt."""
    known = {host for hosts in at.driver.endpoints().values() for host in hosts}
    others = ({vm.host} | (set(vm.seen_on) & known)) - at.hosts
    found: list[Sighting] = []
    told = {each.host: each.datastores for each in listed}
    try:
        for host in (*sorted(others), *told):
            sighting = await at.driver.look(vm.uuid, host)
            if sighting is not None and sighting.arriving:
                return None
            if sighting is not None:
                found.append(replace(sighting, datastores=told.get(host, ())))
    except Fault:
        return None
    return found or None
