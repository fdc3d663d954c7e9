"""What each verb does to the world, in one transaction; a call repeated for its task is one."""

from drivers.changes import Change
from drivers.contract import (
    Clear,
    Deploy,
    Location,
    Power,
    PowerRequest,
    Reconfigure,
    Redeploy,
    Relocate,
    Remove,
    Reset,
)
from drivers.faults import Fault, Missing, Rejected
from drivers.simulated.options import SimulatedOptions
from drivers.simulated.world import Row, World

OFF = ("OFF", "DEALLOCATED")
_ENDS = {
    PowerRequest.ON: "ON",
    PowerRequest.RESUME: "ON",
    PowerRequest.OFF: "OFF",
    PowerRequest.SHUTDOWN: "OFF",
    PowerRequest.PAUSE: "PAUSED",
}
_FROM = {
    PowerRequest.ON: OFF,
    PowerRequest.RESUME: ("PAUSED",),
    PowerRequest.OFF: ("ON", "PAUSED"),
    PowerRequest.SHUTDOWN: ("ON",),
    PowerRequest.PAUSE: ("ON",),
}
_TOLD = {
    PowerRequest.ON: Change.STARTED,
    PowerRequest.RESUME: Change.RESUMED,
    PowerRequest.OFF: Change.STOPPED,
    PowerRequest.PAUSE: Change.PAUSED,
}


def ends_of(order: Power) -> tuple[str, ...]:
    """The states of the world in which a power order is done."""
    if order.release:
        return ("DEALLOCATED",)
    return OFF if _ENDS[order.request] == "OFF" else (_ENDS[order.request],)


def place_of(at: Location) -> str:
    """Where volumes of a location lie: one place for all hosts when it is shared."""
    return at.datastore if at.shared else f"{at.host}/{at.datastore}"


def found(world: World, vm: str, host: str) -> Row:
    """The VM on the host; raises Missing."""
    row = world.row("select * from vm where vm = ? and host = ? and arriving = 0", vm, host)
    if row is None:
        raise Missing(f"the VM does not exist on {host}", host=host)
    return row


def deploy(world: World, task: str, order: Deploy) -> None:
    """Define the VM, off, with a clone of its template."""
    spec, host = order.spec, order.at.host
    there = world.row("select * from vm where vm = ?", str(spec.vm))
    if there is not None:
        if there["task"] == task and there["host"] == host:
            return
        raise Rejected(f"the VM is defined already, on {there['host']}", host=host)
    world.note(host, "deploy", str(spec.vm), task)
    world.rows(
        "insert or ignore into volume values (?, ?, ?)",
        place_of(order.at),
        spec.disk.volume,
        spec.disk.capacity_bytes,
    )
    world.rows(
        """insert into vm (vm, host, name, cpu, ram_mib, state, task, volume, datastore)
           values (?, ?, ?, ?, ?, 'OFF', ?, ?, ?)""",
        str(spec.vm),
        host,
        spec.name,
        spec.cpu,
        spec.ram_mib,
        task,
        spec.disk.volume,
        order.at.datastore,
    )
    world.tell(host, str(spec.vm), Change.DEFINED)


def power(world: World, task: str, order: Power, options: SimulatedOptions) -> None:
    """Change the power; what is so already stays so."""
    vm = found(world, str(order.vm), order.host)
    if vm["state"] in ends_of(order):
        return
    releasing = order.release and vm["state"] == "OFF"
    if not releasing and vm["state"] not in _FROM[order.request]:
        raise Rejected(f"a VM that is {vm['state']} cannot {order.request}", host=order.host)
    world.note(order.host, "power", vm["vm"], task)
    if order.request is PowerRequest.SHUTDOWN and not releasing:
        if not vm["deaf"]:
            now = world.now_s()
            world.start_job(
                task=task,
                step=f"shutdown-{now}",
                kind="shutdown",
                vm=vm["vm"],
                source=order.host,
                starts=now,
                ends=now + options.shutdown_s,
            )
        return
    starting = order.request is PowerRequest.ON
    world.rows(
        "update vm set state = ?, boots = boots + ? where vm = ? and host = ?",
        ends_of(order)[0],
        int(starting),
        vm["vm"],
        order.host,
    )
    world.tell(order.host, vm["vm"], Change.STOPPED if releasing else _TOLD[order.request])


def reset(world: World, task: str, order: Reset) -> None:
    """Boot a running VM anew."""
    vm = found(world, str(order.vm), order.host)
    if vm["state"] != "ON":
        raise Rejected(f"a VM that is {vm['state']} cannot be reset", host=order.host)
    world.note(order.host, "reset", vm["vm"], task)
    world.rows("update vm set boots = boots + 1 where vm = ? and host = ?", vm["vm"], order.host)


def redeploy(world: World, task: str, order: Redeploy) -> None:
    """Boot a running VM anew, as on another machine of the place."""
    vm = found(world, str(order.vm), order.host)
    if vm["state"] != "ON":
        raise Rejected(f"a VM that is {vm['state']} cannot be redeployed", host=order.host)
    world.note(order.host, "redeploy", vm["vm"], task)
    world.rows("update vm set boots = boots + 1 where vm = ? and host = ?", vm["vm"], order.host)


