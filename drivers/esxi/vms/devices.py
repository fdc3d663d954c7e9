"""Which disks of a VM are ours: those that its template brought, in the VM's own folder.

Somebody may have attached others: disks of a rescue, raw LUNs, disks that a backup mounts. Removing
a VM deletes whatever is attached, and moving its files moves them, so neither is done to those.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pyVmomi import vim

from drivers.esxi.connection.paging import PropertyPage
from drivers.esxi.marker import ExtraConfigMarker

DEVICE_PATHS = ("config.hardware.device", "config.files.vmPathName")
_PATH = re.compile(r"\[(?P<store>[^\]]*)\] ?(?P<path>.*)", re.DOTALL)
_NUMBERED = re.compile(r"_\d+$")


@dataclass(frozen=True, slots=True)
class DiskSeen:
    """An attached disk: `datastore` is the id of where its file lies, empty when not said."""

    device: Any
    path: str
    datastore: str
    ours: bool

    def __str__(self) -> str:
        label = getattr(self.device.deviceInfo, "label", None) or f"disk {self.device.key}"
        return f"{label} ({self.path})"


def disks_of(vm: PropertyPage, mark: ExtraConfigMarker) -> list[DiskSeen]:
    """All disks that are attached."""
    home = _folder(str(vm.get("config.files.vmPathName", "")))
    found = []
    for device in disks_among(vm.get("config.hardware.device", ())):
        path = str(getattr(device.backing, "fileName", "") or "")
        raw = isinstance(device.backing, vim.vm.device.VirtualDisk.RawDiskMappingVer1BackingInfo)
        kept = mark.disks is None or device.key in mark.disks
        store = getattr(device.backing, "datastore", None)
        ours = kept and not raw and _folder(path) == home
        found.append(DiskSeen(device, path, store._moId if store is not None else "", ours))
    return found


def disks_among(devices: Iterable[Any]) -> list[Any]:
    """The disks among devices."""
    return [each for each in devices if isinstance(each, vim.vm.device.VirtualDisk)]


def foreign_disks(vm: PropertyPage, mark: ExtraConfigMarker) -> list[DiskSeen]:
    """Those that somebody else attached."""
    return [each for each in disks_of(vm, mark) if not each.ours]


def datastores_of(vm: PropertyPage, mark: ExtraConfigMarker) -> list[str]:
    """The ids of the datastores that our disks are on; where the disks were not told, or are all
    somebody else's, of those of the whole VM."""
    told = [each.datastore for each in disks_of(vm, mark) if each.ours and each.datastore]
    return list(dict.fromkeys(told)) or [each._moId for each in vm.get("datastore", ())]


def _folder(path: str) -> str:
    """A file's folder, without its datastore and a number that made its name unlike another."""
    found = _PATH.match(path)
    folder = (found["path"] if found else path).rpartition("/")[0]
    return _NUMBERED.sub("", folder)


def folders_of(vm: PropertyPage) -> set[str]:
    """Where the VM's configuration file and all its disks lie, as `[datastore] folder`."""
    paths = [str(vm.get("config.files.vmPathName", ""))]
    paths += [each.path for each in disks_of(vm, ExtraConfigMarker())]
    return {path.rpartition("/")[0] for path in paths if path}
