"""Hosts by the names the configuration gives them, and what stands there for a VM to use."""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pyVmomi import vim

from drivers.contract import HostLink
from drivers.esxi import names
from drivers.esxi.connection.paging import (
    PropertyPage,
    all_in,
    along,
    list_leaves,
    one,
    read_each,
    whole,
)
from drivers.esxi.connection.session import Service
from drivers.esxi.options import EsxiOptions
from drivers.esxi.queries import HOST_PATHS, in_sight
from drivers.faults import Rejected, Unreachable

_GROUND = {
    vim.HostSystem: HOST_PATHS,
    vim.ComputeResource: ("name", "resourcePool"),
    vim.Datastore: ("name",),
    vim.Network: ("name",),
    vim.dvs.DistributedVirtualPortgroup: ("name", "key", "config.distributedVirtualSwitch"),
}


@dataclass(frozen=True, slots=True)
class HostResources:
    """A host, the pool that VMs go to there, and its datastores and networks."""

    host: PropertyPage
    name: str
    pool: Any
    datastores: Sequence[PropertyPage]
    networks: Sequence[PropertyPage]

    def datastore(self, name: str) -> Any:
        """The datastore; raises Rejected for none or several of that name."""
        return names.only(self.datastores, name, "datastore", self.name).ref

    def network(self, name: str) -> PropertyPage:
        """The network; raises Rejected for none or several of that name."""
        return names.only(self.networks, name, "network", self.name)


class HostDirectory:
    """What hosts are called in the datacenter; kept until one is not found. Safe for threads."""

    def __init__(self, options: EsxiOptions) -> None:
        self._options = options
        self._lock = threading.Lock()
        self._ids: dict[str, str] = {}

    def host(self, service: Service, link: HostLink) -> Any:
        """A host's object; raises Unreachable."""
        name = link.address or link.name
        with self._lock:
            id_ = self._ids.get(name)
        if id_ is None:
            self.learn(read_hosts(service, self._options))
            with self._lock:
                id_ = self._ids.get(name)
        if id_ is None:
            raise Unreachable(f"the vCenter has no such host: {name}", host=link.name)
        return service.ref(vim.HostSystem, id_)

    def learn(self, hosts: Iterable[PropertyPage]) -> None:
        """All hosts as they were just read."""
        ids = {str(host.get("name")): host.id for host in hosts if host.get("name")}
        with self._lock:
            self._ids = ids


def datacenter(service: Service, options: EsxiOptions) -> Any:
    """The datacenter; raises Rejected."""
    return at_path(service, options.datacenter)


def folder(service: Service, options: EsxiOptions) -> Any:
    """Where VMs are made; raises Rejected."""
    return at_path(service, "/".join(filter(None, (options.datacenter, "vm", options.folder))))


def template(service: Service, options: EsxiOptions, name: str) -> Any:
    """What a VM is made from, by its path in the datacenter's VM folder; raises Rejected."""
    return at_path(service, f"{options.datacenter}/vm/{name}")


def at_path(service: Service, path: str) -> Any:
    """What is there in the inventory, whose names may hold slashes; raises Rejected."""
    for each in names.spellings(path):
        found = service.content.searchIndex.FindByInventoryPath(each)
        if found is not None:
            return found
    raise Rejected(f"the vCenter has nothing at {path}")


def view(service: Service, options: EsxiOptions, kinds: list[Any]) -> Any:
    """Everything of these kinds in the datacenter, for as long as the session lasts."""
    return service.content.viewManager.CreateContainerView(
        datacenter(service, options), kinds, True
    )


def read_hosts(service: Service, options: EsxiOptions) -> list[PropertyPage]:
    """All hosts of the datacenter."""
    hosts = view(service, options, [vim.HostSystem])
    try:
        return list_leaves(service, [all_in(hosts)], {vim.HostSystem: HOST_PATHS}, options.page)
    finally:
        hosts.DestroyView()


def ground(service: Service, host: Any, name: str, options: EsxiOptions) -> HostResources:
    """A host in sight, ready to take a VM; raises Unreachable, Rejected. A datastore or a network
    that may not be read is none of it."""
    starts = [
        one(
            host,
            along(vim.HostSystem, "parent"),
            along(vim.HostSystem, "datastore"),
            along(vim.HostSystem, "network"),
        )
    ]
    found = read_each(service, starts, _GROUND)
    by_kind: dict[Any, list[PropertyPage]] = {kind: [] for kind in _GROUND}
    for each in found:
        kind = next((kind for kind in reversed(_GROUND) if isinstance(each.ref, kind)), None)
        if kind is not None and (not each.unread or kind in (vim.HostSystem, vim.ComputeResource)):
            by_kind[kind].append(each)
    at = in_sight(next(iter(whole(by_kind[vim.HostSystem])), None), name)
    if at.get("runtime.inMaintenanceMode"):
        raise Rejected(f"{name} is in maintenance", host=name)
    pools = [each.get("resourcePool") for each in by_kind[vim.ComputeResource]]
    if not pools or pools[0] is None:
        raise Rejected(f"the pool of {name} cannot be used", host=name)
    networks = (*by_kind[vim.Network], *by_kind[vim.dvs.DistributedVirtualPortgroup])
    pool = nested_pool(service, pools[0], options.resource_pool, name)
    return HostResources(at, name, pool, by_kind[vim.Datastore], networks)


def nested_pool(service: Service, pool: Any, path: str, host: str) -> Any:
    """The resource pool at a path below the root pool of a host's cluster; raises Rejected."""
    for name in filter(None, path.split("/")):
        below = one(pool, along(vim.ResourcePool, "resourcePool"))
        found = read_each(service, [below], {vim.ResourcePool: ("name",)})
        named = names.called((each for each in found if each.ref != pool), name)
        if len(named) != 1:
            raise Rejected(f"{host} has no resource pool {path}", host=host)
        pool = named[0].ref
    return pool
