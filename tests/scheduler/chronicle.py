"""A chronicle acts steps out and writes them down twice: as the store would, with decisions and a
feed, and in plain words, for whoever acts them out again under other rules."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from scheduler.decisions.decision import (
    LOCKED_ROWS,
    Decision,
    DecisionQuestion,
    RefusedDecision,
    decode,
    of_answer,
    record,
)
from scheduler.decisions.overlay import diff
from scheduler.decisions.replay import ReplayRows
from scheduler.fleet.fleet import Fleet
from scheduler.fleet.hold_placement import Held, asked_of, place_held, rows_without
from scheduler.fleet.usage_ledger import Key, Row, key_of, use_of, with_use
from scheduler.model.demand import Demand
from scheduler.model.inventory import Host, HostState, RuleSet, Tombstone
from scheduler.model.limits import Rules
from scheduler.model.placement import Placement
from scheduler.model.serialization import to_mapping
from scheduler.model.values import replace
from scheduler.simulation.backtest import RecordedDecision
from scheduler.simulation.occupancy import Stay
from tests.scheduler.books import Books, Size, larger, size_of, sized
from tests.scheduler.players import Step

Names = Mapping[int, Mapping[str, Sequence[int] | None]]


@dataclass(frozen=True, slots=True)
class Deed:
    """What was done: `granted` by history, of a `seat` or to a `size` that is `more`."""

    word: str
    vm: int = 0
    id: str = ""
    demand: Demand | None = None
    granted: bool = False
    seat: int | None = None
    stay: Stay | None = None
    size: Size = (0, 0, 0)
    more: Size = (0, 0, 0)
    host: Host | None = None


@dataclass
class Chronicle:
    """`lags` has the feed tell of placements only at the next other deed."""

    books: Books
    others: Sequence[Rules] = ()
    lags: bool = False
    record: list[tuple[Key, Mapping[str, Any]] | RecordedDecision] = field(default_factory=list)
    deeds: list[Deed] = field(default_factory=list)
    moving: list[int] = field(default_factory=list)
    away: list[tuple[int, Demand]] = field(default_factory=list)
    asked: int = 0

    def __post_init__(self) -> None:
        """The picture is of before anything is done."""
        self.vms = max(self.books.stays, default=0)
        self.seats = 0
        self.told: dict[Key, Row] = {}
        self.generations: dict[Key, int] = {}
        self.tell()
        self.record.clear()
        self.picture = ReplayRows(self.told.values())

    def act(self, steps: Iterable[Step]) -> None:
        """Act all steps out."""
        for step in steps:
            getattr(self, f"_{step.word}")(step)
        self.tell()

    def tell(self, names: Names | None = None) -> None:
        """The feed tells every row that is otherwise, hosts last."""
        present = self.books.rows()
        for key in sorted(present.keys() | self.told.keys(), key=lambda k: (k[0] == "host", k)):
            old, row = self.told.get(key), present.get(key)
            named = (names or {}).get(key[1]) if key[0] == "host" else None
            if row is None:
                assert old is not None
                self._tell_gone(key)
            elif old is None or numbered(row, old.generation) != old or named:
                self._tell_row(key, row, old, named)

    def _tell_gone(self, key: Key) -> None:
        self.generations[key] += 1
        self.record.append((key, to_mapping(Tombstone(*key, self.generations[key]))))
        del self.told[key]

    def _tell_row(self, key: Key, row: Row, old: Row | None, named: Any) -> None:
        generation = self.generations[key] = self.generations.get(key, 0) + 1
        row = self.told[key] = numbered(row, generation)
        if old is None or numbered(with_use(row, use_of(old)), old.generation) != old:
            self.record.append((key, to_mapping(row)))
            return
        use, before = use_of(row), use_of(old)
        payload: dict[str, Any] = {
            "cpu_used": use.cpu,
            "ram_used": use.ram_mib,
            "disk_used": use.disk_bytes,
            "generation": generation,
            "character": 1,
        }
        if isinstance(row, Host):
            payload |= {"enterprises": sorted(use.enterprises), "layers": sorted(use.layers)}
            if named or use.cpu < before.cpu or use.ram_mib < before.ram_mib:
                payload["vms"] = named or {}
        self.record.append((key, payload))

    def _rows(self) -> dict[Key, Row]:
        """As a fleet shows them that knows of every promise."""
        return {key: numbered(row, self.generations[key]) for key, row in self.books.rows().items()}

    def _question(self, demand: Demand) -> DecisionQuestion:
        rows = self._rows()
        seen = [diff(key, self.told[key], row) for key, row in sorted(rows.items())]
        policy, version = self.books.rules.row().policy(1), self.generations["rules", 0]
        return DecisionQuestion(demand, policy, 1, version, tuple(each for each in seen if each))

    def _ask(self, vm: int, demand: Demand, seat: int | None = None) -> Stay | None:
        fleet = Fleet()
        for row in self._rows().values():
            fleet.apply(row)
        question = self._question(demand)
        if seat is None:
            answer = fleet.place(demand, question.policy)
        else:
            held = self._held(seat)
            ahead = [diff(key_of(row), None, row) for row in rows_without(fleet, held)]
            ahead = [*question.ahead, *ahead]
            asked = asked_of(demand, held)
            question = replace(question, demand=asked, ahead=tuple(each for each in ahead if each))
            answer = place_held(fleet, demand, held)
        self._put(vm, of_answer(question, answer))
        found = (answer.host, answer.datastore) if isinstance(answer, Placement) else None
        assert found == self.books.place(demand, seat)
        granted = found is not None
        self.deeds.append(Deed("ask", vm, str(self.asked), demand, granted, seat))
        if found is None:
            return None
        return Stay(*found, replace(demand, origin=None, only=None))

    def _put(self, vm: int, made: Decision) -> None:
        self.asked += 1
        self.record.append(RecordedDecision(str(self.asked), vm, decode(record(made))))

    def _held(self, seat: int) -> Held:
        (stay,) = self.books.stays[seat]
        return Held(stay.host, stay.datastore, *size_of(stay), stay.demand.layer)

    def _deploy(self, step: Step) -> None:
        if step.number % 3 == 0 and self.away:
            vm, demand = self.away.pop(0)
        else:
            self.vms += 1
            vm, demand = self.vms, demand_of(self.vms, step)
        stay = self._ask(vm, demand)
        if stay is None:
            self.away.append((vm, demand))
        else:
            self.books.stays[vm] = [stay]
        if not self.lags:
            self.tell()

    def _remove(self, step: Step) -> None:
        vm = self._settled(step)
        if vm is not None:
            (stay,) = self.books.stays.pop(vm)
            self.deeds.append(Deed("leave", vm))
            self.away.append((vm, stay.demand))
            self.tell({stay.host: {str(vm): None}})

    def _move(self, step: Step) -> None:
        vm = self._settled(step)
        if vm is None:
            return
        demand = self.books.moving(vm, self.books.stays[vm][0].demand)
        if step.number % 2:
            demand = replace(demand, only=frozenset({1 + step.number % len(self.books.hosts)}))
        seat = self._seat_for(vm, step) if step.number % 5 == 0 else None
        stay = self._ask(vm, demand, seat)
        if stay is not None:
            self.books.stays.pop(seat or 0, None)
            self.books.stays[vm].append(stay)
            self.moving.append(vm)
        self.tell()

    def _seat_for(self, vm: int, step: Step) -> int | None:
        """A seat that is held for such a VM."""
        seat = self._seat(step)
        if seat is None:
            return None
        (held,), (stay,) = self.books.stays[seat], self.books.stays[vm]
        suits = held.demand.layer in (None, stay.demand.layer)
        fits = larger(size_of(held), size_of(stay)) == size_of(held)
        return seat if suits and fits else None

    def _settle(self, step: Step) -> None:
        """The oldest open move ends: the VM arrived, or it never will."""
        if self.moving:
            vm, arrived = self.moving.pop(0), step.number % 3 > 0
            left = self.books.stays[vm].pop(0 if arrived else 1)
            self.deeds.append(Deed("settle", vm, granted=arrived))
            self.tell({left.host: {str(vm): None}})

    def _grow(self, step: Step) -> None:
        """Another size where it is: the larger of both is booked until it is done or undone."""
        vm = self._settled(step)
        if vm is None:
            return
        (stay,) = self.books.stays[vm]
        was = size_of(stay)
        size = (step.cpu, step.ram_mib, was[2])
        if not self.books.has_room(vm, larger(was, size)):
            more = replace(stay.demand, cpu=step.cpu, only=frozenset({stay.host}))
            refused = RefusedDecision(1, {}, {}, (), False, "")
            decision = Decision(self._question(more), refused=refused, cut=(LOCKED_ROWS,))
            self._put(vm, decision)
            return
        self._resize(vm, larger(was, size))
        self._resize(vm, size if step.number % 4 else was)

    def _resize(self, vm: int, size: Size) -> None:
        (stay,) = self.books.stays[vm]
        more = tuple(new - old for new, old in zip(size, size_of(stay), strict=True))
        if any(more):
            self.tell()
            self.books.resize(vm, size)
            self.deeds.append(Deed("resize", vm, size=size, more=(more[0], more[1], more[2])))
            self.tell({stay.host: {str(vm): size}})

    def _hold(self, step: Step) -> None:
        demand = replace(demand_of(0, step), enterprise=None)
        found = self.books.place(demand)
        if found is not None:
            self.seats += 1
            stay = Stay(*found, demand)
            self.books.stays[-self.seats] = [stay]
            self.deeds.append(Deed("hold", -self.seats, stay=stay))
        self.tell()

    def _take(self, step: Step) -> None:
        seat = self._seat(step)
        if seat is None:
            return
        self.vms += 1
        (held,) = self.books.stays[seat]
        size = tuple(map(min, size_of(held), (step.cpu, step.ram_mib, step.disk_bytes)))
        whole = sized(Stay(0, 0, demand_of(self.vms, step)), (size[0], size[1], size[2])).demand
        demand = replace(whole, layer=held.demand.layer or whole.layer)
        stay = self._ask(self.vms, demand, seat)
        if stay is not None:
            del self.books.stays[seat]
            self.books.stays[self.vms] = [stay]
        self.tell()

    def _unhold(self, step: Step) -> None:
        seat = self._seat(step)
        if seat is not None:
            del self.books.stays[seat]
            self.deeds.append(Deed("unhold", seat))
            self.tell()

    def _rules(self, step: Step) -> None:
        if self.others:
            self.books.rules = self.others[step.number % len(self.others)]
            self.tell()

    def _close(self, step: Step) -> None:
        row = self.books.hosts[1 + step.number % len(self.books.hosts)]
        state = HostState.HALTED if row.state is HostState.MANAGED else HostState.MANAGED
        changed = replace(row, state=state, cpus=4 + step.number % 8)
        self.books.hosts[row.id] = changed
        self.deeds.append(Deed("host", host=changed))
        self.tell()

    def _settled(self, step: Step) -> int | None:
        vms = sorted(vm for vm in self.books.stays if vm > 0 and vm not in self.moving)
        return vms[step.number % len(vms)] if vms else None

    def _seat(self, step: Step) -> int | None:
        seats = sorted(vm for vm in self.books.stays if vm < 0)
        return seats[step.number % len(seats)] if seats else None


def demand_of(vm: int, step: Step) -> Demand:
    """What the step asks for, for the VM."""
    size = (step.cpu, step.ram_mib, step.disk_bytes)
    return Demand(UUID(int=vm), *size, "KVM", 1, enterprise=step.tenant, layer=step.layer)


def numbered(row: Row, generation: int) -> Row:
    """The row as of a generation."""
    if isinstance(row, RuleSet):
        return replace(row, version=generation)
    return replace(row, generation=generation)
