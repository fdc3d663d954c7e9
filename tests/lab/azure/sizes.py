"""Sizes of VMs and the quotas they count against; a small table, or any list of real SKUs.

A VM counts against the quota of its region and family whether it runs, is stopped or deallocated.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.lab.azure.replies import Body, Refused, fault

LOCATIONS = ("eastus", "westus")
ZONES = ("1", "2", "3")
# Name: family, vCPUs, memory in MB, disk for temporary data in MB, data disks at most.
_TABLE = {
    "Standard_B1s": ("standardBSFamily", 1, 1024, 4096, 2),
    "Standard_B1ms": ("standardBSFamily", 1, 2048, 4096, 2),
    "Standard_B2s": ("standardBSFamily", 2, 4096, 8192, 4),
    "Standard_B2ms": ("standardBSFamily", 2, 8192, 16384, 4),
    "Standard_B4ms": ("standardBSFamily", 4, 16384, 32768, 8),
    "Standard_D2_v2": ("standardDv2Family", 2, 7168, 102400, 8),
    "Standard_D2s_v3": ("standardDSv3Family", 2, 8192, 16384, 4),
    "Standard_D4s_v3": ("standardDSv3Family", 4, 16384, 32768, 8),
    "Standard_D8s_v3": ("standardDSv3Family", 8, 32768, 65536, 16),
    "Standard_D16s_v3": ("standardDSv3Family", 16, 65536, 131072, 32),
    "Standard_E2s_v3": ("standardESv3Family", 2, 16384, 32768, 4),
    "Standard_E4s_v3": ("standardESv3Family", 4, 32768, 65536, 8),
    "Standard_F2s_v2": ("standardFSv2Family", 2, 4096, 16384, 4),
    "Standard_F4s_v2": ("standardFSv2Family", 4, 8192, 32768, 8),
}
_CORES, _VMS = "cores", "virtualMachines"


def sku(name: str, location: str, restrictions: Iterable[Body] = ()) -> Body:
    """A size of the table as the list of SKUs writes it."""
    family, cores, memory_mb, temporary_mb, disks = _TABLE[name]
    capabilities = {
        "MaxResourceVolumeMB": temporary_mb,
        "OSVhdSizeMB": 1047552,
        "vCPUs": cores,
        "HyperVGenerations": "V1,V2",
        "MemoryGB": f"{memory_mb / 1024:g}",
        "MaxDataDiskCount": disks,
        "LowPriorityCapable": True,
        "PremiumIO": True,
        "vCPUsAvailable": cores,
    }
    tier, _, size = name.partition("_")
    return {
        "resourceType": "virtualMachines",
        "name": name,
        "tier": tier,
        "size": size,
        "family": family,
        "locations": [location],
        "locationInfo": [{"location": location, "zones": list(ZONES), "zoneDetails": []}],
        "capabilities": [{"name": key, "value": str(what)} for key, what in capabilities.items()],
        "restrictions": list(restrictions),
    }


def restriction(location: str, *zones: str, reason: str = "NotAvailableForSubscription") -> Body:
    """A size may not be had in a region, or not in these zones of it."""
    about: Body = {"locations": [location]}
    if zones:
        about["zones"] = list(zones)
    kind = "Zone" if zones else "Location"
    where = {"type": kind, "values": [location], "restrictionInfo": about}
    return {**where, "reasonCode": reason}


@dataclass(slots=True)
class Sizes:
    """The list of SKUs and the quotas; `foreign` are cores that others use, by location;
    `elsewhere` are sizes that the hardware of VMs with compute has not."""

    skus: list[Body] = field(
        default_factory=lambda: [sku(name, where) for where in LOCATIONS for name in _TABLE]
    )
    limit: int = 100
    limits: dict[tuple[str, str], int] = field(default_factory=dict)
    foreign: Counter[tuple[str, str]] = field(default_factory=Counter)
    used: Counter[tuple[str, str]] = field(default_factory=Counter)
    elsewhere: set[str] = field(default_factory=set)

    def restrict(self, name: str, location: str, *zones: str) -> None:
        """The size may not be had there any more."""
        self.find(name, location)["restrictions"].append(restriction(location, *zones))

    def set_limit(self, location: str, name: str, limit: int) -> None:
        """The quota of "cores", "virtualMachines" or a family."""
        self.limits[location, name] = limit

    def use_elsewhere(self, location: str, name: str, count: int) -> None:
        """So many of a quota are used by what this subscription's lists do not show."""
        self.foreign[location, name] = count

    def find(self, name: str, location: str) -> Body:
        """The SKU; a refusal as Compute's when there is none."""
        for each in self.skus:
            right = each["resourceType"] == _VMS and each["name"].lower() == name.lower()
            if right and location.lower() in (one.lower() for one in each["locations"]):
                return each
        message = f"The value {name} provided for the VM size is not valid."
        raise fault(400, "InvalidParameter", message)

    def allow(self, name: str, location: str, zones: Iterable[str]) -> None:
        """Passes when the size may be had there; else SkuNotAvailable."""
        for one in self.find(name, location)["restrictions"]:
            closed = one["type"] == "Location"
            closed |= one["type"] == "Zone" and bool(
                set(zones) & set(one["restrictionInfo"]["zones"])
            )
            if closed:
                message = (
                    f"The requested VM size {name} is currently not available in location "
                    f"'{location}'. Please try another size or deploy to a different location "
                    "or different zone. See https://aka.ms/azureskunotavailable for details."
                )
                raise fault(409, "SkuNotAvailable", message)

    def counts(self, name: str) -> tuple[str, int]:
        """A size's family and vCPUs."""
        for each in self.skus:
            if each["resourceType"] == _VMS and each["name"].lower() == name.lower():
                return each["family"], int(_capability(each, "vCPUs"))
        return "", 0

    def take(self, name: str, location: str) -> None:
        """Counts a VM against the quotas, or refuses and counts nothing."""
        refused = self.over(name, location)
        if refused:
            raise refused
        self._count(name, location, 1)

    def give(self, name: str, location: str) -> None:
        """The VM counts no more."""
        self._count(name, location, -1)

    def over(self, name: str, location: str) -> Refused | None:
        """The refusal of one more VM of a size."""
        family, cores = self.counts(name)
        for quota, more in ((_CORES, cores), (family, cores), (_VMS, 1)):
            limit, usage = self._limit(location, quota), self._usage(location, quota)
            if usage + more > limit:
                message = (
                    f"Operation could not be completed as it results in exceeding approved {quota} "
                    "quota. Additional details - Deployment Model: Resource Manager, "
                    f"Location: {location}, Current Limit: {limit}, Current Usage: {usage}, "
                    f"Additional Required: {more}, (Minimum) New Limit Required: {usage + more}."
                )
                return fault(409, "OperationNotAllowed", message)
        return None

    def usages(self, location: str) -> Body:
        """The list of quotas of a region."""
        families = {each["family"] for each in self.skus if each["resourceType"] == _VMS}
        return {
            "value": [
                {
                    "limit": self._limit(location, name),
                    "unit": "Count",
                    "currentValue": self._usage(location, name),
                    "name": {"value": name, "localizedValue": name},
                }
                for name in (
                    "availabilitySets",
                    _CORES,
                    _VMS,
                    "lowPriorityCores",
                    *sorted(families),
                )
            ]
        }

    def near(self, name: str, allocated: bool) -> bool:
        """Whether a VM may get the size where it is; it may get any when it is nowhere."""
        return not allocated or name not in self.elsewhere

    def as_vm_sizes(self, location: str, *, allocated: bool = False) -> Body:
        """The older list of sizes of a region, or of those on the hardware of a VM."""
        return {
            "value": [
                {
                    "name": each["name"],
                    "numberOfCores": int(_capability(each, "vCPUs")),
                    "osDiskSizeInMB": int(_capability(each, "OSVhdSizeMB")),
                    "resourceDiskSizeInMB": int(_capability(each, "MaxResourceVolumeMB")),
                    "memoryInMB": int(float(_capability(each, "MemoryGB")) * 1024),
                    "maxDataDiskCount": int(_capability(each, "MaxDataDiskCount")),
                }
                for each in self.skus
                if each["resourceType"] == _VMS
                and location in each["locations"]
                and self.near(each["name"], allocated)
            ]
        }

    def listed(self, where: str = "") -> Body:
        """The list of SKUs, of all regions or as the filter "location eq 'x'" says."""
        location = where.partition("'")[2].rstrip("'").lower()
        listed = [
            each
            for each in self.skus
            if not location or location in (one.lower() for one in each["locations"])
        ]
        return {"value": listed}

    def _limit(self, location: str, quota: str) -> int:
        return self.limits.get((location, quota), 25000 if quota == _VMS else self.limit)

    def _usage(self, location: str, quota: str) -> int:
        return self.used[location, quota] + self.foreign[location, quota]

    def _count(self, name: str, location: str, sign: int) -> None:
        family, cores = self.counts(name)
        for quota, more in ((_CORES, cores), (family, cores), (_VMS, 1)):
            self.used[location, quota] += sign * more


def _capability(one: Body, name: str) -> Any:
    return next((each["value"] for each in one["capabilities"] if each["name"] == name), "0")
