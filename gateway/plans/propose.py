"""Proposing: a plan worked out from one picture of the inventory; nothing is changed."""

from typing import Any

import msgspec

from gateway.analysis.snapshot import StoreSnapshot, load, resident
from gateway.store.capacity.residents import ResidentRow
from gateway.store.db.pool import Store
from scheduler.model.values import replace
from scheduler.plan.consolidate import consolidate
from scheduler.plan.drain import drain
from scheduler.plan.move_schedule import Capacities, timeline
from scheduler.plan.moves import Plan, to_mapping
from scheduler.plan.rebalance import even
from scheduler.plan.resident import PINNED, UNSUPPORTED, MovableVm, Terms


class PlanQuestion(msgspec.Struct, frozen=True):
    """What is to be planned: `kind` is drain (of `host`), rebalance or consolidate. Neither the
    VMs `pinned` nor those of the types `fixed`, whose hypervisor moves none, are moved."""

    kind: str
    datacenter: int
    host: int | None = None
    rest_s: float = 600.0
    moves_max_percent: int = 10
    saved_min: int = 1
    gain_min_percent: int = 5
    pinned: tuple[int, ...] = ()
    fixed: tuple[str, ...] = ()
    capacities: Capacities = Capacities()


async def propose(store: Store, question: PlanQuestion) -> dict[str, Any]:
    """The plan with what it rests on, ready for JSON."""
    rest_s = 0.0 if question.kind == "drain" else question.rest_s
    return work_out(await load(store, rest_s), question)


def work_out(picture: StoreSnapshot, question: PlanQuestion) -> dict[str, Any]:
    """The plan for one moment; `told` is what `scheduler.plan.moves` reads again."""
    plan = _plan(picture, question)
    ids = {row.uuid: row for row in picture.vms}
    times = timeline(plan, question.capacities)
    hosts = {move.source for move in plan.moves} | {move.target for move in plan.moves}
    found = {id_: picture.fleet.host(id_) for id_ in sorted(hosts | set(plan.closes))}
    blocked = {str(each.vm) for each in plan.blocked}
    names = {str(row.uuid): row.name for row in picture.vms}
    return {
        "told": to_mapping(plan),
        "vms": {str(move.vm): ids[move.vm].id for move in plan.moves},
        "names": {
            vm: names[vm]
            for vm in sorted({*(str(each.vm) for each in plan.moves), *blocked})
            if vm in names
        },
        "movedByOthers": _moved_by_others(picture, question),
        "begins": list(times.begins),
        "ends": list(times.ends),
        "makespan": times.makespan,
        "bound": times.bound,
        "rules": picture.fleet.rules.version,
        "characters": {str(id_): host.character for id_, host in found.items() if host},
    }


_LEFT_OUT = "{} balances this machine's cluster, so it is left out"
_COMES_BACK = "{} may bring virtual machines back: put the machine into maintenance"


def _moved_by_others(picture: StoreSnapshot, question: PlanQuestion) -> list[dict[str, Any]]:
    """Hosts of the plan whose VMs somebody else moves. Two who balance would undo each other's
    moves; emptying a host is an administrator's wish, and is warned of only."""
    drains = question.kind == "drain"
    found = ((id_, mover, picture.fleet.host(id_)) for id_, mover in picture.movers.items())
    return [
        {
            "machine": id_,
            "name": host.name,
            "movedBy": mover,
            "message": (_COMES_BACK if drains else _LEFT_OUT).format(mover),
        }
        for id_, mover, host in found
        if host is not None
        and host.datacenter == question.datacenter
        and (not drains or id_ == question.host)
    ]


def _resident(row: ResidentRow, question: PlanQuestion) -> MovableVm:
    found = resident(row)
    if row.type in question.fixed:
        return replace(found, pinned=UNSUPPORTED)
    return replace(found, pinned=PINNED) if row.id in question.pinned else found


def _plan(picture: StoreSnapshot, question: PlanQuestion) -> Plan:
    terms = Terms(
        moves_max_percent=question.moves_max_percent,
        saved_min=question.saved_min,
        gain_min_percent=question.gain_min_percent,
        left_out=frozenset(picture.movers),
    )
    found = [
        _resident(row, question) for row in picture.vms if row.datacenter_id == question.datacenter
    ]
    match question.kind:
        case "drain":
            assert question.host is not None
            policy = picture.fleet.rules.policy(question.datacenter)
            return drain(question.host, picture.fleet, found, terms, policy)
        case "rebalance":
            return even(picture.fleet, found, terms)
        case "consolidate":
            return consolidate(picture.fleet, found, terms)
        case _:
            raise ValueError(question.kind)
