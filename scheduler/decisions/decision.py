"""A decision is what was asked, of which rows, and what was answered: enough to ask again.

The same scheduler version on the same rows gives the same bytes. What a placement passed over is
not in it: that is worked out on request, so that deciding stays cheap.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct

from scheduler.decisions import explanation
from scheduler.decisions.overlay import Overlay
from scheduler.model.demand import Demand
from scheduler.model.fit_policy import FitPolicy
from scheduler.model.host_partition import HostPartition
from scheduler.model.placement import HostCounts, HostVerdict, Placement, Refusal
from scheduler.model.reason import Reason, ReasonCode
from scheduler.model.values import replace
from scheduler.model.version import VERSION

MISSES_MAX = 5
"""Hosts that nearly did, told with every number."""
REASONS_MAX = 8
"""Reasons told of each of them."""
SUMMARY_MAX = 1000
"""Characters of the summary."""
BYTES_MAX = 64 * 1024
"""Of an encoded decision. What is cut to keep it is named in `cut`: first the misses, then the
rows ahead, without which the decision cannot be repeated."""
LOCKED_ROWS = "locked rows"
"""In `cut` where the ledger refused by itself: which rows it had locked is not kept."""
LOWEST_ID = "lowest id"
_WHOLE = 10**6
_encoder = msgspec.json.Encoder(order="deterministic")


class DecisionOutcome(StrEnum):
    """How a decision ended."""

    PLACED = "placed"
    REFUSED = "refused"


class DecisionQuestion(Struct, frozen=True):
    """What was asked, and of which rows: those of the feed at `position` under those `ahead`.

    `share` is the part of the hosts that was to be tried first, None for all.
    """

    demand: Demand
    policy: FitPolicy
    position: int
    rule_set: int
    ahead: tuple[Overlay, ...] = ()
    share: HostPartition | None = None
    scheduler: str = VERSION


class Chosen(Struct, frozen=True):
    """The place, why it, and every row that the claim rests on."""

    host: int
    datastore: int
    score: int
    seen: tuple[HostCounts, ...]
    tie_break: str = LOWEST_ID


@dataclass(frozen=True, slots=True)
class NearMiss:
    """A host that nearly did."""

    host: int
    name: str
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class RefusedDecision:
    """Why none will do: `first` counts each of the `hosts` once, by the first rule it failed;
    `each` counts the hosts that lack a thing. The summary names no host."""

    hosts: int
    first: Mapping[ReasonCode, int] = field(hash=False)
    each: Mapping[ReasonCode, int] = field(hash=False)
    nearest: tuple[NearMiss, ...]
    lasting: bool
    summary: str


class Decision(Struct, frozen=True):
    """Exactly one of `chosen` and `refused` is there."""

    question: DecisionQuestion
    chosen: Chosen | None = None
    refused: RefusedDecision | None = None
    cut: tuple[str, ...] = ()

    @property
    def outcome(self) -> DecisionOutcome:
        """How it ended."""
        return DecisionOutcome.REFUSED if self.chosen is None else DecisionOutcome.PLACED


def of_answer(question: DecisionQuestion, answer: Placement | Refusal) -> Decision:
    """The decision that this answer to the question is."""
    if isinstance(answer, Placement):
        chosen = Chosen(answer.host, answer.datastore, answer.score, answer.seen)
        return Decision(question, chosen)
    first: Counter[ReasonCode] = Counter()
    each: Counter[ReasonCode] = Counter()
    for lacks, count in answer.patterns:
        first[lacks[0]] += count
        for lack in lacks:
            each[lack] += count
    refused = RefusedDecision(
        answer.hosts,
        dict(first),
        dict(each),
        nearest(answer.verdicts),
        answer.lasting,
        explanation.summary(answer, names=False)[:SUMMARY_MAX],
    )
    return Decision(question, refused=refused)


def nearest(verdicts: Iterable[HostVerdict]) -> tuple[NearMiss, ...]:
    """The hosts that fail the fewest rules, and by the least: those asked for come first."""
    found = heapq.nsmallest(MISSES_MAX, verdicts, key=_distance)
    return tuple(NearMiss(one.host, one.name, one.reasons[:REASONS_MAX]) for one in found)


def encode(decision: Decision) -> bytes:
    """The decision's bytes: equal decisions have equal bytes."""
    return _encoder.encode(decision)


def record(decision: Decision) -> bytes:
    """The bytes that are kept of a decision: its own, cut to `BYTES_MAX` where they are more."""
    encoded = encode(decision)
    if len(encoded) > BYTES_MAX and decision.refused is not None:
        refused = replace(decision.refused, nearest=())
        decision = replace(decision, refused=refused, cut=(*decision.cut, "nearest"))
        encoded = encode(decision)
    if len(encoded) > BYTES_MAX:
        question = replace(decision.question, ahead=())
        encoded = encode(replace(decision, question=question, cut=(*decision.cut, "ahead")))
    return encoded


def decode(encoded: bytes) -> Decision:
    """The decision with these bytes; raises ValueError when there is none."""
    return msgspec.json.decode(encoded, type=Decision)


def to_mapping(decision: Decision) -> dict[str, Any]:
    """The decision in plain values, ready for JSON."""
    found: dict[str, Any] = msgspec.to_builtins(decision, str_keys=True, order="deterministic")
    return found


def from_mapping(mapping: Mapping[str, Any]) -> Decision:
    """The decision in plain values; raises ValueError where they are none."""
    return msgspec.convert(mapping, Decision, str_keys=True)


def _distance(verdict: HostVerdict) -> tuple[bool, int, int, int]:
    """Asked for or not, rules failed, by how much in all, and the id; what is no amount fails
    by as much as there is."""
    unasked = False
    missing = 0
    for reason in verdict.reasons:
        unasked = unasked or reason.lack is ReasonCode.NOT_ASKED
        short, wanted = reason.shortfall, reason.wanted
        if short is None or not isinstance(wanted, int) or wanted <= 0:
            missing += _WHOLE
        else:
            missing += short * _WHOLE // wanted
    return unasked, len(verdict.reasons), missing, verdict.host
