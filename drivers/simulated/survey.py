"""A survey of one host of the world: its size, its datastores and all its VMs."""

from datetime import UTC, datetime

from drivers.capabilities import HypervisorType
from drivers.contract import HostLink
from drivers.facts import DatastoreFacts, Facts, HostFacts
from drivers.simulated.options import SimulatedOptions
from drivers.simulated.settle import sighting
from drivers.simulated.world import World


def survey(world: World, link: HostLink, options: SimulatedOptions, type_: HypervisorType) -> Facts:
    """Everything on the host."""
    host, taken_at = link.name, datetime.now(UTC)
    size = world.row("select * from host where name = ?", host)
    assert size is not None
    facts = HostFacts(
        name=host,
        cpus=size["cpus"],
        memory_mib=size["ram_mib"],
        hypervisor=f"simulated {type_}",
        version=options.version,
        datastores=tuple(
            _datastore(world, host, name, options.datastore_bytes) for name in link.datastores
        ),
    )
    vms = world.rows("select * from vm where host = ?", host)
    return Facts(host, taken_at, (facts,), tuple(sighting(row) for row in vms))


def _datastore(world: World, host: str, name: str, capacity: int) -> DatastoreFacts:
    used = world.row(
        "select coalesce(sum(bytes), 0) n from volume where place in (?, ?)",
        name,
        f"{host}/{name}",
    )
    free = capacity - int(used["n"]) if used is not None else capacity
    return DatastoreFacts(name, f"/simulated/{name}", capacity, max(0, free))
