"""Checkpoints: the inventory exactly as the feed had told it at a position, now and then.

A checkpoint and the feed's changes after it give the rows of any later moment.
"""

import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.store.capacity import inventory
from gateway.store.db.pool import Connection, Store
from gateway.store.feed import feed
from gateway.store.rules import rule_set
from scheduler.decisions.replay import ReplayRows
from scheduler.model.inventory import AggregateScope, Datastore, Host, RuleSet

_LAST = """
select position, body from inventory_checkpoint where position <= $1 order by position desc limit 1
"""
_FIRST = "select position, body from inventory_checkpoint order by position limit 1"
_DUE = """
select not exists (select from inventory_checkpoint)
  or (select count(*) from (select from feed where topic = 'inventory' and position > last.position
                            limit $1) later) >= $1
  or (last.at < clock_timestamp() - make_interval(secs => $2)
      and exists (select from feed where topic = 'inventory' and position > last.position))
from (select max(position) as position, max(at) as at from inventory_checkpoint) last
"""
# Any number will do that nobody else locks; held to the end of the taker's transaction.
_LOCK_KEY = 0x766D_6761_7463
_KINDS = ("host", "datastore", "cluster", "rack", "datacenter")
_BATCH = 2000
_LEVEL = 1


@dataclass(frozen=True, slots=True)
class CheckpointPace:
    """A checkpoint is due after so many changes, or so many seconds with any change."""

    changes: int = 20_000
    seconds: float = 3600.0


async def take(
    store: Store, pace: CheckpointPace, flush: Callable[[], Awaitable[int]]
) -> int | None:
    """Take a checkpoint if one is due and nobody else takes it; its position, else None.

    The rows are read first; then everything they show is told, for `flush` moves it to the feed
    and returns its head. What the feed tells up to there makes the rows exact.
    """
    async with store.transaction() as c:
        if not await alone(c) or not await due(c, pace):
            return None
        async with store.read() as moment:
            position = await feed.head(moment)
            picture = ReplayRows(await _everything(moment))
        head = await flush()
        async with store.read() as later:
            await _follow(later, picture, position, head)
        await c.execute(
            "insert into inventory_checkpoint (position, body) values ($1, $2)",
            head,
            zlib.compress(picture.encode(), _LEVEL),
        )
        return head


async def alone(c: Connection) -> bool:
    """Whether nobody else takes or trims checkpoints until the caller's transaction ends."""
    free: bool = await c.fetchval("select pg_try_advisory_xact_lock($1)", _LOCK_KEY)
    return free


async def due(c: Connection, pace: CheckpointPace) -> bool:
    """Whether it is time for another checkpoint."""
    found: bool = await c.fetchval(_DUE, pace.changes, pace.seconds)
    return found


async def at(c: Connection, position: int) -> ReplayRows:
    """The inventory as the feed had told it at a position; raises LookupError when that is no
    longer, or not yet, kept."""
    last = await c.fetchrow(_LAST, position)
    if last is None:
        raise LookupError(f"no checkpoint is kept from before position {position}")
    picture = ReplayRows.decode(zlib.decompress(last["body"]))
    await _follow(c, picture, last["position"], position)
    return picture


async def before(c: Connection, position: int) -> tuple[int, ReplayRows] | None:
    """The newest checkpoint at or before a position, else the oldest of all; None without any."""
    row = await c.fetchrow(_LAST, position) or await c.fetchrow(_FIRST)
    if row is None:
        return None
    return row["position"], ReplayRows.decode(zlib.decompress(row["body"]))


async def trim(c: Connection, batch: int) -> int:
    """Delete up to `batch` changes and checkpoints that no kept decision needs; how many went.

    Kept are the newest checkpoint at or before the oldest decision's position (the newest of
    all, where there is no decision), and all after it.
    """
    oldest = await c.fetchval(
        """select max(position) from inventory_checkpoint
           where position <= coalesce((select min(position) from decision), position)"""
    )
    if oldest is None:
        return 0
    await c.execute("delete from inventory_checkpoint where position < $1", oldest)
    await c.execute("update feed_head set trimmed = $1 where trimmed < $1", oldest)
    status = await c.execute(
        """delete from feed where position in (
             select position from feed where topic = 'inventory' and position <= $1
             order by position limit $2)""",
        oldest,
        batch,
    )
    return int(status.rsplit(" ", 1)[1])


async def _everything(c: Connection) -> list[Host | Datastore | AggregateScope | RuleSet]:
    found: list[Host | Datastore | AggregateScope | RuleSet] = [await rule_set.read(c)]
    for kind in _KINDS:
        found += await inventory.fetch(c, kind)
    return found


async def _follow(c: Connection, picture: ReplayRows, position: int, until: int) -> None:
    """Let the picture hear the feed's changes after `position`, up to and with `until`."""
    while position < until:
        changes = await feed.after(c, position, "inventory", _BATCH)
        for change in changes:
            if change.position > until:
                return
            picture.hear((change.entity, int(change.entity_id)), change.payload)
        if len(changes) < _BATCH:
            return
        position = changes[-1].position
