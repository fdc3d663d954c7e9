"""Disks are thin clones in a host's storage pools, named after the VM and the task."""

import threading
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import libvirt

from drivers.contract import Disk
from drivers.facts import DatastoreFacts
from drivers.faults import Rejected

_POOL_STATES = {
    libvirt.VIR_STORAGE_POOL_INACTIVE: "not active",
    libvirt.VIR_STORAGE_POOL_BUILDING: "being built",
    libvirt.VIR_STORAGE_POOL_DEGRADED: "degraded",
    libvirt.VIR_STORAGE_POOL_INACCESSIBLE: "not accessible",
}
_turns: defaultdict[tuple[str, str], threading.Lock] = defaultdict(threading.Lock)


def datastore(connection: Any, name: str) -> DatastoreFacts | None:
    """A pool as the host sees it; None when it has no such pool."""
    try:
        pool = connection.storagePoolLookupByName(name)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_STORAGE_POOL:
            return None
        raise
    state, capacity, _, available = pool.info()
    path = folder(pool)
    reason = "" if state == libvirt.VIR_STORAGE_POOL_RUNNING else _not_running(name, state)
    return DatastoreFacts(name, path, capacity, available, not reason, reason)


def folder(pool: Any) -> str:
    """The folder of a pool's volumes."""
    return ET.fromstring(pool.XMLDesc(0)).findtext("target/path") or ""


def _not_running(name: str, state: int) -> str:
    said = _POOL_STATES.get(state, f"in libvirt's state {state}")
    return f"the storage pool {name} is {said}"


def clone(connection: Any, pool_name: str, disk: Disk, check: Callable[[], None]) -> str:
    """The path of the disk's clone, made unless it is there; `check` runs before it is made.

    Raises Rejected when the pool has no such template.
    """
    with refreshed(connection, pool_name) as pool:
        there = find(pool, disk.volume)
        if there is not None:
            return str(there.path())
        template = find(pool, disk.template)
        if template is None:
            raise Rejected(f"the datastore {pool_name} has no template {disk.template}")
        check()
        return str(pool.createXML(_volume_xml(disk, template), 0).path())


def remove(connection: Any, pool_name: str, volume: str, check: Callable[[], None]) -> None:
    """Delete one volume, if it is there; `check` runs right before."""
    if not volume:
        return
    with refreshed(connection, pool_name) as pool:
        there = find(pool, volume)
        if there is not None:
            check()
            there.delete(0)


def exists(connection: Any, pool_name: str, volume: str) -> bool:
    """Whether a volume is in the pool now."""
    with refreshed(connection, pool_name) as pool:
        return find(pool, volume) is not None


@contextmanager
def refreshed(connection: Any, pool_name: str) -> Iterator[Any]:
    """The pool, as its folder is now: other hosts write to a shared one.

    A pool refuses to be refreshed while a volume is being made in it, so our own calls take
    turns; somebody else's makes the call Busy.
    """
    with _turns[(connection.getURI(), pool_name)]:
        pool = connection.storagePoolLookupByName(pool_name)
        pool.refresh(0)
        yield pool


def find(pool: Any, name: str) -> Any:
    """The volume, or None when the pool has none of that name."""
    try:
        return pool.storageVolLookupByName(name)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_STORAGE_VOL:
            return None
        raise


def located(connection: Any, pool_name: str, name: str) -> Any:
    """The volume, or None; the pool's folder is read anew only if it is not known to be there."""
    found = find(connection.storagePoolLookupByName(pool_name), name)
    if found is not None:
        return found
    with refreshed(connection, pool_name) as pool:
        return find(pool, name)


def backing(volume: Any) -> str:
    """The path of the image below a volume; empty when it has none."""
    return ET.fromstring(volume.XMLDesc(0)).findtext("backingStore/path") or ""


def _volume_xml(disk: Disk, template: Any) -> str:
    described = ET.fromstring(template.XMLDesc(0))
    form = described.find("target/format")
    kind = form.get("type", "raw") if form is not None else "raw"
    capacity = max(disk.capacity_bytes, int(template.info()[1]))
    volume = ET.Element("volume")
    ET.SubElement(volume, "name").text = disk.volume
    ET.SubElement(volume, "capacity", unit="bytes").text = str(capacity)
    target = ET.SubElement(volume, "target")
    ET.SubElement(target, "format", type="qcow2")
    ET.SubElement(target, "compat").text = "1.1"  # older ones know no dirty bitmaps: no backups
    backing = ET.SubElement(volume, "backingStore")
    ET.SubElement(backing, "path").text = template.path()
    ET.SubElement(backing, "format", type=kind)
    return ET.tostring(volume, encoding="unicode")
