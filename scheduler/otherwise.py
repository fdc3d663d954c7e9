"""Two fleets go along with history: one sees it as it was, the other as the draft would have it."""

from dataclasses import replace

from scheduler.decision import Chosen, Decision, Question, of_answer
from scheduler.demand import Demand
from scheduler.divergence import NOTHING, Divergence, Sums, plus
from scheduler.fleet import Fleet
from scheduler.inventory import Datastore, Gone, Host, RuleSet, Scope
from scheduler.ledger import RULES, Key, Row
from scheduler.limits import Rules
from scheduler.placement import Placement, Refusal
from scheduler.share import Share
from scheduler.told import Changes, Limiting, elements, shape

_SCOPES = frozenset({"cluster", "rack", "datacenter"})


class Shown:
    """A fleet that takes whatever row it is shown last, also an older one."""

    def __init__(self) -> None:
        """Nothing was shown."""
        self.fleet = Fleet()
        self._rows: dict[Key, Row] = {}
        self._generations: dict[Key, int] = {}

    def show(self, changes: Changes) -> None:
        """These rows are so now."""
        for key, row in changes.items():
            if self._rows.get(key) == row:
                continue
            known = self._generations.get(key, -1)
            if row is None:
                del self._rows[key]
                self._generations[key] = known + 1
                self.fleet.apply(Gone(*key, known + 1))
                continue
            self._rows[key] = row
            self._generations[key] = newer = max(known + 1, row.generation)
            if row.generation == newer:
                self.fleet.apply(row)
            elif isinstance(row, RuleSet):
                self.fleet.apply(replace(row, version=newer))
            else:
                self.fleet.apply(replace(row, generation=newer))

    def row(self, key: Key) -> Row | None:
        """A row as it was shown."""
        return self._rows.get(key)


class Unchanged(Shown):
    """History as it was: each recorded question has its recorded answer."""

    def ask(self, question: Question) -> Decision:
        """The decision that the question is now, with the generations that were recorded."""
        answer = self.fleet.place(question.demand, question.policy, question.share)
        rules = self.row(RULES)
        version = rules.version if isinstance(rules, RuleSet) else 0
        made = of_answer(_asked_now(question, version), answer)
        if made.chosen is None:
            return made
        return replace(made, chosen=self._as_recorded(made.chosen))

    def _as_recorded(self, chosen: Chosen) -> Chosen:
        rows = ((seen, self.row((seen.kind, seen.id))) for seen in chosen.seen)
        seen = tuple(
            type(one)(
                one.kind,
                one.id,
                0 if row is None else row.generation,
                one.character,
                one.cpu,
                one.ram_mib,
                one.disk_bytes,
            )
            for one, row in rows
        )
        return replace(chosen, seen=seen)


class Otherwise(Shown):
    """History under other rules: limits follow from them, use from who is elsewhere now."""

    def __init__(self, rules: Rules) -> None:
        """Nobody is elsewhere yet."""
        super().__init__()
        self.divergence = Divergence(self._scopes_of)
        self._limiting = Limiting(rules)
        self._past: dict[Key, Row] = {}
        self._scopes: dict[Key, Scope] = {}
        self._use: dict[Key, Sums] = {}

    def place(self, demand: Demand, share: Share | None) -> Placement | Refusal:
        """What is chosen under these rules."""
        policy = self.fleet.rules.policy(demand.datacenter)
        return self.fleet.place(demand, policy, share)

    def show(self, changes: Changes) -> None:
        """These rows of history are so now; those of whoever is elsewhere follow."""
        touched = set(changes)
        resized = False
        for key, row in changes.items():
            old = self._past.pop(key, None)
            if row is not None:
                self._past[key] = row
            resized |= shape(old) != shape(row)
            resized |= key[0] in _SCOPES and (old is None) != (row is None)
            for each, sign in ((old, -1), (row, 1)):
                if isinstance(each, Host):
                    touched |= self._sum_up(each, sign)
        if resized:
            touched |= self._measure()
        touched |= self.divergence.changed
        self.divergence.changed.clear()
        super().show({key: self._now(key) for key in touched})

    def _now(self, key: Key) -> Row | None:
        row = self._past.get(key)
        if key == RULES:
            return self._limiting.rule_set(row)
        if key[0] in _SCOPES:
            scope = self._scopes.get(key)
            if scope is None:
                return None
            return self.divergence.on(self._limited(scope, row))
        assert row is None or isinstance(row, Host | Datastore)
        return None if row is None else self.divergence.on(self._limiting.on(row))

    def _limited(self, scope: Scope, row: Row | None) -> Scope:
        if isinstance(row, Scope):
            return replace(
                row,
                cpu_limit=scope.cpu_limit,
                ram_limit_mib=scope.ram_limit_mib,
                rule=scope.rule,
            )
        cpu, ram_mib, _ = self._use.get((scope.kind, scope.id), NOTHING)
        return replace(scope, cpu_used=cpu, ram_used_mib=ram_mib)

    def _sum_up(self, host: Host, sign: int) -> set[Key]:
        """Elements that history kept no sum of have that of their hosts; those are told."""
        keys = elements(host)
        for key in keys:
            use = (host.cpu_used, host.ram_used_mib, 0)
            self._use[key] = plus(self._use.get(key, NOTHING), use, sign)
        return {key for key in keys if key in self._scopes}

    def _measure(self) -> set[Key]:
        """Work out the limits of sums anew; the sums that may be otherwise."""
        before = set(self._scopes)
        hosts = [row for row in self._past.values() if isinstance(row, Host)]
        scopes = [row for row in self._past.values() if isinstance(row, Scope)]
        found = self._limiting.scopes(hosts, scopes)
        self._scopes = {(scope.kind, scope.id): scope for scope in found}
        return before | set(self._scopes)

    def _scopes_of(self, host: int) -> tuple[Key, ...]:
        row = self._past.get(("host", host))
        return elements(row) if isinstance(row, Host) else ()


def _asked_now(question: Question, rule_set: int) -> Question:
    return Question(
        question.demand,
        question.policy,
        question.position,
        rule_set,
        question.ahead,
        question.share,
        question.scheduler,
    )
