"""Two fleets go along with history: one sees it as it was, the other as the draft would have it."""

from scheduler.decisions.decision import (
    Chosen,
    Decision,
    DecisionQuestion,
    RefusedDecision,
    of_answer,
)
from scheduler.fleet.fleet import Fleet
from scheduler.fleet.usage_ledger import RULES, Key, Row, Use, with_use
from scheduler.model.demand import Demand
from scheduler.model.host_partition import HostPartition
from scheduler.model.inventory import AggregateScope, Datastore, Host, RuleSet, Tombstone
from scheduler.model.limits import Rules
from scheduler.model.placement import HostCounts, Placement
from scheduler.model.values import replace
from scheduler.simulation.divergence import NOTHING, Divergence, Sums, plus
from scheduler.simulation.feed_state import Changes, RowState, row_state_of
from scheduler.simulation.scenario_limits import ScenarioLimits, elements, shape

_SCOPES = frozenset({"cluster", "rack", "datacenter"})
_NOBODY: frozenset[int] = frozenset()


class ReplayedFleet:
    """A fleet that takes whatever row it is shown last, also an older one."""

    def __init__(self) -> None:
        """Nothing was shown."""
        self.fleet = Fleet()
        self._stands: dict[Key, RowState] = {}
        self._generations: dict[Key, int] = {}

    def show(self, changes: Changes) -> None:
        """These rows are so now."""
        for key, stand in changes.items():
            self._show(key, stand)

    def stand(self, key: Key) -> RowState | None:
        """A row as it was shown."""
        return self._stands.get(key)

    def _show(self, key: Key, stand: RowState | None) -> None:
        known = self._stands.get(key)
        if stand is None:
            if known is not None:
                del self._stands[key]
                self.fleet.apply(Tombstone(*key, self._next(key)))
            return
        self._stands[key] = stand
        if known is None or not (known.row is stand.row or known.row == stand.row):
            row, generation = with_use(stand.row, stand.use), self._next(key)
            if isinstance(row, RuleSet):
                self.fleet.apply(replace(row, version=generation))
            else:
                self.fleet.apply(replace(row, generation=generation))
        elif known.use != stand.use:
            self.fleet.use(key, stand.use)

    def _next(self, key: Key) -> int:
        generation = self._generations[key] = self._generations.get(key, 0) + 1
        return generation


class BaselineFleet(ReplayedFleet):
    """History as it was: each recorded question has its recorded answer."""

    def ask(self, question: DecisionQuestion) -> Decision:
        """The decision that the question is now, with the generations that were recorded."""
        answer = self.fleet.place(question.demand, question.policy, question.share)
        rules = self.stand(RULES)
        version = 0 if rules is None else rules.generation
        made = of_answer(_asked_now(question, version), answer)
        if made.chosen is None:
            return made
        return Decision(made.question, self._as_recorded(made.chosen))

    def _as_recorded(self, chosen: Chosen) -> Chosen:
        stands = [(one, self.stand((one.kind, one.id))) for one in chosen.seen]
        seen = tuple(
            [
                HostCounts(
                    one.kind,
                    one.id,
                    0 if stand is None else stand.generation,
                    one.character,
                    one.cpu,
                    one.ram_mib,
                    one.disk_bytes,
                )
                for one, stand in stands
            ]
        )
        return Chosen(chosen.host, chosen.datastore, chosen.score, seen)


