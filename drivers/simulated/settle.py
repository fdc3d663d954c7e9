"""Settling looks at the world, never at what this process remembers, and changes nothing."""

from typing import assert_never
from uuid import UUID

from drivers.contract import (
    Clear,
    Deploy,
    Outcome,
    Power,
    Reconfigure,
    Redeploy,
    Relocate,
    Remove,
    Reset,
    Ticket,
    Verdict,
)
from drivers.facts import PowerState, Sighting
from drivers.faults import Indeterminate
from drivers.simulated.operations import OFF, ends_of, place_of
from drivers.simulated.world import Row, World


def sighting(row: Row) -> Sighting:
    """A row of the world as a driver reports it."""
    return Sighting(
        vm=UUID(row["vm"]),
        host=row["host"],
        state=PowerState("OFF" if row["state"] in OFF else row["state"]),
        name=row["name"],
        cpu=row["cpu"],
        ram_mib=row["ram_mib"],
        task=UUID(row["task"]) if row["task"] else None,
        arriving=bool(row["arriving"]),
        volumes=(row["volume"],) if row["volume"] else (),
        deallocated=row["state"] == "DEALLOCATED",
    )


def hosts_of(ticket: Ticket) -> tuple[str, ...]:
    """Every host that must be looked at to settle a ticket."""
    match ticket.order:
        case Deploy(at=at) | Remove(at=at):
            return (at.host,)
        case Power(host=host) | Reset(host=host) | Reconfigure(host=host) | Redeploy(host=host):
            return (host,)
        case Relocate(source=source, target=target):
            return (source.host, target.host)
        case Clear(at=at):
            return (at.host,)
        case _:
            assert_never(ticket.order)


def settle(world: World, ticket: Ticket) -> Outcome:
    """The verdict on a ticket; raises Indeterminate where the world cannot tell."""
    match ticket.order:
        case Deploy() as order:
            return _deploy(world, ticket, order)
        case Power() as order:
            return _power(world, order)
        case Reset() | Redeploy():
            raise Indeterminate("it leaves no trace")
        case Reconfigure() as order:
            return _reconfigure(world, order)
        case Relocate() as order:
            return _relocate(world, ticket, order)
        case Remove() as order:
            return _gone(world, str(order.vm), order.at.host, place_of(order.at), order.volume)
        case Clear() as order:
            return _gone(world, str(order.vm), order.at.host, place_of(order.at), order.volume)
        case _:
            assert_never(ticket.order)


def _at(world: World, vm: str, host: str) -> Row | None:
    return world.row("select * from vm where vm = ? and host = ?", vm, host)


def _deploy(world: World, ticket: Ticket, order: Deploy) -> Outcome:
    row = _at(world, str(order.spec.vm), order.at.host)
    if row is None:
        return Outcome(Verdict.ABSENT)
    if row["task"] != str(ticket.task):
        return Outcome(Verdict.FAILED, sighting(row), "another task defined the VM there")
    return Outcome(Verdict.DONE, sighting(row))


def _power(world: World, order: Power) -> Outcome:
    row = _at(world, str(order.vm), order.host)
    if row is None:
        return Outcome(Verdict.FAILED, None, f"the VM is not on {order.host}")
    seen = sighting(row)
    if row["state"] in ends_of(order):
        return Outcome(Verdict.DONE, seen)
    job = world.row(
        "select 1 from job where vm = ? and kind = 'shutdown' and state = 'running'", row["vm"]
    )
    return Outcome(Verdict.RUNNING if job else Verdict.ABSENT, seen)


def _reconfigure(world: World, order: Reconfigure) -> Outcome:
    row = _at(world, str(order.spec.vm), order.host)
    if row is None:
        return Outcome(Verdict.FAILED, None, f"the VM is not on {order.host}")
    same = (row["cpu"], row["ram_mib"]) == (order.spec.cpu, order.spec.ram_mib)
    return Outcome(Verdict.DONE if same else Verdict.ABSENT, sighting(row))


def _relocate(world: World, ticket: Ticket, order: Relocate) -> Outcome:
    vm = str(order.spec.vm)
    job = world.row("select * from job where task = ? and step = 'move'", str(ticket.task))
    if job is not None and job["state"] == "running":
        return Outcome(Verdict.RUNNING)
    here, there = _at(world, vm, order.source.host), _at(world, vm, order.target.host)
    match here, there:
        case None, None:
            raise Indeterminate("the VM is on neither host")
        case None, row if row is not None and not row["arriving"]:
            return Outcome(Verdict.DONE, sighting(row))
        case row, None if row is not None:
            if job is not None and job["state"] == "failed":
                return Outcome(Verdict.FAILED, sighting(row), "the move failed")
            return Outcome(Verdict.ABSENT, sighting(row))
        case _:
            raise Indeterminate("the VM is on both hosts")


def _gone(world: World, vm: str, host: str, place: str, volume: str) -> Outcome:
    row = _at(world, vm, host)
    left = volume and world.row("select 1 from volume where place = ? and name = ?", place, volume)
    if row is None and not left:
        return Outcome(Verdict.DONE)
    return Outcome(Verdict.ABSENT, sighting(row) if row is not None else None)
