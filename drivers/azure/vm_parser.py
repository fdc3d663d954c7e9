"""What Azure shows of a VM, read carefully: what is not said is not known.

`statuses` may lack the power while something changes, so it is found by its prefix, never by its
place, and no power is UNKNOWN. A VM that is being stopped is ON until it is stopped.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from drivers.azure import marker
from drivers.azure.marker import TagMarker
from drivers.azure.states import BUSY, CHANGING, power_of, reason_of
from drivers.facts import PowerState, Sighting

_NEVER_ALLOCATED = "provisioningstate/failed/"
_OUTSIDE = ("id", "name", "location", "zones", "tags")
_INSIDE = ("vmId", "hardwareProfile", "provisioningState", "instanceView")
_TEXT, _LIST = (str, type(None)), (list, type(None))
_SHAPE: Mapping[str, Any] = {
    **dict.fromkeys(("id", "name", "location"), _TEXT),
    "zones": _LIST,
    "tags": {},
    "properties": {
        **dict.fromkeys(("vmId", "provisioningState"), _TEXT),
        "hardwareProfile": {"vmSize": _TEXT},
        "storageProfile": {"osDisk": {"name": _TEXT}},
        "instanceView": {"statuses": _LIST},
    },
}
Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Figures:
    """What a size has."""

    cpu: int = 0
    ram_mib: int = 0


@dataclass(frozen=True, slots=True)
class AzureVm:
    """One VM as one reply showed it. `power` is Azure's word, empty when none was said, `reason`
    why it is so, empty where that says it all."""

    record: Record
    mark: TagMarker
    power: str
    provisioning: str
    never_ran: bool
    reason: str = ""

    @property
    def state(self) -> PowerState:
        """Its power in our words. One that is being made may be seen stopped for a moment: that
        is not off."""
        found = power_of(self.power)
        making = self.provisioning == "creating" and found is PowerState.OFF
        return PowerState.UNKNOWN if making else found

    @property
    def deallocated(self) -> bool:
        """Whether it was positively seen to have no compute."""
        return self.power == "deallocated" and self.state is PowerState.OFF

    @property
    def busy(self) -> bool:
        """Whether something is going on with it."""
        return self.provisioning in BUSY or self.power in CHANGING

    @property
    def failed(self) -> bool:
        """Whether the last thing that was done to it failed."""
        return self.provisioning == "failed"

    @property
    def name(self) -> str:
        """What Azure calls it."""
        return str(self.record.get("name", ""))

    @property
    def size(self) -> str:
        """The name of its size."""
        return str((properties(self.record).get("hardwareProfile") or {}).get("vmSize") or "")

    @property
    def tags(self) -> dict[str, str]:
        """All its tags."""
        return dict(self.record.get("tags") or {})

    @property
    def disk(self) -> str:
        """The name of its system disk, empty when it is not said."""
        return _disk(self.record)

    @property
    def uuid(self) -> UUID | None:
        """Its id: ours, or Azure's own for a VM that is not ours."""
        if self.mark.vm is not None:
            return self.mark.vm
        try:
            return UUID(str(properties(self.record).get("vmId")))
        except ValueError:
            return None

    @property
    def as_asked(self) -> bool:
        """Whether it still has the size that was made of what was asked."""
        return self.mark.vm is not None and self.mark.size.lower() == self.size.lower()

    def sighting(self, host: str, figures: Figures) -> Sighting:
        """The VM at a place; what it was asked to be, while it still has the size made of that."""
        uuid, mark = self.uuid, self.mark
        assert uuid is not None
        return Sighting(
            vm=uuid,
            host=host,
            state=self.state,
            name=mark.name or self.name,
            cpu=mark.cpu if self.as_asked else figures.cpu,
            ram_mib=mark.ram_mib if self.as_asked else figures.ram_mib,
            task=mark.task,
            volumes=(self.disk,) if mark.vm is not None and self.disk else (),
            deallocated=self.deallocated,
            reason=self.reason,
        )


def seen_in(record: Record, statuses: Record | None = None) -> AzureVm:
    """A VM from its record, or from that and a later one that holds its statuses only."""
    told = properties(statuses if statuses is not None else record)
    view = told.get("instanceView") or {}
    listed = view.get("statuses") or ()
    codes = [str(each.get("code", "")).lower() for each in listed]
    power = [code.partition("/")[2] for code in codes if code.startswith("powerstate/")]
    said = told.get("provisioningState") or properties(record).get("provisioningState") or ""
    word, provisioning = power[-1] if power else "", str(said).lower()
    return AzureVm(
        record,
        marker.read_from(record),
        word,
        provisioning,
        not power and any(code.startswith(_NEVER_ALLOCATED) for code in codes),
        reason_of(word, provisioning, listed),
    )


def checked(record: Any, name: str = "") -> dict[str, Any]:
    """The record, when all that is read of it here is of the kind that it should be; raises
    ValueError. What is lacking, or null, is not said, and no error; but the record of the VM of
    that `name` says so, and where it is."""
    if not isinstance(record, dict):
        raise ValueError("a VM is not described")
    _check(record, _SHAPE)
    if name and (str(record.get("name")).lower() != name.lower() or not record.get("location")):
        raise ValueError("the response describes another object than the VM")
    view = properties(record).get("instanceView") or {}
    if not all(isinstance(each, Mapping) for each in view.get("statuses") or ()):
        raise ValueError("a VM is described with a wrong status")
    return record


def _check(part: Mapping[str, Any], shape: Mapping[str, Any]) -> None:
    for name, kind in shape.items():
        found = part.get(name)
        if isinstance(kind, tuple):
            well = isinstance(found, kind)
        else:
            well = found is None or isinstance(found, dict)
            if found and well:
                _check(found, kind)
        if not well:
            raise ValueError(f"a VM is described with a wrong {name}")


def properties(record: Record) -> Mapping[str, Any]:
    """The properties of a record; none when there are none."""
    found = record.get("properties")
    return found if isinstance(found, Mapping) else {}


def lean(record: Record) -> dict[str, Any]:
    """The record with no more than is read here: a listing may hold many thousands."""
    kept = {name: record[name] for name in _OUTSIDE if name in record}
    inside = properties(record)
    kept["properties"] = {name: inside[name] for name in _INSIDE if name in inside}
    disk = _disk(record)
    kept["properties"]["storageProfile"] = {"osDisk": {"name": disk}} if disk else {}
    return kept


def _disk(record: Record) -> str:
    storage = properties(record).get("storageProfile") or {}
    return str((storage.get("osDisk") or {}).get("name") or "")


def place_of(record: Record) -> tuple[str, str]:
    """Its region, and its zone or an empty text."""
    zones = record.get("zones") or ()
    return region_of(str(record.get("location", ""))), str(zones[0]) if zones else ""


def region_of(text: str) -> str:
    """A region's name as Azure compares it: "West Europe" is westeurope."""
    return text.replace(" ", "").lower()
