"""A survey is one listing of what runs, merged with a rarer one of what VMs are.

The listing of statuses is light and tells little; the plain one is read each `listing_each_s`. A
listing that lacks a VM does not say that it is gone: the VM is asked for by itself, and where that
is not possible now it is still there, in a state that nobody knows.
"""

import asyncio
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import UUID

from drivers.azure.connection.arm import Arm, Json
from drivers.azure.options import AzureOptions
from drivers.azure.places import AzurePlaces, hosts_of, place_at
from drivers.azure.sizes import Sizes
from drivers.azure.vm_parser import AzureVm, Figures, lean, place_of, seen_in
from drivers.contract import HostLink
from drivers.facts import Facts, Sighting
from drivers.faults import Fault, Missing, Unreachable

SINGLES_MAX = 50
VERSION = "api-version=2024-07-01"
Known = dict[str, Json]
"""Records by their ids in lower case."""


class AzureSurveyor:
    """Surveys one subscription, one survey at a time; used in the driver's own loop."""

    def __init__(self, arm: Arm, sizes: Sizes, options: AzureOptions) -> None:
        self._arm = arm
        self._sizes = sizes
        self._options = options
        self._records: Known = {}
        self._listed_s = float("-inf")
        self._stale: set[str] = set()
        self.foreign: dict[UUID, tuple[str, str]] = {}

    def touched(self, name: str) -> None:
        """A VM of ours is changed: what is known of it is asked for again."""
        path = self._arm.of_group(f"providers/Microsoft.Compute/virtualMachines/{name}")
        self._stale.add(path.lower())

    async def survey(self, links: Iterable[HostLink]) -> Facts:
        """All places whose region answers, and all VMs in them; raises Unreachable, Busy."""
        taken_at = datetime.now(UTC)
        places = await self._in_sight(links)
        stale, self._stale = self._stale, set()
        try:
            vms = await self._vms(stale)
            sightings = [each for seen in vms if (each := await self._sighting(places, seen))]
            hosts = await hosts_of(places, self._sizes, sightings)
        except BaseException:
            self._stale |= stale
            raise
        return Facts(self._arm.name, taken_at, hosts, tuple(sightings))

    async def _in_sight(self, links: Iterable[HostLink]) -> AzurePlaces:
        """The places without those of regions that say nothing of themselves, or do not exist."""
        everywhere = AzurePlaces(links)
        seen: list[str] = []
        silent: Fault | None = None
        for region in everywhere.regions():
            try:
                await self._sizes.of(region)
                await self._sizes.quota(region)
            except (Unreachable, Missing) as why:
                silent = why
            else:
                seen.append(region)
        if silent is not None and not seen:
            raise silent
        return AzurePlaces(link for link in everywhere.links if place_at(link).region in seen)

    async def _vms(self, stale: set[str]) -> list[AzureVm]:
        statuses = await self._listing("statusOnly=true&")
        if time.monotonic() - self._listed_s >= self._options.listing_each_s:
            await self._read_all()
        fresh = await self._asked_again(statuses, stale)
        found = []
        for id_, record in self._records.items():
            told = fresh.get(id_, statuses.get(id_, {}))
            found.append(seen_in(record, told))
        self.foreign = dict(filter(None, map(_named, found)))
        return found

    async def _read_all(self) -> None:
        """The plain listing; what it lacks of what was known before stays, to be asked for."""
        began_s = time.monotonic()
        records = await self._listing("")
        lacking = self._records.keys() - records.keys()
        self._stale |= lacking
        self._records = records | {id_: self._records[id_] for id_ in lacking}
        self._listed_s = began_s

    async def _asked_again(self, statuses: Known, stale: set[str]) -> Known:
        """The records of VMs that the listing lacks, or that changed, each asked for by itself;
        those that are gone are forgotten, and those that it is not the turn of stay stale."""
        new = statuses.keys() - self._records.keys()
        if len(new) > SINGLES_MAX:
            await self._read_all()
            new = statuses.keys() - self._records.keys()
        missing = self._records.keys() - statuses.keys()
        wanted = list(dict.fromkeys([*new, *(stale | self._stale), *missing]))
        asked, self._stale = wanted[:SINGLES_MAX], set(wanted[SINGLES_MAX:])
        answers = await asyncio.gather(*(self._arm.vm(*reversed(_parts(id_))) for id_ in asked))
        fresh = {id_: record for id_, record in zip(asked, answers, strict=True) if record}
        for id_ in asked:
            self._records.pop(id_, None)
        self._records |= {id_: lean(record) for id_, record in fresh.items()}
        return fresh

    async def _listing(self, words: str) -> Known:
        path = self._arm.of_subscription("providers/Microsoft.Compute/virtualMachines")
        found: Known = {}
        async for page in self._arm.pages(path, words + VERSION):
            for each in page:
                found[self._arm.legible(each)["id"].lower()] = lean(each)
        return found

    async def _sighting(self, places: AzurePlaces, seen: AzureVm) -> Sighting | None:
        host = places.host_of(seen.record)
        if host is None or seen.uuid is None:
            return None
        size = (await self._sizes.of(place_of(seen.record)[0])).get(seen.size.lower())
        return seen.sighting(host, size.figures if size is not None else Figures())


def _parts(id_: str) -> tuple[str, str]:
    """The resource group and the name in an id."""
    parts = id_.split("/")
    return parts[4] if len(parts) > 4 else "", parts[-1]


def _named(seen: AzureVm) -> tuple[UUID, tuple[str, str]] | None:
    """Where a VM is found that is not ours."""
    if seen.mark.vm is not None or seen.uuid is None:
        return None
    return seen.uuid, _parts(str(seen.record.get("id", "")))
