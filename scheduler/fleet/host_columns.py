"""A section keeps the hosts of one datacenter in columns, so that a search touches no object.

Hosts stand in id order, hence the first of equal scores is the one with the lowest id. Each
change of a host is logged by its slot; whoever keeps an order of hosts reads the log.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scheduler.fleet.usage_ledger import UsageEntry
from scheduler.model.arithmetic import IN_USE_MAX, WHOLE
from scheduler.model.inventory import Host

AMOUNT_MAX = 2**31 - 2
"""CPUs and MiB are columns of 32 bits; a section with larger ones is searched host by host."""
WORD_MAX = 2**62
LOG_MAX = 8192

Bools = NDArray[np.bool_]


class Column:
    """One number a host, as a list for single hosts and as an array for all of them."""

    __slots__ = ("_room", "array", "values")

    def __init__(self, dtype: type[np.generic], size: int) -> None:
        """Room for `size` numbers, none there yet."""
        self.values: list[int] = []
        self._room: NDArray[Any] = np.zeros(max(size, 16), dtype)
        self.array: NDArray[Any] = self._room[:0]

    def append(self, value: int) -> None:
        """One more host."""
        count = len(self.values)
        if count == len(self._room):
            self._room = np.concatenate([self._room, np.zeros_like(self._room)])
        self.values.append(value)
        self._room[count] = value
        self.array = self._room[: count + 1]


class CategoryColumn(Column):
    """What of a host some rules look at, as a number; hosts with the same number are alike.

    `hosts` has one host for each number.
    """

    __slots__ = ("_known", "hosts")

    def __init__(self, size: int) -> None:
        """No host yet."""
        super().__init__(np.int32, size)
        self._known: dict[tuple[object, ...], int] = {}
        self.hosts: list[Host] = []

    def describe(self, slot: int, host: Host, by: tuple[object, ...]) -> bool:
        """The host in the slot is one of those with that in common; whether that is new."""
        index = self._known.setdefault(by, len(self.hosts))
        if index == len(self.hosts):
            self.hosts.append(host)
        if self.values[slot] == index:
            return False
        self.values[slot] = self.array[slot] = index
        return True


class HostColumns:
    """Slots 0, 1, ... hold the hosts; every column has one value a slot.

    `cpu` and `ram` are what is free by the limits (virtual CPUs, MiB), `glad` is the share in use
    plus one, so that 0 is no host. Hosts of one `profile` are alike to the seldom changing rules,
    those of one `place` to aggregated elements, those of one `view` see the same datastores.
    `unused` counts hosts of which nothing is promised.
    `membership` grows when slots
    are given anew, `version` also when a host's profile changes.
    """

    __slots__ = (
        "_members",
        "_scratch",
        "_stale",
        "beyond",
        "cpu",
        "cpu_limit",
        "entries",
        "glad",
        "ids",
        "log",
        "log_base",
        "membership",
        "place",
        "profile",
        "rack",
        "ram",
        "ram_limit",
        "slots",
        "unused",
        "version",
        "view",
    )

    def __init__(self) -> None:
        """No hosts."""
        self._members: dict[int, UsageEntry] = {}
        self._stale = False
        self.version = self.membership = 0
        self._start(0)

    def _start(self, size: int) -> None:
        self.ids: list[int] = []
        self.slots: dict[int, int] = {}
        self.entries: list[UsageEntry] = []
        self.cpu = Column(np.int32, size)
        self.ram = Column(np.int32, size)
        self.glad = Column(np.int64, size)
        self.profile, self.place, self.view = (
            CategoryColumn(size),
            CategoryColumn(size),
            CategoryColumn(size),
        )
        self.cpu_limit = Column(np.int64, size)
        self.ram_limit = Column(np.int64, size)
        self.rack = Column(np.int64, size)
        self.log: list[int] = []
        self.log_base = 0
        self.beyond = False
        self.unused = 0
        self._scratch = _scratch(0)
        self.version += 1
        self.membership += 1

    def __len__(self) -> int:
        """How many hosts there are."""
        return len(self._members)

    def members(self) -> tuple[int, ...]:
        """The ids of all hosts."""
        return tuple(self._members)

    def put(self, id: int, entry: UsageEntry) -> None:
        """A host came, or changed in any way."""
        slot = None if self._stale else self.slots.get(id)
        self._members[id] = entry
        if slot is not None:
            self._describe(slot, entry)
            self.touch(slot)
        elif self._stale or (self.ids and id < self.ids[-1]):
            self._stale = True
        else:
            self._append(id, entry)

    def drop(self, id: int) -> None:
        """A host left."""
        if self._members.pop(id, None) is not None:
            self._stale = True

    def ready(self) -> bool:
        """Make the columns anew where hosts left or came out of order; whether that was done."""
        if not self._stale:
            return False
        self._stale = False
        self._start(len(self._members))
        for id in sorted(self._members):
            self._append(id, self._members[id])
        return True

    def scratch(self) -> tuple[Bools, Bools, NDArray[np.int64]]:
        """Room for one search's columns: two of bools and one of numbers, used again each time."""
        if len(self._scratch[0]) != len(self.ids):
            self._scratch = _scratch(len(self.ids))
        return self._scratch

    def touch(self, slot: int) -> None:
        """What is promised of a host, or allowed, changed."""
        entry = self.entries[slot]
        row = entry.row
        assert isinstance(row, Host)
        cpu_limit, ram_limit = row.cpu_limit, row.ram_limit_mib
        cpu, ram = cpu_limit - entry.cpu, ram_limit - entry.ram
        if cpu > AMOUNT_MAX or ram > AMOUNT_MAX or cpu < -AMOUNT_MAX or ram < -AMOUNT_MAX:
            self.beyond, cpu, ram = True, 0, 0
        self.cpu.values[slot] = self.cpu.array[slot] = cpu
        self.ram.values[slot] = self.ram.array[slot] = ram
        glad = in_use(entry.cpu, cpu_limit, entry.ram, ram_limit) + 1
        self.unused += (glad == 1) - (self.glad.values[slot] == 1)
        self.glad.values[slot] = self.glad.array[slot] = glad
        self.log.append(slot)
        if len(self.log) > LOG_MAX:
            del self.log[: LOG_MAX // 2]
            self.log_base += LOG_MAX // 2

    def _append(self, id: int, entry: UsageEntry) -> None:
        slot = len(self.ids)
        self.ids.append(id)
        self.slots[id] = slot
        self.entries.append(entry)
        for column in (self.cpu, self.ram, self.cpu_limit, self.ram_limit, self.glad):
            column.append(0)
        for column in (self.rack, self.profile, self.place, self.view):
            column.append(-1)
        self._describe(slot, entry)
        self.touch(slot)
        self.version += 1
        self.membership += 1

    def _describe(self, slot: int, entry: UsageEntry) -> None:
        """What seldom changes; whoever keeps eligibility by profile sees the version grow."""
        row = entry.row
        assert isinstance(row, Host)
        known = (row.state, row.reachable, row.type, row.networks, row.reserved_for)
        if self.profile.describe(slot, row, known):
            self.version += 1
        self.place.describe(slot, row, (row.rack, row.cluster))
        self.view.describe(slot, row, row.datastores)
        self.cpu_limit.values[slot] = self.cpu_limit.array[slot] = min(row.cpu_limit, WORD_MAX)
        self.ram_limit.values[slot] = self.ram_limit.array[slot] = min(row.ram_limit_mib, WORD_MAX)
        self.rack.values[slot] = self.rack.array[slot] = row.rack


def _scratch(size: int) -> tuple[Bools, Bools, NDArray[np.int64]]:
    return np.empty(size, bool), np.empty(size, bool), np.empty(size, np.int64)


def in_use(cpu: int, cpu_limit: int, ram: int, ram_limit: int) -> int:
    """The same as `capacity.in_use` of both resources, without its loop."""
    if cpu_limit <= 0:
        cpu, cpu_limit = 1, 1
    if ram_limit <= 0:
        ram, ram_limit = 1, 1
    shares = -(-(cpu * ram_limit + ram * cpu_limit) * WHOLE // (cpu_limit * ram_limit))
    return shares if shares < IN_USE_MAX else IN_USE_MAX
