"""Deciding on the record: each answer becomes a decision, with the rows that were ahead of the
feed when it was given."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import UUID

from msgspec import Struct

from gateway.store.capacity.decisions import NewDecision, new_id
from scheduler.decisions import decision as decisions
from scheduler.decisions.decision import Decision, NearMiss
from scheduler.decisions.explanation import row as reason_row
from scheduler.decisions.overlay import Overlay, apply_change, diff
from scheduler.fleet.usage_ledger import Key, Row


class Subject(Struct, frozen=True):
    """Whom a decision is about, and the task or the hold it is made for (None for none)."""

    kind: str
    vm_id: int
    enterprise_id: int
    task: UUID | None = None
    hold: UUID | None = None


class AheadOfFeed:
    """The rows of which a fleet shows something else than the feed told up to its position.

    `present` reads a row of the fleet. `touch` comes before whatever changes a row without the
    feed, `hear` with each change of the feed; only rows that changed are compared again.
    """

    def __init__(self, present: Callable[[Key], Row | None]) -> None:
        """None is ahead yet."""
        self._present = present
        self._told: dict[Key, Row | None] = {}
        self._changed: set[Key] = set()
        self._rows: dict[Key, Overlay] = {}

    def touch(self, keys: Iterable[Key]) -> None:
        """These rows are about to change ahead of the feed."""
        for key in keys:
            if key not in self._told:
                self._told[key] = self._present(key)
            self._changed.add(key)

    def hear(self, key: Key, payload: Mapping[str, Any]) -> None:
        """The feed tells a change of this row."""
        if key in self._told:
            self._told[key] = apply_change(self._told[key], payload)
            self._changed.add(key)

    def rows(self) -> tuple[Overlay, ...]:
        """What is ahead now."""
        for key in self._changed:
            found = diff(key, self._told[key], self._present(key))
            if found is None:
                del self._told[key]
                self._rows.pop(key, None)
            else:
                self._rows[key] = found
        self._changed.clear()
        return tuple(self._rows.values())


def to_store(subject: Subject, made: Decision) -> NewDecision:
    """A decision as it is written."""
    return NewDecision(
        id=new_id(),
        kind=subject.kind,
        outcome=made.outcome.value,
        task=subject.task,
        vm_id=subject.vm_id,
        enterprise_id=subject.enterprise_id,
        host_id=None if made.chosen is None else made.chosen.host,
        position=made.question.position,
        rule_set=made.question.rule_set,
        scheduler=made.question.scheduler,
        body=decisions.record(made),
        hold=subject.hold,
    )


def refusal_detail(stored: NewDecision, made: Decision) -> dict[str, Any]:
    """What journal and event keep of a refusal: its counts, the nearest hosts, and where the
    rest is. It does not grow with the fleet."""
    refused = made.refused
    assert refused is not None
    return {
        "decision": str(stored.id),
        "hosts": refused.hosts,
        "counts": {lack.value: count for lack, count in sorted(refused.each.items())},
        "nearest": [miss_row(miss) for miss in refused.nearest],
    }


def miss_row(miss: NearMiss) -> dict[str, Any]:
    """A host that nearly did, ready for JSON."""
    return {
        "host": miss.host,
        "name": miss.name,
        "reasons": [reason_row(reason) for reason in miss.reasons],
    }
