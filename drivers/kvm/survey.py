"""A survey of one host: the host, its datastores and all its VMs.

One thing that cannot be read is told of as that; all others are as they were seen. A connection
that is gone is no such thing: then nothing was seen.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

import libvirt

from drivers.contract import HostLink
from drivers.facts import DatastoreFacts, Facts, HostFacts, PowerState, Sighting
from drivers.kvm import domain_xml, preflight, queries, volumes
from drivers.kvm.faults import is_lost
from drivers.kvm.options import KvmOptions


def survey(connection: Any, link: HostLink, options: KvmOptions) -> Facts:
    """The host, its datastores and all its VMs."""
    taken_at = datetime.now(UTC)
    details = connection.getInfo()
    version = connection.getVersion()
    facts = HostFacts(
        name=link.name,
        cpus=options.cpus or int(details[2]),
        memory_mib=max(1, _memory_mib(connection, details, options) - options.reserved_mib),
        hypervisor=connection.getType(),
        version=f"{version // 1_000_000}.{version // 1000 % 1000}.{version % 1000}",
        datastores=_datastores(connection, link),
    )
    pools = {PurePosixPath(store.path): store.name for store in facts.datastores if store.path}
    shared = [store.path for store in facts.datastores if store.name in link.shared and store.path]
    seen = [
        _sighting(connection, domain, link.name, (pools, shared))
        for domain in connection.listAllDomains()
    ]
    return Facts(link.name, taken_at, (facts,), tuple(one for one in seen if one is not None))


def _datastores(connection: Any, link: HostLink) -> tuple[DatastoreFacts, ...]:
    """Those that the host has a pool for. Two of one folder are told apart by nothing, so neither
    is usable."""
    found = [_datastore(connection, name) for name in link.datastores]
    stores = [store for store in found if store is not None]
    folders = Counter(store.path for store in stores if store.path)
    return tuple(
        replace(store, usable=False, reason=_twice(stores, store.path))
        if folders[store.path] > 1
        else store
        for store in stores
    )


def _twice(stores: list[DatastoreFacts], path: str) -> str:
    names = " and ".join(store.name for store in stores if store.path == path)
    return f"the storage pools {names} have the same folder {path}"


def _datastore(connection: Any, name: str) -> DatastoreFacts | None:
    try:
        return volumes.datastore(connection, name)
    except libvirt.libvirtError as error:
        if is_lost(error, connection):
            raise
        said = str(error.get_error_message() or error).strip()
        return DatastoreFacts(name, "", 0, 0, usable=False, reason=f"it cannot be read: {said}")


def _sighting(
    connection: Any,
    domain: Any,
    host: str,
    places: tuple[Mapping[PurePosixPath, str], list[str]],
) -> Sighting | None:
    pools, shared = places
    try:
        seen = queries.sighting(domain, host, pools)
        if seen is None or seen.task is None:
            return seen
        xml = domain.XMLDesc(0)
        return replace(
            seen,
            fixed=preflight.against_move(domain, xml, seen.vm, shared),
            kept=preflight.against_removal(xml, partial(domain_xml.volume_of, seen.vm)),
        )
    except libvirt.libvirtError as error:
        if is_lost(error, connection):
            raise
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return None  # it went while we looked
        said = str(error.get_error_message() or error).strip()
        return Sighting(
            vm=UUID(domain.UUIDString()),
            host=host,
            state=PowerState.UNKNOWN,
            name=domain.name(),
            cpu=0,
            ram_mib=0,
            reason=f"it cannot be read: {said}",
        )


def _memory_mib(connection: Any, details: Any, options: KvmOptions) -> int:
    """All of the host's memory: its statistics know of memory that was added later."""
    if options.memory_mib:
        return options.memory_mib
    try:
        stats = connection.getMemoryStats(libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS)
        return int(stats["total"]) // 1024
    except (libvirt.libvirtError, KeyError):
        return int(details[1])