def reconfigure(world: World, task: str, order: Reconfigure, options: SimulatedOptions) -> None:
    """Resize a VM that is off; a cloud takes its compute back for that."""
    spec = order.spec
    vm = found(world, str(spec.vm), order.host)
    if (vm["cpu"], vm["ram_mib"]) == (spec.cpu, spec.ram_mib):
        return
    if vm["state"] not in OFF:
        raise Rejected(f"a VM that is {vm['state']} cannot be reconfigured", host=order.host)
    world.note(order.host, "reconfigure", vm["vm"], task)
    world.rows(
        "update vm set cpu = ?, ram_mib = ?, state = ? where vm = ? and host = ?",
        spec.cpu,
        spec.ram_mib,
        "DEALLOCATED" if options.cloud else "OFF",
        vm["vm"],
        order.host,
    )


def relocate(world: World, task: str, order: Relocate, options: SimulatedOptions) -> None:
    """Begin a move that ends by the world's clock; a move that was begun goes on."""
    spec, source, target = order.spec, order.source, order.target
    if world.row("select 1 from job where task = ? and state in ('running', 'done')", task):
        return
    vm = found(world, str(spec.vm), source.host)
    if vm["state"] not in ("ON", "OFF", "PAUSED"):
        raise Rejected(f"a VM that is {vm['state']} cannot be moved", host=source.host)
    if world.row("select 1 from host where name = ? and reachable = 0", target.host):
        raise Rejected(f"{source.host} cannot reach {target.host}", host=source.host)
    if world.row("select 1 from vm where vm = ? and host = ?", str(spec.vm), target.host):
        raise Rejected("the VM is on the target already, half or whole", host=target.host)
    world.note(source.host, "relocate", vm["vm"], task)
    if spec.disk.volume != order.volume:
        world.rows(
            "insert or ignore into volume values (?, ?, ?)",
            place_of(target),
            spec.disk.volume,
            spec.disk.capacity_bytes,
        )
    world.rows(
        """insert into vm (vm, host, name, cpu, ram_mib, state, task, volume, datastore, arriving,
             boots, deaf) values (?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?)""",
        vm["vm"],
        target.host,
        vm["name"],
        vm["cpu"],
        vm["ram_mib"],
        vm["state"],
        vm["task"],
        spec.disk.volume,
        target.datastore,
        vm["boots"],
        vm["deaf"],
    )
    now = world.now_s()
    world.rows("delete from job where task = ? and step = 'move'", task)
    world.start_job(
        task=task,
        step="move",
        kind="relocate",
        vm=vm["vm"],
        source=source.host,
        target=target.host,
        volume=order.volume,
        new_volume=spec.disk.volume,
        starts=now,
        ends=now + options.relocation_s,
    )


def remove(world: World, task: str, order: Remove) -> None:
    """Delete a VM that is off, and the one volume named; what is gone stays gone."""
    host = order.at.host
    vm = world.row("select * from vm where vm = ? and host = ?", str(order.vm), host)
    if vm is not None and vm["state"] not in OFF:
        raise Rejected(f"a VM that is {vm['state']} is not removed", host=host)
    if vm is not None:
        world.note(host, "remove", vm["vm"], task)
        world.tell(host, vm["vm"], Change.UNDEFINED)
    world.rows("delete from vm where vm = ? and host = ?", str(order.vm), host)
    _drop_volume(world, order.at, order.volume)


def clear(world: World, task: str, order: Clear) -> None:
    """Delete what a move left, once the VM is seen living elsewhere."""
    vm, host = str(order.vm), order.at.host
    lives = world.row(
        "select 1 from vm where vm = ? and host = ? and arriving = 0", vm, order.lives_on
    )
    if lives is None:
        raise Rejected(f"the VM was not seen living on {order.lives_on}", host=host)
    if world.row("select 1 from job where vm = ? and state = 'running'", vm):
        raise Rejected("the VM is being moved", host=host)
    left = world.row("select * from vm where vm = ? and host = ?", vm, host)
    if left is not None and left["state"] != "OFF" and not left["arriving"]:
        raise Rejected("what is left there is running", host=host)
    world.note(host, "clear", vm, task)
    world.rows("delete from vm where vm = ? and host = ?", vm, host)
    _drop_volume(world, order.at, order.volume)


def _drop_volume(world: World, at: Location, volume: str) -> None:
    """Delete a volume that no VM uses."""
    if not volume or world.row("select 1 from vm where volume = ?", volume):
        return
    world.rows("delete from volume where place = ? and name = ?", place_of(at), volume)


def fault_named(kind: str, host: str) -> Exception:
    """The planned fault called `kind`; NoCapacity is a refusal for want of capacity, Bug what no
    driver should raise, Fault one of no kind."""
    if kind == "Bug":
        return RuntimeError("planned by the test")
    if kind == "Fault":
        return Fault("planned by the test", host=host)
    if kind == "NoCapacity":
        return Rejected("planned by the test: no capacity", host=host, no_capacity=True)
    kinds = {each.__name__: each for each in Fault.__subclasses__()}
    return kinds[kind]("planned by the test", host=host)
