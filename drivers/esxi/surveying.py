"""One read lists every VM, host and datastore of a vCenter; what a VM's configuration says is read
when it is new.

Its size and its mark, one of some fifty options, change only with the configuration, so they are
read once for each version of that: the first time with the list itself, since naming 10,000 VMs one
by one costs as much as what is said of them. Hosts that the vCenter has lost are left out with
their VMs.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pyVmomi import vim

from drivers.contract import HostLink
from drivers.esxi import looking, marker
from drivers.esxi.looking import VM_PATHS
from drivers.esxi.marker import Marker
from drivers.esxi.options import EsxiOptions
from drivers.esxi.places import Places, view
from drivers.esxi.reading import Found, all_in, list_leaves, one
from drivers.esxi.session import Service
from drivers.facts import DatastoreFacts, Facts, HostFacts, HostLoad, Sighting

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


class Surveyor:
    """Surveys one vCenter, one survey at a time."""

    def __init__(self, name: str, options: EsxiOptions, places: Places) -> None:
        self._name = name
        self._options = options
        self._places = places
        self._kept: dict[str, tuple[str, Found, Marker]] = {}

    def survey(self, service: Service, links: Mapping[str, HostLink]) -> Facts:
        """The hosts of `links` that are in sight, and all their VMs."""
        taken_at = datetime.now(UTC)
        found = self._read(service, first=not self._kept)
        self._places.learn(host for host in found if isinstance(host.ref, vim.HostSystem))
        names = looking.names_of(links.values())
        hosts = {
            host.id: (host, links[names[host.get("name")]])
            for host in found
            if isinstance(host.ref, vim.HostSystem)
            and host.get("name") in names
            and host.get("runtime.connectionState") == "connected"
        }
        stores = {each.id: each for each in found if isinstance(each.ref, vim.Datastore)}
        moving = {each.id for each in found if _moves_vms(each)}
        vms = [each for each in found if _is_vm(each) and each.get("runtime.host")._moId in hosts]
        self._learn(service, vms)
        return Facts(
            self._name,
            taken_at,
            tuple(self._host(host, link, stores, moving) for host, link in hosts.values()),
            tuple(self._sightings(vms, hosts, stores)),
        )

    def _read(self, service: Service, *, first: bool) -> list[Found]:
        everything = view(service, self._options, list(_WANTED))
        wanted = _WANTED | (_FIRST if first else {})
        try:
            return list_leaves(service, [all_in(everything)], wanted, self._options.page)
        finally:
            everything.DestroyView()

    def _learn(self, service: Service, vms: list[Found]) -> None:
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

    def _sightings(
        self,
        vms: Iterable[Found],
        hosts: Mapping[str, tuple[Found, HostLink]],
        stores: Mapping[str, Found],
    ) -> Iterable[Sighting]:
        names = {id_: store.get("name") for id_, store in stores.items()}
        for vm in vms:
            if vm.id not in self._kept:
                continue  # it vanished between the two reads
            _, lasting, mark = self._kept[vm.id]
            if lasting.get("config.instanceUuid"):  # else it is being made
                whole = replace(vm, values={**vm.values, **lasting.values})
                host = hosts[vm.get("runtime.host")._moId][1].name
                yield looking.sighting_of(whole, mark, host, names)

    def _host(
        self, host: Found, link: HostLink, stores: Mapping[str, Found], moving: set[str]
    ) -> HostFacts:
        mounted = (stores.get(each._moId) for each in host.get("datastore", ()))
        by_name = {each.get("name"): each for each in mounted if each is not None}
        memory_mib = int(host.get("summary.hardware.memorySize", 0)) // _MIB
        return HostFacts(
            name=link.name,
            cpus=int(host.get("summary.hardware.numCpuThreads", 0)),
            memory_mib=max(1, memory_mib - self._options.reserved_mib),
            hypervisor=host.get("summary.config.product.name", "VMware ESXi"),
            version=host.get("summary.config.product.version", ""),
            datastores=tuple(
                _datastore(by_name[name]) for name in link.datastores if name in by_name
            ),
            accepting=not host.get("runtime.inMaintenanceMode", False),
            load=_load(host),
            mover=DRS if host.get("parent")._moId in moving else "",
        )


def _learnt(vm: Found, version: str) -> tuple[str, Found, Marker]:
    """What a configuration of that version says."""
    lasting = {path: value for path, value in vm.values.items() if path in _LASTING}
    mark = marker.read_from(vm.get("config.extraConfig", ()))
    return version, replace(vm, values=lasting), mark


def _is_vm(each: Found) -> bool:
    """A VM somewhere, and no template."""
    return (
        isinstance(each.ref, vim.VirtualMachine)
        and not each.get("config.template", False)
        and each.get("runtime.host") is not None
    )


def _moves_vms(each: Found) -> bool:
    """A cluster whose VMs DRS moves by itself, unless a VM of it is an exception."""
    enabled, behavior = (each.get(path) for path in _DRS)
    return isinstance(each.ref, vim.ClusterComputeResource) and moves_by_itself(enabled, behavior)


def moves_by_itself(enabled: Any, behavior: Any) -> bool:
    """Whether DRS so configured moves VMs without asking: a cluster that does not say how is fully
    automated."""
    return bool(enabled) and (behavior or "fullyAutomated") == "fullyAutomated"


def _load(host: Found) -> HostLoad | None:
    cpu_mhz, memory_mib = (host.get(path) for path in _LOAD)
    if cpu_mhz is None or memory_mib is None:
        return None
    return HostLoad(int(cpu_mhz), int(memory_mib))


def _datastore(store: Found) -> DatastoreFacts:
    return DatastoreFacts(
        name=store.get("name"),
        path=store.get("summary.url", ""),
        capacity_bytes=int(store.get("summary.capacity", 0)),
        free_bytes=max(0, int(store.get("summary.freeSpace", 0))),
        usable=bool(store.get("summary.accessible", False)),
    )
