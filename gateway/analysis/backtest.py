"""Looking back: the decisions on record, read page by page, and made again under other rules."""

import time
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from gateway.store import cluster_snapshot
from gateway.store.capacity import checkpoints, decisions
from gateway.store.capacity.decisions import DecisionInOrder
from gateway.store.db.pool import Store, StoreError
from gateway.store.feed import feed
from gateway.store.feed.feed import Told
from gateway.store.rules.rule_versions import Body
from scheduler.decisions import decision
from scheduler.simulation.backtest import Backtest, ChangedDecision, RecordedDecision
from scheduler.simulation.divergence import Sums

LOOK_BACK_S = 90.0
"""For as long decisions are made again, the oldest first; the answer says when it did not do."""
PAGE = 1000
CHANGES = 4000
_WORDS = {"refused_more": "refusedMore", "refused_less": "refusedLess", "moved": "moved"}


@dataclass(slots=True)
class _Walk:
    """How far the record was read."""

    hindsight: Backtest
    start: int
    """The position that the hindsight began at."""
    position: int
    """Of the feed, as it was read."""
    changes: deque[Told] = field(default_factory=deque)
    """Read and not yet heard."""
    first: datetime | None = None
    last: tuple[int, datetime, UUID] | None = None
    lost: int = 0
    """Decisions from before the oldest checkpoint."""
    listed: dict[str, DecisionInOrder] = field(default_factory=dict)
    """Those that are told one by one, by their ids."""
    complete: bool = False


async def look_back(store: Store, rules: Body, days: float) -> dict[str, Any]:
    """What the rules would have made of the requests of the last days, ready for JSON.

    It takes as long as LOOK_BACK_S: not for the event loop. Raises StoreError where the record
    was trimmed meanwhile.
    """
    end = time.monotonic() + LOOK_BACK_S
    async with store.read() as c:
        given = await cluster_snapshot.rules_of(c, rules)
        lowest = await decisions.first_position(c, days)
        start = None if lowest is None else await checkpoints.before(c, lowest)
    if start is None:
        return {"days": days, "requests": 0, "exact": True, "complete": lowest is None}
    walk = _Walk(Backtest(start[1], given), start[0], start[0])
    while not walk.complete and time.monotonic() < end:
        await _turn_page(store, walk, days)
    if walk.complete:
        await _hear(store, walk, None)
    async with store.read() as c:
        names = await decisions.vm_names(c, [one.id for one in walk.listed.values()])
    return _shown(walk, days, names)


async def _turn_page(store: Store, walk: _Walk, days: float) -> None:
    async with store.read() as c:
        page = await decisions.in_order(c, days, walk.last, PAGE)
    for one in page:
        walk.last = (one.position, one.at, one.id)
        walk.first = min(one.at, walk.first or one.at)
        if one.position < walk.start:
            walk.lost += 1
            continue
        await _hear(store, walk, one.position)
        known = walk.hindsight.listed()
        walk.hindsight.ask(
            RecordedDecision(str(one.id), one.vm_id, decision.decode(one.body), one.body)
        )
        if walk.hindsight.listed() != known:
            walk.listed[str(one.id)] = one
    walk.complete = len(page) < PAGE


async def _hear(store: Store, walk: _Walk, until: int | None) -> None:
    """Let the hindsight hear the feed up to a position, or all of it."""
    while True:
        if not walk.changes and not await _read_on(store, walk, until):
            return
        while walk.changes:
            if until is not None and walk.changes[0][0] > until:
                return
            _, kind, id, payload = walk.changes.popleft()
            walk.hindsight.hear((kind, int(id)), payload)


async def _read_on(store: Store, walk: _Walk, until: int | None) -> bool:
    """Read the next changes, unless all up to the position were read; whether there are any."""
    if until is not None and walk.position >= until:
        return False
    async with store.read() as c:
        head, trimmed = await feed.bounds(c)
        if trimmed > walk.position:
            raise StoreError("the record was trimmed while it was read: repeat the request")
        walk.changes.extend(await feed.told(c, walk.position, "inventory", CHANGES))
    walk.position = walk.changes[-1][0] if len(walk.changes) == CHANGES else head
    return bool(walk.changes)


def _shown(walk: _Walk, days: float, names: dict[UUID, str]) -> dict[str, Any]:
    found = walk.hindsight
    unlike = found.first_unlike
    return {
        "days": days,
        "since": None if walk.first is None else walk.first.isoformat(),
        "complete": walk.complete,
        "requests": found.counts["requests"],
        "same": found.counts["same"],
        "otherDatastore": found.counts["restored"],
        "absent": found.counts["absent"],
        "notAskedAgain": found.counts["unasked"] + walk.lost,
        "grown": {
            "count": found.counts["grown"],
            "refused": found.counts["grown_refused"],
            "absent": found.counts["grown_absent"],
        },
        "unknownDepartures": found.counts["unnamed"],
        "exact": found.unlike == 0,
        "unlike": found.unlike,
        "firstUnlike": None if unlike is None else {"decision": unlike[0].id, "why": unlike[1]},
        **{
            word: {
                "count": found.counts[name],
                "listed": [_other(each, walk, names) for each in found.others.get(name, ())],
            }
            for name, word in _WORDS.items()
        },
        "peak": _peak(found.peak_before, found.peak_after),
    }


def _other(each: ChangedDecision, walk: _Walk, names: dict[UUID, str]) -> dict[str, Any]:
    found, recorded = walk.hindsight, walk.listed[each.asked.id]
    chosen = each.asked.decision.chosen
    shown: dict[str, Any] = {
        "decision": each.asked.id,
        "timestamp": recorded.at.isoformat(),
        "kind": recorded.kind,
        "vm": recorded.vm_id,
        "vmName": names.get(recorded.id, ""),
        "hostBefore": None if chosen is None else found.host(chosen.host),
        "hostAfter": None if each.host is None else found.host(each.host),
    }
    if each.refused is not None:
        shown["summary"] = each.refused.summary
        shown["reasons"] = {lack.value: n for lack, n in sorted(each.refused.first.items())}
    return shown


def _peak(before: Sums, after: Sums) -> dict[str, Any]:
    names = ("cpu", "ramMib", "diskBytes")
    return {
        name: {"before": was, "after": now, "change": now - was}
        for name, was, now in zip(names, before, after, strict=True)
    }
