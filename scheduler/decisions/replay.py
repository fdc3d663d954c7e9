"""Asking a recorded question again: the same rows, the same scheduler, the same answer.

The rows are those of a checkpoint, the feed's changes up to the question's position, and the
rows that were ahead of it. Here also stands the whole table of hosts, which no record keeps.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from scheduler.decisions.decision import (
    LOCKED_ROWS,
    Decision,
    DecisionQuestion,
    encode,
    of_answer,
    record,
)
from scheduler.decisions.explanation import row as reason_row
from scheduler.decisions.overlay import apply_change, apply_overlay
from scheduler.fleet.candidates import RankedCandidate, better_hosts_rejected
from scheduler.fleet.fleet import Fleet
from scheduler.fleet.ranking import score
from scheduler.fleet.usage_ledger import Key, Row, key_of
from scheduler.model.inventory import AggregateScope, Datastore, Host, RuleSet
from scheduler.model.placement import Placement, Refusal
from scheduler.model.version import VERSION


class ReplayRows:
    """The rows as they were told up to a moment: of two changes to one row the newer stays."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        """The rows of a checkpoint."""
        self.rows: dict[Key, Row] = {key_of(row): row for row in rows}

    def hear(self, key: Key, payload: Mapping[str, Any]) -> None:
        """Take in the next change of the feed."""
        known = self.rows.get(key)
        gone = payload.get("row") == "gone"  # at one generation it outranks a row, as in a ledger
        if known is not None and _generation(payload) < known.generation + (not gone):
            return
        row = apply_change(known, payload)
        if row is None:
            self.rows.pop(key, None)
        else:
            self.rows[key] = row

    def encode(self) -> bytes:
        """The rows as bytes."""
        return _encoder.encode([self._of(kind) for kind in _KINDS])

    @classmethod
    def decode(cls, encoded: bytes) -> "ReplayRows":
        """The picture with these bytes; raises ValueError where they are none."""
        return cls(row for rows in _decoder.decode(encoded) for row in rows)

    def _of(self, kind: type[Row]) -> list[Row]:
        return [row for _, row in sorted(self.rows.items()) if type(row) is kind]


_KINDS = (Host, Datastore, AggregateScope, RuleSet)
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(
    tuple[tuple[Host, ...], tuple[Datastore, ...], tuple[AggregateScope, ...], tuple[RuleSet, ...]]
)


def _generation(payload: Mapping[str, Any]) -> int:
    """The payload's place among the row's changes; a rule set calls it its version."""
    return int(payload["version"] if payload.get("row") == "rules" else payload["generation"])


@dataclass(frozen=True, slots=True)
class Replay:
    """What came of asking again. `why` says what differs, empty where nothing does."""

    again: Decision
    why: str
    hosts: tuple[Mapping[str, Any], ...] = field(default=(), hash=False)
    derived: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def identical(self) -> bool:
        """Whether the answer is the recorded one, byte for byte."""
        return not self.why


def replay(recorded: Decision, rows: Mapping[Key, Row], *, table: bool = False) -> Replay:
    """Ask the recorded question of the rows as they were at its position.

    Raises ValueError where the record or the log lacks what the question needs.
    """
    if "ahead" in recorded.cut:
        raise ValueError("its record was cut: the rows ahead of the feed were too many to keep")
    if LOCKED_ROWS in recorded.cut:
        raise ValueError("the ledger refused it under its own locks; the scheduler was not asked")
    question = recorded.question
    fleet = Fleet()
    for row in apply_overlay(rows, question.ahead).values():
        fleet.apply(row)
    answer = fleet.place(question.demand, question.policy, question.share)
    again = of_answer(_asked_again(question, fleet), answer)
    why = difference(recorded, again)
    if not table:
        return Replay(again, why)
    listed = fleet.candidates(question.demand, question.policy)
    index = fleet.index(question.demand.datacenter)
    short = index is not None and index.short(question.policy)
    scores = {host.id: score(question.policy, host, question.demand, short) for host, *_ in listed}
    told = tuple(_host(one, scores[one[0].id], answer) for one in listed)
    if isinstance(answer, Refusal):
        return Replay(again, why, told)
    derived = _derived(listed, scores, answer)
    passed = better_hosts_rejected(fleet, question.demand, answer)
    derived["passedOver"] = {lack.value: count for lack, count in passed}
    return Replay(again, why, told, derived)


def _asked_again(question: DecisionQuestion, fleet: Fleet) -> DecisionQuestion:
    return DecisionQuestion(
        question.demand,
        question.policy,
        question.position,
        fleet.rules.version,
        question.ahead,
        question.share,
        question.scheduler,
    )


def difference(recorded: Decision, again: Decision) -> str:
    """In what the decision is another when it is made again; empty where the bytes are the same."""
    if encode(recorded) == record(again):
        return ""
    version = recorded.question.scheduler
    if version != VERSION:
        return f"it was decided by scheduler {version}, and this is scheduler {VERSION}"
    was, now = recorded.question.rule_set, again.question.rule_set
    if was != now:
        return f"it was decided under rule set {was}, and the log has rule set {now}"
    return f"asked again, the answer is {_answer(again)}, and it was {_answer(recorded)}"


def _answer(decision: Decision) -> str:
    if decision.chosen is not None:
        return f"host {decision.chosen.host}, datastore {decision.chosen.datastore}"
    return "a refusal"


def _host(listed: RankedCandidate, score: int, answer: Placement | Refusal) -> dict[str, Any]:
    host, datastore, reasons = listed
    return {
        "host": host.id,
        "name": host.name,
        "chosen": isinstance(answer, Placement) and answer.host == host.id,
        "fits": not reasons,
        "score": score,
        "datastore": None if datastore is None else datastore.id,
        "cpu": {"used": host.cpu_used, "limit": host.cpu_limit},
        "ramMib": {"used": host.ram_used_mib, "limit": host.ram_limit_mib},
        "generation": host.generation,
        "reasons": [reason_row(reason) for reason in reasons],
    }


def _derived(
    listed: Iterable[RankedCandidate], scores: Mapping[int, int], answer: Placement
) -> dict[str, Any]:
    """What a placement's record leaves out: how many would do, and who came next."""
    fitting = [host for host, _, reasons in listed if not reasons]
    others = [host for host in fitting if host.id != answer.host]
    return {
        "fitting": len(fitting),
        "equalScores": sum(scores[host.id] == answer.score for host in others),
        "next": None
        if not others
        else {"host": others[0].id, "name": others[0].name, "score": scores[others[0].id]},
    }
