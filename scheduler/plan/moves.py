"""A plan is a value: ordered moves with their reasons, which a service stores, shows and runs.

A move waits for those in its `after`, and for nothing else: in any order that respects this,
each move finds the room that it needs, also when other moves are never made.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from scheduler.model.values import replace


class MoveCause(StrEnum):
    """What a move is for."""

    EMPTIES = "EMPTIES"
    """It takes a VM off a host that is to have none."""
    MAKES_ROOM = "MAKES_ROOM"
    """It lets another VM in where this one was."""
    STEPS_ASIDE = "STEPS_ASIDE"
    """It goes out of the way for a while, since a circle of moves has no beginning."""
    EVENS = "EVENS"
    """It lowers the load of a fuller host."""


@dataclass(frozen=True, slots=True)
class MoveCost:
    """What has to be copied; no memory for a stopped VM, no disks on a shared datastore."""

    ram_mib: int
    disk_bytes: int


@dataclass(frozen=True, slots=True)
class PlannedMove:
    """One relocation, which leaves the datastore `leaves` for `datastore`, maybe the same.

    `after` are the positions in the plan of the moves it waits for.

    `gain` is in parts of capacity.WHOLE: its part of a host emptied, or of the load lowered.
    """

    vm: UUID
    source: int
    target: int
    leaves: int
    datastore: int
    reason: MoveCause
    gain: int
    cost: MoveCost
    after: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Blocked:
    """A VM that should move and does not: closed reasons, and a sentence for people."""

    vm: UUID
    host: int
    reasons: tuple[str, ...]
    told: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """Moves in an order that works. Hosts in `closes` must take no VM before the first move.

    `empties` become empty when all moves are made, `opens` were empty before; a host counts
    in `hosts_before` and `hosts_after` when it has any VM. `lived` tells how many VMs each host
    had that the moves touch, with one more for promises to VMs that nobody knows.
    """

    goal: str
    moves: tuple[PlannedMove, ...] = ()
    blocked: tuple[Blocked, ...] = ()
    hosts_before: int = 0
    hosts_after: int = 0
    closes: tuple[int, ...] = ()
    empties: tuple[int, ...] = ()
    opens: tuple[int, ...] = ()
    lived: tuple[tuple[int, int], ...] = ()


def emptied_and_opened(
    lived: Iterable[tuple[int, int]], moves: Iterable[PlannedMove]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The hosts that lose their last VM by the moves, and those that get their first, by id."""
    before = dict(lived)
    after = Counter(before)
    for move in moves:
        after[move.source] -= 1
        after[move.target] += 1
    return (
        tuple(host for host in sorted(before) if before[host] and not after[host]),
        tuple(host for host in sorted(before) if not before[host] and after[host]),
    )


def needed(plan: Plan, chosen: Iterable[int]) -> tuple[int, ...]:
    """The chosen positions and all that these wait for, in the order of the plan."""
    wanted: set[int] = set()
    ahead = list(chosen)
    while ahead:
        position = ahead.pop()
        if position not in wanted:
            wanted.add(position)
            ahead.extend(plan.moves[position].after)
    return tuple(sorted(wanted))


def part(plan: Plan, chosen: Iterable[int]) -> Plan:
    """The plan that makes only the chosen moves and those they need."""
    kept = needed(plan, chosen)
    place = {position: n for n, position in enumerate(kept)}
    moves = tuple(_moved_up(plan.moves[position], place) for position in kept)
    empties, opens = emptied_and_opened(plan.lived, moves)
    after = plan.hosts_before - len(empties) + len(opens)
    return replace(plan, moves=moves, hosts_after=after, empties=empties, opens=opens)


def _moved_up(move: PlannedMove, place: Mapping[int, int]) -> PlannedMove:
    return replace(move, after=tuple(place[position] for position in move.after))


def to_mapping(plan: Plan) -> dict[str, Any]:
    """The plan as JSON can hold it."""
    return {
        "goal": plan.goal,
        "moves": [_move_to(move) for move in plan.moves],
        "blocked": [_blocked_to(each) for each in plan.blocked],
        "hostsBefore": plan.hosts_before,
        "hostsAfter": plan.hosts_after,
        "closes": list(plan.closes),
        "empties": list(plan.empties),
        "opens": list(plan.opens),
        "lived": [list(each) for each in plan.lived],
    }


def from_mapping(told: Mapping[str, Any]) -> Plan:
    """The plan that `to_mapping` told; KeyError or ValueError when it is not one."""
    return Plan(
        str(told["goal"]),
        tuple(_move_from(each) for each in told["moves"]),
        tuple(_blocked_from(each) for each in told["blocked"]),
        int(told["hostsBefore"]),
        int(told["hostsAfter"]),
        tuple(told["closes"]),
        tuple(told["empties"]),
        tuple(told["opens"]),
        tuple((int(host), int(count)) for host, count in told["lived"]),
    )


def _move_to(move: PlannedMove) -> dict[str, Any]:
    return {
        "vm": str(move.vm),
        "source": move.source,
        "target": move.target,
        "leaves": move.leaves,
        "datastore": move.datastore,
        "reason": move.reason.value,
        "gain": move.gain,
        "ramMib": move.cost.ram_mib,
        "diskBytes": move.cost.disk_bytes,
        "after": list(move.after),
    }


def _move_from(told: Mapping[str, Any]) -> PlannedMove:
    return PlannedMove(
        UUID(told["vm"]),
        int(told["source"]),
        int(told["target"]),
        int(told["leaves"]),
        int(told["datastore"]),
        MoveCause(told["reason"]),
        int(told["gain"]),
        MoveCost(int(told["ramMib"]), int(told["diskBytes"])),
        tuple(told["after"]),
    )


def _blocked_to(blocked: Blocked) -> dict[str, Any]:
    return {
        "vm": str(blocked.vm),
        "host": blocked.host,
        "reasons": list(blocked.reasons),
        "told": blocked.told,
    }


def _blocked_from(told: Mapping[str, Any]) -> Blocked:
    return Blocked(UUID(told["vm"]), int(told["host"]), tuple(told["reasons"]), str(told["told"]))
