"""Which sizes a place offers, what they have, and how much of the quota is left to us there.

A size is offered where the subscription may have it: restrictions of the region or the zone take
it out, and so do refusals, for as long as the reaction to them says.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from drivers.azure.connection.arm import SKUS_VERSION, Arm, Json
from drivers.azure.faults import Reaction, RetryLater
from drivers.azure.options import AzureOptions
from drivers.azure.vm_parser import Figures, region_of
from drivers.faults import Fault, Unreachable

CORES = "cores"


@dataclass(frozen=True, slots=True)
class OfferedSizes:
    """A region, or one zone of it."""

    region: str
    zone: str = ""


@dataclass(frozen=True, slots=True)
class VmSize:
    """One size in one region, with the zones where the subscription may have it."""

    name: str
    family: str
    figures: Figures
    zones: frozenset[str]
    offered: bool

    def at(self, place: OfferedSizes) -> bool:
        """Whether the place offers it."""
        return self.offered and (not place.zone or place.zone in self.zones)


@dataclass(frozen=True, slots=True)
class Count:
    """What is used of a quota, and its limit; in vCPUs."""

    used: int
    limit: int

    @property
    def left(self) -> int:
        """What may still be used; never less than none."""
        return max(0, self.limit - self.used)


class Sizes:
    """Asked rarely: what is known is kept, and refusals are remembered."""

    def __init__(self, arm: Arm, options: AzureOptions) -> None:
        self._arm = arm
        self._options = options
        self._sizes = Kept(options.sizes_each_s, self._read_sizes)
        self._quotas = Kept(options.quota_each_s, self._read_quota)
        self._out: dict[tuple[OfferedSizes, str], float] = {}

    async def of(self, region: str) -> Mapping[str, VmSize]:
        """All sizes of a region by their names in lower case; raises Unreachable, Busy."""
        found: Mapping[str, VmSize] = await self._sizes.of(region)
        return found

    async def quota(self, region: str, *, now: bool = False) -> Mapping[str, Count]:
        """The region's counts, `cores` and those of families in lower case; `now` asks again."""
        found: Mapping[str, Count] = await self._quotas.of(region, now=now)
        return found

    async def allowed(self, place: OfferedSizes) -> list[VmSize]:
        """The configured sizes that the place offers now, the dearest to us first."""
        known = await self.of(place.region)
        named = (known.get(name.lower()) for name in self._options.allowed)
        return [size for size in named if size is not None and self._is_in(place, size)]

    async def fitting(self, place: OfferedSizes, cpu: int, ram_mib: int) -> list[VmSize]:
        """Those that have just these vCPUs and the memory, the smallest first."""
        fit = [
            size
            for size in await self.allowed(place)
            if size.figures.cpu == cpu and size.figures.ram_mib >= ram_mib
        ]
        return sorted(fit, key=lambda size: size.figures.ram_mib)

    def refused(self, place: OfferedSizes, size: str, reaction: Reaction) -> None:
        """Remember that the place did not give that size."""
        lasting = reaction is Reaction.SIZE_OUT
        for_s = self._options.sizes_each_s if lasting else self._options.no_capacity_s
        self._out[place, size.lower()] = time.monotonic() + for_s

    def _is_in(self, place: OfferedSizes, size: VmSize) -> bool:
        until_s = self._out.get((place, size.name.lower()), 0.0)
        return size.at(place) and time.monotonic() >= until_s

    async def _read_sizes(self, region: str) -> Mapping[str, VmSize]:
        query = f"api-version={SKUS_VERSION}&$filter=location eq '{region}'".replace(" ", "%20")
        path = self._arm.of_subscription("providers/Microsoft.Compute/skus")
        found: dict[str, VmSize] = {}
        async for page in self._arm.pages(path, query):
            for sku in page:
                if sku.get("resourceType") == "virtualMachines" and _is_in(sku, region):
                    size = _size(sku, region)
                    found[size.name.lower()] = size
        return found

    async def _read_quota(self, region: str) -> Mapping[str, Count]:
        path = self._arm.of_subscription(f"providers/Microsoft.Compute/locations/{region}/usages")
        found: dict[str, Count] = {}
        async for page in self._arm.pages(path, "api-version=2024-07-01"):
            for each in page:
                name = str((each.get("name") or {}).get("value", "")).lower()
                found[name] = Count(int(each["currentValue"]), int(each["limit"]))
        return found


class Kept:
    """Something of each region, read again when it is older than `each_s`."""

    def __init__(self, each_s: float, read: Callable[[str], Awaitable[Any]]) -> None:
        self._each_s = each_s
        self._read = read
        self._kept: dict[str, tuple[float, Any]] = {}
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def of(self, region: str, *, now: bool = False) -> Any:
        """What is known of the region; older than it should be only where Azure does not say."""
        async with self._turns[region]:
            kept = self._kept.get(region)
            if now or kept is None or time.monotonic() - kept[0] >= self._each_s:
                began_s = time.monotonic()
                try:
                    kept = (began_s, await self._read_well(region))
                except (Fault, RetryLater):
                    if kept is None:
                        raise
                self._kept[region] = kept
            return kept[1]

    async def _read_well(self, region: str) -> Any:
        try:
            return await self._read(region)
        except (AttributeError, LookupError, TypeError, ValueError) as wrong:
            raise Unreachable(f"what is said of {region} is not to be read") from wrong


def _size(sku: Json, region: str) -> VmSize:
    has = {each["name"]: each["value"] for each in sku.get("capabilities") or ()}
    zones = {
        zone
        for about in sku.get("locationInfo") or ()
        if region_of(str(about.get("location"))) == region
        for zone in about.get("zones") or ()
    }
    gone, barred = _barred(sku.get("restrictions") or (), region)
    return VmSize(
        str(sku["name"]),
        str(sku.get("family", "")).lower(),
        Figures(int(float(has.get("vCPUs", 0))), int(float(has.get("MemoryGB", 0)) * 1024)),
        frozenset(zones - barred),
        not gone,
    )


def _barred(restrictions: Iterable[Json], region: str) -> tuple[bool, set[str]]:
    """Whether the region is barred, and which of its zones are."""
    gone, zones = False, set()
    for each in restrictions:
        about = each.get("restrictionInfo") or {}
        places = [region_of(str(at)) for at in about.get("locations") or each.get("values") or ()]
        if each.get("type") == "Location":
            gone = gone or region in places
        elif each.get("type") == "Zone" and region in places:
            zones |= set(about.get("zones") or ())
    return gone, zones


def _is_in(sku: Json, region: str) -> bool:
    return region in [region_of(str(at)) for at in sku.get("locations") or ()]
