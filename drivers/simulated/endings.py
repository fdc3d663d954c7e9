"""How a call that fails may really have ended: where the VM is afterwards, whatever was said."""

from drivers.simulated.world import Row, World

_STATES = {"on": "ON", "off": "OFF", "paused": "PAUSED"}


def end(world: World, vm: str, ending: str) -> None:
    """Bring the world to an ending: words divided by commas, obeyed one after the other.

    `on:HOST`, `off:HOST`, `paused:HOST`: the VM is on that host alone, so. `also:HOST`: that host
    has a definition too, which does not run. `twice:HOST`: it runs there too. `nowhere`: it is
    nowhere; its disk stays.
    """
    world.rows("update job set state = 'over' where vm = ? and state in ('running', 'done')", vm)
    for word in ending.split(","):
        what, _, host = word.partition(":")
        if what == "nowhere":
            world.rows("delete from vm where vm = ?", vm)
        elif what in _STATES:
            _alone(world, vm, host, _STATES[what])
        else:
            _besides(world, vm, host, "ON" if what == "twice" else "OFF")


def _alone(world: World, vm: str, host: str, state: str) -> None:
    rows = world.rows("select * from vm where vm = ? order by host <> ?", vm, host)
    if not rows:
        return
    world.rows("delete from vm where vm = ? and host <> ?", vm, rows[0]["host"])
    world.rows("update vm set host = ?, state = ?, arriving = 0 where vm = ?", host, state, vm)


def _besides(world: World, vm: str, host: str, state: str) -> None:
    found = world.rows("select * from vm where vm = ? order by host <> ?", vm, host)
    if found and found[0]["host"] != host:
        _copy(world, found[0], host)
    world.rows("update vm set state = ?, arriving = 0 where vm = ? and host = ?", state, vm, host)


def _copy(world: World, row: Row, host: str) -> None:
    world.rows(
        """insert into vm
             (vm, host, name, cpu, ram_mib, state, task, volume, datastore, boots, deaf)
           select vm, ?, name, cpu, ram_mib, state, task, volume, datastore, boots, deaf
           from vm where vm = ? and host = ?""",
        host,
        row["vm"],
        row["host"],
    )
