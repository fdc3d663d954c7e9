"""Reconfigure books the new size, gives it to the VM that is off, and records it."""

from collections.abc import Mapping
from typing import Any

from drivers.contract import Order, Outcome, Reconfigure, VmSpec
from gateway.lifecycle import VmState
from gateway.placement.decision_log import Subject, refusal_detail, to_store
from gateway.placement.demand import demand_of
from gateway.store import vm_record
from gateway.store.capacity import bookings
from gateway.store.capacity.booking_deltas import Booked
from gateway.store.db.pool import Connection
from gateway.tasks.operations.growth_refusal import refused_growth
from gateway.tasks.step_actions import (
    Behaviour,
    CallStep,
    StepContext,
    StepFailed,
    StoreStep,
    place_of,
    record_seen,
    spec_of,
)
from scheduler.fleet.hold_placement import Held
from scheduler.model.demand import Demand
from scheduler.model.values import replace


def _sizes(at: StepContext) -> tuple[int, int]:
    payload = at.task.payload
    return int(payload.get("cpu", at.vm.cpu)), int(payload.get("ram_mib", at.vm.ram_mib))


async def _rebook(c: Connection, at: StepContext) -> Mapping[str, Any]:
    cpu, ram_mib = _sizes(at)
    (booked,) = await bookings.of_vm(c, at.vm.id)
    # The larger of both sizes until the end, so that going back never needs room again.
    full = await bookings.resize(c, booked, max(cpu, booked.cpu), max(ram_mib, booked.ram_mib))
    if full:
        rows = [
            {
                "kind": row.kind,
                "id": row.id,
                "cpu": {"wanted": cpu - booked.cpu, "spare": _spare(row.cpu_limit, row.cpu_used)},
                "ram": {
                    "wanted": ram_mib - booked.ram_mib,
                    "spare": _spare(row.ram_limit, row.ram_used),
                },
            }
            for row in full
        ]
        made = await refused_growth(c, at, booked, full)
        stored = to_store(Subject("reconfigure", at.vm.id, at.task.enterprise_id, at.task.id), made)
        raise StepFailed(
            f"There is no room on {at.vm.host} for {cpu} CPU -- {ram_mib} RAM (MiB): "
            + "; ".join(_sentence(row) for row in rows),
            refusal_detail(stored, made) | {"rows": rows},
            stored,
            f"There is no room where it is for {cpu} CPU -- {ram_mib} RAM (MiB)",
            _outgrown(at, booked, max(cpu, booked.cpu), max(ram_mib, booked.ram_mib)),
        )
    return {"cpu": booked.cpu, "ram_mib": booked.ram_mib}


def _outgrown(at: StepContext, booked: Booked, cpu: int, ram_mib: int) -> tuple[Demand, Held]:
    place = Held(booked.host_id, booked.datastore_id, booked.cpu, booked.ram_mib, booked.disk_bytes)
    return replace(demand_of(at.vm), cpu=cpu, ram_mib=ram_mib), place


def _spare(limit: int | None, used: int) -> int | None:
    return None if limit is None else limit - used


def _sentence(row: Mapping[str, Any]) -> str:
    cpu, ram = row["cpu"], row["ram"]
    return (
        f"{row['kind']} {row['id']} would need {cpu['wanted']} more CPU and has "
        f"{cpu['spare']} to spare, {ram['wanted']} MiB more RAM and has {ram['spare']}"
    )


async def _restore(c: Connection, at: StepContext) -> None:
    was = at.detail("rebook")
    (booked,) = await bookings.of_vm(c, at.vm.id)
    await bookings.resize(c, booked, was["cpu"], was["ram_mib"])


def _order(at: StepContext) -> Order:
    cpu, ram_mib = _sizes(at)
    return Reconfigure(_sized(at, cpu, ram_mib), place_of(at.vm).host)


def _order_back(at: StepContext) -> Order:
    return Reconfigure(_sized(at, at.vm.cpu, at.vm.ram_mib), place_of(at.vm).host)


def _sized(at: StepContext, cpu: int, ram_mib: int) -> VmSpec:
    return spec_of(replace(at.vm, cpu=cpu, ram_mib=ram_mib))


async def _resized(c: Connection, at: StepContext, outcome: Outcome) -> None:
    """A cloud may have taken the compute of a VM that is off back for that."""
    if at.vm.state is VmState.OFF:
        await record_seen(c, at, outcome, at.vm.state)


async def _record(c: Connection, at: StepContext) -> Mapping[str, Any]:
    cpu, ram_mib = _sizes(at)
    (booked,) = await bookings.of_vm(c, at.vm.id)
    await bookings.resize(c, booked, cpu, ram_mib)
    await vm_record.record_size(c, at.vm.id, cpu, ram_mib)
    return {}


RECONFIGURE: Mapping[str, Behaviour] = {
    "rebook": StoreStep(_rebook, _restore),
    "reconfigure": CallStep(_order, _resized, undo=_order_back, undo_effect=_resized),
    "record": StoreStep(_record),
}
