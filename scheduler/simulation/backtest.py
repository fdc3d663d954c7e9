"""Hindsight: the recorded decisions made again under other rules, in the order they were made.

Each is asked of the rows it was made of, under the limits of the rules, with everybody where
these rules would have put them: who was refused holds nothing, who was placed elsewhere holds it
there, and each leaves when it left in history. Unchanged rules are asked alongside.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from scheduler.decisions.decision import Decision, RefusedDecision, record
from scheduler.decisions.replay import ReplayRows, difference
from scheduler.fleet.usage_ledger import Key, Use
from scheduler.model.demand import Demand, Origin
from scheduler.model.inventory import Host
from scheduler.model.limits import Rules
from scheduler.model.placement import Placement
from scheduler.model.values import replace
from scheduler.simulation.divergence import NOTHING, UNTOLD, Sums, plus
from scheduler.simulation.feed_state import Changes, FeedState, RowState
from scheduler.simulation.occupancy import Stay
from scheduler.simulation.scenarios import BaselineFleet, ScenarioFleet

LISTED_MAX = 50
"""Of each sort of difference; all are counted."""


@dataclass(frozen=True, slots=True)
class RecordedDecision:
    """A decision on record: by its id, of the VM with this number; `body` is how it is kept."""

    id: str
    vm: int
    decision: Decision
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class ChangedDecision:
    """A decision that is another now; `refused` says why, where it is a refusal."""

    asked: RecordedDecision
    host: int | None
    datastore: int | None
    refused: RefusedDecision | None


class Backtest:
    """History from one picture on. What came of it is in the public attributes.

    `refused_more` were placed and are refused now, `refused_less` the other way; `moved` go to
    another host, `restored` to another datastore of the same; `absent` were about a VM that is
    nowhere now. `unasked` cannot be made again and count as they were. `unlike` are decisions
    that do not come back even under unchanged rules, `first_unlike` says of the first why.
    `grown` were given more where they were, `grown_refused` would not have been, `grown_absent`
    are nowhere now. `unnamed` are places given back of which nobody told whose: who had them
    keeps what it has under the draft.
    """

    def __init__(self, picture: ReplayRows, rules: Rules) -> None:
        """Before the first change and decision after the picture."""
        self.counts: Counter[str] = Counter()
        self.others: dict[str, list[ChangedDecision]] = {}
        self.unlike = 0
        self.first_unlike: tuple[RecordedDecision, str] | None = None
        self._told = FeedState(picture)
        self._unchanged = BaselineFleet()
        self._draft = ScenarioFleet(rules)
        self.peak_before = self.peak_after = self._told.use
        for row in picture.rows.values():
            if isinstance(row, Host):
                self._draft.divergence.told(row.id, row.enterprises)

    def hear(self, key: Key, payload: Mapping[str, Any]) -> None:
        """Take in the next change of the feed."""
        vms, before = payload.get("vms"), self._told.stand(key)
        for vm, amounts in vms.items() if vms else ():
            if amounts is None:
                self._draft.divergence.leave(int(vm), key[1])
        self._told.hear(key, payload)
        after = self._told.stand(key)
        if key[0] == "host" and after is not None and after is not before:
            self._draft.divergence.told(key[1], after.use.enterprises)
            if vms is None and before is not None and _freer(before.use, after.use):
                self.counts["unnamed"] += 1
            for vm, amounts in vms.items() if vms else ():
                if amounts is not None:
                    more = plus(_sums(after), NOTHING if before is None else _sums(before), -1)
                    self._resize(int(vm), key[1], tuple(amounts), more)
        self._look_at_peaks()

    def ask(self, asked: RecordedDecision) -> None:
        """Make the next decision again."""
        decision = asked.decision
        self.counts["requests"] += 1
        if decision.question.demand.origin is None:
            self._draft.divergence.forget_unasked(asked.vm)
        if decision.cut and decision.cut != ("nearest",):
            self._leave_as_it_was(asked)
            return
        try:
            changes = self._told.at(decision.question.ahead)
        except ValueError as missing:
            self._notice(asked, str(missing))
            self._leave_as_it_was(asked)
            return
        self._show(changes)
        again = self._unchanged.ask(decision.question)
        if asked.body != record(again):
            why = difference(decision, again)
            if why:
                self._notice(asked, why)
        self._ask_otherwise(asked)
        self._look_at_peaks()

    def listed(self) -> int:
        """How many decisions are told one by one so far."""
        return sum(map(len, self.others.values()))

    def host(self, id: int) -> str:
        """The name of a host, empty where there is none."""
        stand = self._told.stand(("host", id))
        return stand.row.name if stand is not None and isinstance(stand.row, Host) else ""

    def _ask_otherwise(self, asked: RecordedDecision) -> None:
        question, divergence = asked.decision.question, self._draft.divergence
        demand: Demand | None = question.demand
        assert demand is not None
        moves = demand.origin is not None
        if demand.origin is not None:
            self._meet(asked.vm, demand, demand.origin)
            demand = self._from_where_it_is(asked.vm, demand, demand.origin)
        was, now = _recorded(asked.decision), None
        if demand is None:
            self.counts["absent"] += 1
        else:
            answer = self._draft.place(demand, question.share)
            self._judge(asked, demand, answer)
            if answer is not None:
                now = _stay(answer.host, answer.datastore, demand)
        # Of a move that history refused nothing tells the end: it is over at once.
        if was is not None or (now is not None and not moves):
            divergence.enter(asked.vm, was, now)

    def _meet(self, vm: int, demand: Demand, origin: Origin) -> None:
        """A VM from before history began is where it moves from."""
        self._draft.divergence.meet(vm, _stay(origin.host, origin.datastore, demand))

    def _from_where_it_is(self, vm: int, demand: Demand, origin: Origin) -> Demand | None:
        stays = self._draft.divergence.now(vm)
        if not stays:
            return None
        at = stays[-1]
        size = at.demand
        if (size.cpu, size.ram_mib) != (demand.cpu, demand.ram_mib):
            demand = replace(demand, cpu=size.cpu, ram_mib=size.ram_mib)
        if (at.host, at.datastore) == (origin.host, origin.datastore):
            return demand
        fleet = self._draft.fleet
        host, datastore = fleet.host(at.host), fleet.datastore(at.datastore)
        if host is None or datastore is None:
            return None
        there = Origin(
            host.id,
            host.rack,
            host.hypervisor,
            datastore.id,
            datastore.shared,
            origin.reach,
            host.cluster,
        )
        return replace(demand, origin=there)

    def _resize(self, vm: int, host: int, amounts: Sums, more: Sums) -> None:
        """The VM holds so much where it is, and the host holds so much more than before.

        What history granted is asked of the draft. Nothing less is asked for; where a growth was
        refused the VM keeps the smaller of its size and of what history goes on to give it.
        """
        divergence = self._draft.divergence
        known, stays = divergence.was(vm, host), divergence.now(vm)
        if known is None:
            more = (min(more[0], amounts[0]), min(more[1], amounts[1]), 0)
        else:
            more = plus(amounts, _size(known), -1)
        size = _size(stays[-1]) if stays else plus(amounts, more, -1)
        wanted = _wanted(amounts, more, size)
        if more[0] <= 0 and more[1] <= 0:
            divergence.resize(vm, host, amounts, wanted)
            return
        self.counts["grown"] += 1
        divergence.resize(vm, host, amounts, wanted)
        if known is not None and not stays:
            self.counts["grown_absent"] += 1
            return
        self._show(self._told.at(()))
        if self._draft.within(stays[-1].host if stays else host, plus(wanted, size, -1)):
            return
        self.counts["grown_refused"] += 1
        if known is None:
            nobody = Demand(UUID(int=0), *amounts, "", 0)
            divergence.enter(vm, *[Stay(host, UNTOLD, nobody)] * 2)
        divergence.resize(vm, host, amounts, size)

    def _show(self, changes: Changes) -> None:
        self._unchanged.show(changes)
        self._draft.show(changes)

    def _judge(self, asked: RecordedDecision, demand: Demand, answer: Placement | None) -> None:
        chosen = asked.decision.chosen
        if answer is None:
            word = "same" if chosen is None else "refused_more"
        elif chosen is None:
            word = "refused_less"
        elif answer.host != chosen.host:
            word = "moved"
        else:
            word = "same" if answer.datastore == chosen.datastore else "restored"
        self.counts[word] += 1
        listed = self.others.setdefault(word, [])
        if word == "same" or len(listed) >= LISTED_MAX:
            return
        if answer is None:
            listed.append(
                ChangedDecision(
                    asked, None, None, self._draft.refused(asked.decision.question, demand)
                )
            )
        else:
            listed.append(ChangedDecision(asked, answer.host, answer.datastore, None))

    def _leave_as_it_was(self, asked: RecordedDecision) -> None:
        self.counts["unasked"] += 1
        was = _recorded(asked.decision)
        if was is not None:
            self._draft.divergence.enter(asked.vm, was, was)

    def _notice(self, asked: RecordedDecision, why: str) -> None:
        self.unlike += 1
        if self.first_unlike is None:
            self.first_unlike = (asked, why)

    def _look_at_peaks(self) -> None:
        before, more = self._told.use, self._draft.divergence.sums
        after = before if more == NOTHING else plus(before, more, 1)
        self.peak_before = _larger(self.peak_before, before)
        self.peak_after = _larger(self.peak_after, after)


def _freer(before: Use, after: Use) -> bool:
    return after.cpu < before.cpu or after.ram_mib < before.ram_mib


def _sums(stand: RowState) -> Sums:
    return (stand.use.cpu, stand.use.ram_mib, 0)


def _size(stay: Stay) -> Sums:
    return (stay.demand.cpu, stay.demand.ram_mib, stay.demand.disk_bytes)


def _wanted(amounts: Sums, more: Sums, size: Sums) -> Sums:
    """What grew is wanted as it is in history, of the rest the smaller of both."""
    cpu, ram_mib, disk = (
        there if grown > 0 else min(there, here)
        for there, grown, here in zip(amounts, more, size, strict=True)
    )
    return (cpu, ram_mib, disk)


def _larger(peak: Sums, use: Sums) -> Sums:
    if use[0] <= peak[0] and use[1] <= peak[1] and use[2] <= peak[2]:
        return peak
    return (max(peak[0], use[0]), max(peak[1], use[1]), max(peak[2], use[2]))


def _recorded(decision: Decision) -> Stay | None:
    chosen = decision.chosen
    if chosen is None:
        return None
    return _stay(chosen.host, chosen.datastore, decision.question.demand)


def _stay(host: int, datastore: int, demand: Demand) -> Stay:
    if demand.origin is not None or demand.only is not None or demand.refused:
        demand = replace(demand, origin=None, only=None, refused=())
    return Stay(host, datastore, demand)
