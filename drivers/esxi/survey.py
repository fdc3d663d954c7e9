"""One read lists every VM, host and datastore of a vCenter; what a VM's configuration says is read
when it is new.

Its size and its mark, one of some fifty options, change only with the configuration, so they are
read once for each version of that: the first time with the list itself, since naming 10,000 VMs one
by one costs as much as what is said of them. Hosts that the vCenter has lost are left out with
their VMs, and so is what may not be read: of it nothing was seen.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from pyVmomi import vim

from drivers.contract import HostLink
from drivers.esxi import marker, names, queries
from drivers.esxi.connection.paging import PropertyPage, all_in, list_leaves, one, read_each
from drivers.esxi.connection.session import Service
from drivers.esxi.marker import ExtraConfigMarker
from drivers.esxi.options import EsxiOptions
from drivers.esxi.places import HostDirectory, view
from drivers.esxi.queries import VM_PATHS
from drivers.esxi.vms import devices
from drivers.esxi.vms.states import CONNECTED
from drivers.facts import AT_POWER_ON, DatastoreFacts, Facts, HostFacts, HostLoad, Sighting

_log = logging.getLogger(__name__)

DRS = "DRS"
_LASTING = ("config.instanceUuid", "config.hardware.numCPU", "config.hardware.memoryMB")
_LOAD = ("summary.quickStats.overallCpuUsage", "summary.quickStats.overallMemoryUsage")
"""In MHz and MB; unset until the vCenter has measured."""
_DRS = ("configuration.drsConfig.enabled", "configuration.drsConfig.defaultVmBehavior")
_WANTED = {
    vim.VirtualMachine: tuple(each for each in VM_PATHS if each not in _LASTING),
    vim.HostSystem: (
        "name",
        "parent",
        "runtime.connectionState",
        "runtime.inMaintenanceMode",
        "datastore",
        *_LOAD,
        "summary.hardware.numCpuThreads",
        "summary.hardware.memorySize",
        "summary.config.product.name",
        "summary.config.product.version",
    ),
    vim.ClusterComputeResource: _DRS,
    vim.Datastore: (
        "name",
        "summary.url",
        "summary.capacity",
        "summary.freeSpace",
        "summary.accessible",
    ),
}
_SAID = (*_LASTING, "config.extraConfig")
_FIRST = {vim.VirtualMachine: (*_WANTED[vim.VirtualMachine], *_SAID)}
_MIB = 2**20


class VcenterSurveyor:
    """Surveys one vCenter, one survey at a time."""

    def __init__(self, name: str, options: EsxiOptions, places: HostDirectory) -> None:
        self._name = name
        self._options = options
        self._places = places
        self._kept: dict[str, tuple[str, PropertyPage, ExtraConfigMarker]] = {}
        self._spread: dict[str, PropertyPage] = {}
        self._unread = Unread(name)
        self.ids: dict[UUID, str] = {}
        """What the vCenter calls VMs of ours, those of earlier surveys too."""

    def survey(self, service: Service, links: Mapping[str, HostLink]) -> Facts:
        """The hosts of `links` that are in sight, and all their VMs."""
        taken_at = datetime.now(UTC)
        found = self._read(service, first=not self._kept)
        self._places.learn(host for host in found if isinstance(host.ref, vim.HostSystem))
        self._unread.tell(found)
        known = queries.by_address(links.values())
        hosts = {
            host.id: (host, known[host.get("name")])
            for host in found
            if isinstance(host.ref, vim.HostSystem)
            and host.get("name") in known
            and host.get("runtime.connectionState") == CONNECTED
        }
        stores = {each.id: each for each in found if isinstance(each.ref, vim.Datastore)}
        movers = {each.id: _mover(each) for each in found}
        vms = [each for each in found if _is_vm(each) and each.get("runtime.host")._moId in hosts]
        self._learn(service, vms)
        self._spread = _with_disks(service, self._split(vms))
        return Facts(
            self._name,
            taken_at,
            tuple(self._host(host, link, stores, movers) for host, link in hosts.values()),
            tuple(self._sightings(vms, hosts, stores)),
        )

    def _read(self, service: Service, *, first: bool) -> list[PropertyPage]:
        everything = view(service, self._options, list(_WANTED))
        wanted = _WANTED | (_FIRST if first else {})
        try:
            return list_leaves(service, [all_in(everything)], wanted, self._options.page)
        finally:
            everything.DestroyView()

    def _learn(self, service: Service, vms: list[PropertyPage]) -> None:
        """What the configurations say that are new, by the page."""
        now = {vm.id: vm.get("config.changeVersion", "") for vm in vms}
        kept = {id_: at for id_, at in self._kept.items() if at[0] and now.get(id_) == at[0]}
        told = (vm for vm in vms if vm.id not in kept and _SAID[-1] in vm.values)
        kept |= {vm.id: _learnt(vm, now[vm.id]) for vm in told}
        missing = [vm for vm in vms if vm.id not in kept]
        page = self._options.page
        for start in range(0, len(missing), page):
            starts = [one(vm.ref) for vm in missing[start : start + page]]
            for each in list_leaves(service, starts, {vim.VirtualMachine: _SAID}, page):
                kept[each.id] = _learnt(each, now[each.id])
        self._kept = kept
        self.ids |= {mark.vm: id_ for id_, (_, _, mark) in kept.items() if mark.vm is not None}

    def _sightings(
        self,
        vms: Iterable[PropertyPage],
        hosts: Mapping[str, tuple[PropertyPage, HostLink]],
        stores: Mapping[str, PropertyPage],
    ) -> Iterable[Sighting]:
        named = {id_: store.get("name") for id_, store in stores.items() if store.get("name")}
        for vm in vms:
            if vm.id not in self._kept:
                continue  # it vanished between the two reads
            _, lasting, mark = self._kept[vm.id]
            if lasting.get("config.instanceUuid"):  # else it is being made
                disks = self._spread.get(vm.id, lasting)
                whole = replace(vm, values={**vm.values, **disks.values, **lasting.values})
                link = hosts[vm.get("runtime.host")._moId][1]
                yield queries.sighting_of(whole, mark, link, named)

    def _split(self, vms: Iterable[PropertyPage]) -> list[PropertyPage]:
        """Those of ours with files on several datastores: only their disks tell where those are."""
        return [
            vm
            for vm in vms
            if len(vm.get("datastore", ())) > 1 and vm.id in self._kept and self._kept[vm.id][2].vm
        ]

    def _host(
        self,
        host: PropertyPage,
        link: HostLink,
        stores: Mapping[str, PropertyPage],
        movers: Mapping[str, str],
    ) -> HostFacts:
        mounted = [stores[each._moId] for each in host.get("datastore", ()) if each._moId in stores]
        by_name = {name: names.called(mounted, name) for name in link.datastores}
        memory_mib = int(host.get("summary.hardware.memorySize", 0)) // _MIB
        return HostFacts(
            name=link.name,
            cpus=int(host.get("summary.hardware.numCpuThreads", 0)),
            memory_mib=max(1, memory_mib - self._options.reserved_mib),
            hypervisor=host.get("summary.config.product.name", "VMware ESXi"),
            version=host.get("summary.config.product.version", ""),
            datastores=tuple(_datastore(name, found) for name, found in by_name.items() if found),
            accepting=not host.get("runtime.inMaintenanceMode", False),
            load=_load(host),
            mover=movers.get(host.get("parent")._moId, ""),
        )


def _learnt(vm: PropertyPage, version: str) -> tuple[str, PropertyPage, ExtraConfigMarker]:
    """What a configuration of that version says."""
    lasting = {path: value for path, value in vm.values.items() if path in _LASTING}
    mark = marker.read_from(vm.get("config.extraConfig", ()))
    return version, replace(vm, values=lasting), mark


def _is_vm(each: PropertyPage) -> bool:
    """A VM somewhere, and no template."""
    return (
        isinstance(each.ref, vim.VirtualMachine)
        and not each.get("config.template", False)
        and each.get("runtime.host") is not None
    )


def _mover(each: PropertyPage) -> str:
    """Who else decides where the VMs of a cluster run, unless a VM of it is an exception."""
    if not isinstance(each.ref, vim.ClusterComputeResource):
        return ""
    return drs_mover(*(each.get(path) for path in _DRS))


def drs_mover(enabled: Any, behavior: Any) -> str:
    """What DRS so configured does without asking: fully automated it moves VMs, partially automated
    it places them at power on, in the manual mode it only recommends. A cluster that does not say
    how is fully automated."""
    if not enabled:
        return ""
    return {"manual": "", "partiallyAutomated": DRS + AT_POWER_ON}.get(str(behavior), DRS)


def _with_disks(service: Service, vms: Iterable[PropertyPage]) -> dict[str, PropertyPage]:
    """VMs with their disks, by id."""
    starts = [one(vm.ref) for vm in vms]
    if not starts:
        return {}
    found = read_each(service, starts, {vim.VirtualMachine: devices.DEVICE_PATHS})
    return {each.id: each for each in found}


def _load(host: PropertyPage) -> HostLoad | None:
    cpu_mhz, memory_mib = (host.get(path) for path in _LOAD)
    if cpu_mhz is None or memory_mib is None:
        return None
    return HostLoad(int(cpu_mhz), int(memory_mib))


def _datastore(name: str, found: Sequence[PropertyPage]) -> DatastoreFacts:
    """One that the host has twice takes no disk."""
    store = found[0]
    usable, reason = bool(store.get("summary.accessible", False)), ""
    if len(found) > 1:
        usable, reason = False, f"the hypervisor has {len(found)} datastores of this name"
    elif not usable:
        reason = "the hypervisor cannot access it"
    return DatastoreFacts(
        name=name,
        path=store.get("summary.url", ""),
        capacity_bytes=int(store.get("summary.capacity", 0)),
        free_bytes=max(0, int(store.get("summary.freeSpace", 0))),
        usable=usable,
        reason=reason,
    )


class Unread:
    """Says once of each object that it may not be read, and which right is missing."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._told: set[str] = set()

    def tell(self, found: Iterable[PropertyPage]) -> None:
        """Log those that are new; one that can be read again may be told again."""
        now = {each.id: each for each in found if each.unread}
        for id_ in sorted(now.keys() - self._told):
            _log.warning("%s: %s", self._endpoint, unread_sentence(now[id_]))
        self._told = set(now)


def unread_sentence(each: PropertyPage) -> str:
    """Which object may not be read, and why."""
    kind = each.kind.rpartition(".")[2]
    why = ", ".join(sorted({why.rpartition(".")[2] for why in each.unread.values()}))
    return f"{kind} {each.id} may not be read ({why}): give the user System.Read on it"
