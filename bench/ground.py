"""The ground of a bench: a folder, its configuration, and a record as large as wanted.

The folder lies beside the demo's, on a disk that a service would use too: a temporary folder in
memory would make fsync free.
"""

import asyncio
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from drivers.simulated.options import HostSize
from drivers.simulated.world import World
from gateway.store.capacity import ledger
from gateway.store.db.embedded_server import Supervisor
from gateway.store.db.migrate import migrate
from gateway.store.db.pool import Connection, Store, StoreSettings

VAR = Path(__file__).parents[1] / "var"
APPLIANCE = "cloud/virtualdatacenters/1/virtualappliances/1"
SIZE = HostSize(cpus=64, ram_mib=262_144)
_DISK = 2**30
_ROOM = 2**50
_CONFIGURATION = """
[server]
port = {port}

[probes]
port = {probe_port}

[store]
data_dir = "{folder}"

[log]
level = "warning"

[[enterprises]]
name = "bench"

[[users]]
login = "admin"
enterprise = "bench"
privileges = ["ALL"]
password_env = "VMGATE_ADMIN_PASSWORD"

[hypervisor.sim]
kind = "simulated"
type = "KVM"
options = {{ world = "{world}", datastore_bytes = {room} }}
"""
_PLACES = f"""
insert into enterprise (name) values ('bench');
insert into app_user (nick, enterprise_id, password_hash) values ('owner', 1, '');
insert into datacenter (name) values ('bench');
insert into rack (datacenter_id, name) values (1, 'rack');
insert into datastore (datacenter_id, name, pool, shared, capacity_bytes, free_bytes)
  values (1, 'shared', 'shared', true, {_ROOM}, {_ROOM});
insert into template (datacenter_id, name, source, disk_format, disk_bytes, cpu, ram_mib, types)
  values (1, 'tiny', 'tiny', 'QCOW2_SPARSE', {_DISK}, 1, 1024, '{{KVM}}');
insert into virtualdatacenter (name, enterprise_id, datacenter_id, type)
  values ('bench', 1, 1, 'KVM');
insert into network (virtualdatacenter_id, name, tag, address)
  values (1, 'default', 'default', '10.0.0.0/8');
insert into virtualappliance (virtualdatacenter_id, enterprise_id, name) values (1, 1, 'bench');
"""
_HOSTS = """
insert into host (rack_id, datacenter_id, hypervisor, name, type, address, networks)
  select 1, 1, 'sim', 'host-' || i, 'KVM', $2, '{"default": "br0"}' from generate_series(1, $1) i
"""
_VMS = f"""
insert into vm (uuid, name, label, virtualappliance_id, virtualdatacenter_id, enterprise_id,
  datacenter_id, user_id, template_id, type, cpu, ram_mib, disk_bytes)
  select gen_random_uuid(), 'vm-' || i, 'vm-' || i, 1, 1, 1, 1, 1, 1, 'KVM', 1, 1024, {_DISK}
  from generate_series(1, $1) i
"""
_NICS = """
insert into nic (vm_id, network_id, address, mac)
  select id, 1, '10.0.0.0'::inet + id, '02:00:' || substr(hex, 1, 2) || ':' || substr(hex, 3, 2)
    || ':' || substr(hex, 5, 2) || ':' || substr(hex, 7, 2)
  from (select id, lpad(to_hex(id), 8, '0') hex from vm) v
"""
_RUNNING = (
    """update vm set state = 'ON', known_state = 'ON', host_id = 1 + id % $1::bigint,
       datastore_id = 1, volume = uuid || '-x', synchronized_at = clock_timestamp()""",
    """insert into booking (vm_id, host_id, datastore_id, task_id, cpu, ram_mib, disk_bytes)
       select id, host_id, 1, gen_random_uuid(), cpu, ram_mib, disk_bytes from vm""",
)


@dataclass(frozen=True, slots=True)
class Ground:
    """Where everything of one bench is."""

    folder: Path
    port: int = field(default_factory=lambda: free_port())
    probe_port: int = field(default_factory=lambda: free_port())

    @property
    def configuration(self) -> Path:
        """The file to serve with."""
        return self.folder / "bench.toml"

    @property
    def world(self) -> Path:
        """The simulated hypervisors."""
        return self.folder / "world.sqlite"

    def store(self) -> StoreSettings:
        """The service's own PostgreSQL, for us: with fsync, as it is."""
        return StoreSettings(home=self.folder / "postgres")


@asynccontextmanager
async def ground(*, lasting: bool = False) -> AsyncIterator[Ground]:
    """A fresh ground; its PostgreSQL is gone afterwards, whoever left it running.

    The simulated world is in memory unless it is `lasting`.
    """
    VAR.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=VAR) as name:
        made = Ground(Path(name))
        made.configuration.write_text(
            _CONFIGURATION.format(
                port=made.port,
                probe_port=made.probe_port,
                folder=made.folder,
                world=made.world if lasting else "",
                room=_ROOM,
            )
        )
        try:
            yield made
        finally:
            await asyncio.to_thread(_end_server, made)


def _end_server(made: Ground) -> None:
    """A service that had to be killed cannot stop its PostgreSQL: adopt it, and stop it."""
    home = made.store().home
    if (home / "data" / "postmaster.pid").exists():
        supervisor = Supervisor(home)
        supervisor.start()
        supervisor.stop()


async def fill(store: Store, *, hosts: int, vms: int, running: bool = False) -> None:
    """Hosts and VMs in one datacenter, not deployed unless `running`: then the hosts share them."""
    await migrate(store)
    async with store.transaction() as c:
        await c.execute(_PLACES)
        address = f"sim://bench?cpus={SIZE.cpus}&ram_mib={SIZE.ram_mib}"
        await c.execute(_HOSTS, hosts, address)
        await c.execute("insert into host_datastore select id, 1 from host")
        await c.execute(_VMS, vms)
        await c.execute(_NICS)
        if running:
            await _run(c, hosts)
        await ledger.refresh_limits(c)
    async with store.read() as c:
        assert await c.fetchval("select count(*) from nic") == vms


async def _run(c: Connection, hosts: int) -> None:
    """Every host was seen, with its VMs on."""
    await c.execute(
        """update host set cpus = $1, memory_mib = $2, reachable = true, version = '1.0',
             product = 'simulated KVM', observed_at = clock_timestamp()""",
        SIZE.cpus,
        SIZE.ram_mib,
    )
    placed, booked = _RUNNING
    await c.execute(placed, hosts)
    await c.execute(booked)


async def populate(store: Store, made: Ground) -> None:
    """Put the hosts and VMs of the record into the lasting world, as they are recorded."""
    async with store.read() as c:
        hosts = await c.fetch("select name from host")
        vms = await c.fetch(
            """select v.uuid, h.name host, v.name, v.cpu, v.ram_mib, v.volume from vm v
               join host h on h.id = v.host_id"""
        )
    world = World(str(made.world))
    for host in hosts:
        world.add_host(host["name"], SIZE)
    with world.changing():
        for vm in vms:
            world.rows(
                """insert into vm (vm, host, name, cpu, ram_mib, state, task, volume, datastore)
                   values (?, ?, ?, ?, ?, 'ON', '', ?, 'shared')""",
                str(vm["uuid"]),
                *list(vm.values())[1:],
            )
    world.close()


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
