"""A small world put straight into the database: two tenants, two racks, a template, networks."""

from uuid import UUID, uuid4

from gateway.store import users
from gateway.store.capacity.ledger import refresh_limits
from gateway.store.db.pool import Connection, Store

_SQL = """
insert into enterprise (id, name) values (1, 'acme'), (2, 'other');
insert into app_user (id, nick, enterprise_id, password_hash, privileges) values
  (1, 'admin', 1, 'x', '{ALL}'), (2, 'reader', 1, 'x', '{}'),
  (3, 'stranger', 2, 'x', '{VAPP_PERFORM_ACTIONS,VAPP_CUSTOMISE_SETTINGS}'),
  (4, 'actor', 1, 'x', '{VAPP_PERFORM_ACTIONS,VAPP_CUSTOMISE_SETTINGS}');
insert into datacenter (id, name) values (1, 'dc'), (2, 'dc two');
insert into rack (id, datacenter_id, name) values (1, 1, 'r1'), (2, 1, 'r2'), (3, 2, 'r3');
insert into host (id, rack_id, datacenter_id, hypervisor, name, type, address, cpus, memory_mib,
  reachable, observed_at, networks) values
  (1, 1, 1, 'sim', 'h1', 'KVM', '10.0.0.1', 16, 65536, true, clock_timestamp(), '{"lan": "br0"}'),
  (2, 1, 1, 'sim', 'h2', 'KVM', '10.0.0.2', 16, 65536, true, clock_timestamp(), '{"lan": "br0"}'),
  (3, 2, 1, 'sim', 'h3', 'KVM', '10.0.0.3', 16, 65536, true, clock_timestamp(), '{"lan": "br0"}'),
  (4, 1, 1, 'sim', 'h4', 'VMX_04', '10.0.0.4', 16, 65536, true, clock_timestamp(), '{}'),
  (5, 3, 2, 'sim', 'h5', 'KVM', '10.0.0.5', 16, 65536, true, clock_timestamp(), '{}'),
  (6, 1, 1, 'sim', 'h6', 'KVM', '10.0.0.6', 1, 64, true, clock_timestamp(), '{"lan": "br0"}');
insert into datastore (id, datacenter_id, name, pool, shared, capacity_bytes, free_bytes) values
  (1, 1, 'ds', 'pool', true, 1099511627776, 1099511627776);
insert into host_datastore values (1, 1), (2, 1), (3, 1), (6, 1);
insert into template (id, datacenter_id, enterprise_id, name, source, disk_format, disk_bytes,
  cpu, ram_mib, types) values
  (1, 1, null, 'tiny', 'tiny.qcow2', 'QCOW2_SPARSE', 1073741824, 2, 256, '{KVM}'),
  (2, 1, null, 'esx', 'esx.vmdk', 'VMDK_FLAT', 1073741824, 1, 128, '{VMX_04}'),
  (3, 2, null, 'far', 'far.qcow2', 'QCOW2_SPARSE', 1073741824, 1, 128, '{KVM}'),
  (4, 1, 2, 'theirs', 'theirs.qcow2', 'QCOW2_SPARSE', 1073741824, 1, 128, '{KVM}');
insert into virtualdatacenter (id, name, enterprise_id, datacenter_id, type) values
  (1, 'vdc', 1, 1, 'KVM'), (2, 'vdc', 2, 1, 'KVM');
insert into network (id, virtualdatacenter_id, name, tag, address, gateway) values
  (1, 1, 'lan', 'lan', '10.1.0.0/24', '10.1.0.1'),
  (2, 2, 'lan', 'lan', '10.2.0.0/30', '10.2.0.1');
insert into virtualappliance (id, virtualdatacenter_id, enterprise_id, name) values
  (1, 1, 1, 'app'), (2, 2, 2, 'theirs'), (3, 1, 1, 'empty');
"""
PLACES = ("datacenter", "rack", "host", "datastore", "template", "network")
USERS = ("admin", "reader", "stranger", "actor")
VMS = "cloud/virtualdatacenters/1/virtualappliances/1/virtualmachines"
ROOT = "http://gateway.test/api/"
TEMPLATE_LINK = {
    "rel": "virtualmachinetemplate",
    "href": f"{ROOT}admin/enterprises/1/datacenterrepositories/1/virtualmachinetemplates/1",
}


async def build(store: Store) -> None:
    """Put the world in, ids from 1; new rows get ids from 100. The feed is still empty."""
    async with store.transaction() as c:
        await c.execute(_SQL)
        await refresh_limits(c)
        await c.execute("delete from outbox")
        for n, nick in enumerate(USERS, 1):
            await users.keep_token(c, f"token-of-{nick}", n, 3600)
        for table in ("enterprise", "app_user", "virtualdatacenter", "virtualappliance", *PLACES):
            await c.execute(f"alter table {table} alter column id restart with 100")


async def put(c: Connection, vm_id: int, state: str, host_id: int | None = None) -> None:
    """Record a VM's state and place as a task or an observer would."""
    known = "ON" if state == "UNKNOWN" else state
    await c.execute(
        """update vm set state = $2, known_state = $3, host_id = $4,
             datastore_id = case when $4::bigint is null then null else 1 end,
             version = version + 1
           where id = $1""",
        vm_id,
        state,
        known,
        host_id,
    )


async def open_task(c: Connection, vm_id: int, kind: str, state: str = "queued") -> UUID:
    """Let a task of that kind hold the VM."""
    task = uuid4()
    await c.execute(
        """insert into task (id, kind, vm_id, vm_name, user_id, enterprise_id, state, started)
           select $1, $3, id, name, 1, enterprise_id, $4, $4 <> 'queued' from vm where id = $2""",
        task,
        vm_id,
        kind,
        state,
    )
    await c.execute(
        """insert into job (task_id, n, uuid, type, description)
           values ($1, 0, gen_random_uuid(), $2, 'a job')""",
        task,
        kind,
    )
    return task


async def finish(c: Connection, task: UUID, result: str, error: str = "") -> None:
    """End a task, as a worker would."""
    await c.execute(
        """update task set state = 'done', result = $2, error = $3, started = true,
             updated_at = clock_timestamp() where id = $1""",
        task,
        result,
        error,
    )