class ScenarioFleet(ReplayedFleet):
    """History under other rules: limits follow from them, use from who is elsewhere now."""

    def __init__(self, rules: Rules) -> None:
        """Nobody is elsewhere yet."""
        super().__init__()
        self.divergence = Divergence(self._scopes_of)
        self._limiting = ScenarioLimits(rules)
        self._past: dict[Key, RowState] = {}
        self._limited: dict[Key, tuple[Row, Row]] = {}
        self._scopes: dict[Key, AggregateScope] = {}
        self._sums: dict[Key, Sums] = {}

    def place(self, demand: Demand, share: HostPartition | None) -> Placement | None:
        """What is chosen under these rules, None where nothing is."""
        policy = self.fleet.rules.policy(demand.datacenter)
        return self.fleet.find(demand, policy, share)

    def refused(self, question: DecisionQuestion, demand: Demand) -> RefusedDecision | None:
        """Why nothing is chosen."""
        policy = self.fleet.rules.policy(demand.datacenter)
        return of_answer(question, self.fleet.place(demand, policy, question.share)).refused

    def within(self, host: int, more: Sums) -> bool:
        """Whether so much more, counted in already, is within the limits of host and sums."""
        row = self.fleet.host(host)
        if row is None:
            return False
        scopes = (self.fleet.scope(*key) for key in elements(row))
        rows: list[Host | AggregateScope] = [row, *(scope for scope in scopes if scope is not None)]
        cpu, ram_mib, _ = more
        return all(
            (cpu <= 0 or each.cpu_limit is None or each.cpu_used <= each.cpu_limit)
            and (
                ram_mib <= 0
                or each.ram_limit_mib is None
                or each.ram_used_mib <= each.ram_limit_mib
            )
            for each in rows
        )

    def show(self, changes: Changes) -> None:
        """These rows of history are so now; those of whoever is elsewhere follow."""
        touched = set(changes)
        resized = False
        for key, stand in changes.items():
            old = self._past.pop(key, None)
            if stand is not None:
                self._past[key] = stand
            was, now = old and old.row, stand and stand.row
            if was is not now:
                resized |= shape(was) != shape(now)
                resized |= key[0] in _SCOPES and (was is None) != (now is None)
            if self._sums:
                touched |= self._sum_up(old, -1) | self._sum_up(stand, 1)
        if resized:
            touched |= self._measure()
        touched |= self.divergence.changed
        self.divergence.changed.clear()
        for key in touched:
            self._show(key, self._now(key))

    def _now(self, key: Key) -> RowState | None:
        past = self._past.get(key)
        if key[0] in _SCOPES:
            scope = self._scopes.get(key)
            if scope is None:
                return None
            stand = row_state_of(scope) if past is None else past
            row: Row = self._with_limits_of(scope, stand.row)
            use = stand.use if past is not None else Use(*self._sums[key], _NOBODY, _NOBODY)
            return RowState(row, self.divergence.on(key, use), 0)
        if key == RULES:
            return row_state_of(self._limiting.rule_set(past and past.row))
        if past is None:
            return None
        known = self._limited.get(key)
        if known is None or known[0] is not past.row:
            assert isinstance(past.row, Host | Datastore)
            known = self._limited[key] = (past.row, self._limiting.on(past.row))
        return RowState(known[1], self.divergence.on(key, past.use), 0)

    def _with_limits_of(self, scope: AggregateScope, row: Row) -> AggregateScope:
        assert isinstance(row, AggregateScope)
        return replace(
            row,
            cpu_limit=scope.cpu_limit,
            ram_limit_mib=scope.ram_limit_mib,
            rule=scope.rule,
        )

    def _sum_up(self, host: RowState | None, sign: int) -> set[Key]:
        """Elements that history kept no sum of have that of their hosts: these."""
        if host is None or not isinstance(host.row, Host):
            return set()
        keys = self._sums.keys() & set(elements(host.row))
        for key in keys:
            use = (host.use.cpu, host.use.ram_mib, 0)
            self._sums[key] = plus(self._sums[key], use, sign)
        return keys

    def _measure(self) -> set[Key]:
        """Work out the limits of sums anew; the sums that may be otherwise."""
        before = set(self._scopes)
        stands = list(self._past.values())
        hosts = [stand.row for stand in stands if isinstance(stand.row, Host)]
        scopes = [stand.row for stand in stands if isinstance(stand.row, AggregateScope)]
        found = self._limiting.scopes(hosts, scopes)
        self._scopes = {(scope.kind, scope.id): scope for scope in found}
        self._sums = dict.fromkeys(self._scopes.keys() - self._past.keys(), NOTHING)
        for stand in stands if self._sums else ():
            self._sum_up(stand, 1)
        return before | set(self._scopes)

    def _scopes_of(self, host: int) -> tuple[Key, ...]:
        past = self._past.get(("host", host))
        return elements(past.row) if past is not None and isinstance(past.row, Host) else ()


def _asked_now(question: DecisionQuestion, rule_set: int) -> DecisionQuestion:
    return DecisionQuestion(
        question.demand,
        question.policy,
        question.position,
        rule_set,
        question.ahead,
        question.share,
        question.scheduler,
    )
