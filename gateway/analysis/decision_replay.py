"""Making a decision again from what the store kept: a checkpoint, the feed, the rows ahead."""

from dataclasses import dataclass
from uuid import UUID

import msgspec

from gateway.store.capacity import checkpoints, decisions
from gateway.store.db.pool import Connection, Store
from scheduler.decisions.decision import Decision, decode
from scheduler.decisions.replay import Replay, replay
from scheduler.fleet.usage_ledger import Key, Row


class NotReplayable(Exception):
    """What is missing, in a few words."""


@dataclass(frozen=True, slots=True)
class Recomputed:
    """What came of making a decision again; `derived` and `hosts` are JSON, ready to be sent."""

    identical: bool
    why: str
    derived: bytes
    hosts: bytes


async def recompute(store: Store, id: UUID) -> Recomputed:
    """The whole table of a decision; raises NotReplayable.

    It may take a second of computing at many hosts: not for the event loop of a service.
    """
    found = await made_again(store, id, table=True)
    return Recomputed(
        found.identical,
        found.why,
        msgspec.json.encode(found.derived),
        msgspec.json.encode(found.hosts),
    )


async def made_again(store: Store, id: UUID, *, table: bool = False) -> Replay:
    """The decision made again; raises NotReplayable."""
    async with store.read() as c:
        stored = await decisions.get(c, id)
        if stored is None:
            raise NotReplayable("it is no longer kept")
        recorded = decode(stored.body)
        rows = await _rows(c, recorded)
    try:
        return replay(recorded, rows, table=table)
    except ValueError as lacking:
        raise NotReplayable(str(lacking)) from lacking


async def _rows(c: Connection, recorded: Decision) -> dict[Key, Row]:
    position = recorded.question.position
    try:
        picture = await checkpoints.at(c, position)
    except LookupError as missing:
        raise NotReplayable(str(missing)) from missing
    return picture.rows
