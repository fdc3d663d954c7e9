"""What every driver promises: begun twice under one task id, a call is one piece of work.

An order says everything about a call as plain values, so that its ticket can be committed
before the call and a fresh process can settle it by looking. Every verb returns when the
hypervisor has ended the call or raises one of the six faults; the caller then settles the
ticket, since only what was seen counts as done.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol
from uuid import UUID

import msgspec

from drivers.capabilities import Capabilities
from drivers.changes import StateChange
from drivers.facts import Diagnostic, Facts, Sighting

KEPT_MAX = 8192


class LeaseLost(Exception):
    """The worker's lease is no longer safely ours: begin nothing more, write nothing more."""


async def keep_nothing(text: str) -> None:
    """For calls that no ticket stands for."""


@dataclass(frozen=True, slots=True)
class Permit:
    """The right to touch a hypervisor for one step of one task, asked again before each call.

    `check` raises LeaseLost once the lease, less its margin, has run out. A driver runs it
    in the thread that makes the vendor call, right before the call, every time. It also raises
    once the task is cancelled.

    `keep` stores a text of at most KEPT_MAX bytes, free of secrets, as `Ticket.kept`, in place of
    an earlier one: how to find a begun call again. Awaited in the loop that called the verb,
    before the driver waits for the call's end; what it raises goes on to the verb's caller.
    """

    task: UUID
    step: str
    check: Callable[[], None]
    keep: Callable[[str], Awaitable[None]] = keep_nothing


class PowerRequest(StrEnum):
    """What a power call asks for; SHUTDOWN asks the guest, OFF pulls the plug."""

    ON = "ON"
    OFF = "OFF"
    SHUTDOWN = "SHUTDOWN"
    PAUSE = "PAUSE"
    RESUME = "RESUME"


@dataclass(frozen=True, slots=True)
class HostLink:
    """How a driver reaches one host: its stable name, address and what it calls things there.

    `networks` maps a network's tag to its bridge or network; other hosts see `shared` datastores.
    """

    name: str
    address: str
    networks: Mapping[str, str] = field(default_factory=dict)
    datastores: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()


class Location(msgspec.Struct, frozen=True):
    """A host and one of its datastores; `shared` when other hosts see the same datastore."""

    host: str
    datastore: str
    shared: bool = False


class Disk(msgspec.Struct, frozen=True):
    """The VM's system disk: a thin clone of a template already known to the datastore's host.

    `volume` names the clone, `{vm}-{task}` of the task that made it; sizes in bytes.
    """

    volume: str
    template: str
    capacity_bytes: int
    format: str = "QCOW2_SPARSE"


class Nic(msgspec.Struct, frozen=True):
    """A network interface: a fixed MAC on the network with this tag."""

    mac: str
    network: str
    address: str = ""


class VmSpec(msgspec.Struct, frozen=True):
    """What a VM shall look like; memory in MiB."""

    vm: UUID
    name: str
    cpu: int
    ram_mib: int
    disk: Disk
    nics: tuple[Nic, ...] = ()


class Deploy(msgspec.Struct, frozen=True, tag="deploy"):
    """Create the VM, powered off, at a location."""

    spec: VmSpec
    at: Location


class Power(msgspec.Struct, frozen=True, tag="power"):
    """Change the power of a VM; `grace_s` bounds a SHUTDOWN, `force` pulls the plug after it.

    `release`, with OFF or SHUTDOWN and the capability `deallocation`: the VM shall also give its
    compute back; a VM that is off already gives it back too. `then`, with OFF: the removal that
    follows; where something stands against it, nothing is begun.
    """

    vm: UUID
    host: str
    request: PowerRequest
    grace_s: float = 0.0
    force: bool = False
    release: bool = False
    then: "Remove | None" = None


class Reset(msgspec.Struct, frozen=True, tag="reset"):
    """Press the reset button of a running VM."""

    vm: UUID
    host: str


class Reconfigure(msgspec.Struct, frozen=True, tag="reconfigure"):
    """Give a VM that is off another size."""

    spec: VmSpec
    host: str


class Redeploy(msgspec.Struct, frozen=True, tag="redeploy"):
    """Have the hypervisor start a VM on another machine of its own choice; `host` stays."""

    vm: UUID
    host: str


class Relocate(msgspec.Struct, frozen=True, tag="relocate"):
    """Move a VM, live when it runs; `volume` is its disk at the source.

    To another datastore the disk moves too and is called `spec.disk.volume` there.
    """

    spec: VmSpec
    source: Location
    target: Location
    volume: str


class Remove(msgspec.Struct, frozen=True, tag="remove"):
    """Delete a VM that is off, and its disk."""

    vm: UUID
    at: Location
    volume: str


class Clear(msgspec.Struct, frozen=True, tag="clear"):
    """Delete what a move left at `at`, after the VM was seen living on `lives_on`.

    Only the named volume, and a definition that is not running, may go. An empty `volume`
    leaves every disk alone (shared storage).
    """

    vm: UUID
    at: Location
    lives_on: str
    volume: str = ""


Order = Deploy | Power | Reset | Reconfigure | Redeploy | Relocate | Remove | Clear


class Ticket(msgspec.Struct, frozen=True):
    """Enough for a fresh process to learn what became of a call; `kept` is what the driver had
    kept with it, empty when nothing was (a process may die before)."""

    task: UUID
    step: str
    order: Order
    kept: str = ""


class Verdict(StrEnum):
    """How a settled ticket stands: seen done, still running, seen not begun, or seen failed."""

    DONE = "DONE"
    RUNNING = "RUNNING"
    ABSENT = "ABSENT"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A verdict with what was seen; `reason` says why for FAILED, what a RUNNING one waits for (as
    `Progress.detail`), and `no_capacity` that another place may have the capacity that was wanting.
    A removal that is DONE has a `reason` where the disk of a VM that somebody else took away cannot
    be seen.

    ABSENT: nothing of the call is there and it may safely begin (again). `sighting` is the
    VM after the call, None when the VM is positively gone from the place the order names.
    """

    verdict: Verdict
    sighting: Sighting | None = None
    reason: str = ""
    no_capacity: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a running call is, 0 to 100; None when the hypervisor does not say. `detail`: what
    the call waits for (a question's text, a lock, a quota), empty while it runs; no secrets."""

    percent: int | None
    detail: str = ""


class Driver(Protocol):
    """One hypervisor technology behind one `[hypervisor.NAME]` block, with many hosts.

    An endpoint is what one connection and one survey cover: a host for libvirt, a vCenter with
    all its hosts for vSphere. No method blocks the event loop, and a frozen endpoint delays no
    other.
    """

    @property
    def capabilities(self) -> Capabilities: ...

    def attach(self, link: HostLink) -> None:
        """Know a host from now on; again with other values replaces them.

        Raises AddressError (a ValueError) for an address that may not be used; then the host is
        as it was before. Whatever else it raises is that host's trouble only, too.
        """

    def detach(self, host: str) -> None:
        """Forget a host; its VMs stay as they are."""

    def endpoints(self) -> Mapping[str, tuple[str, ...]]:
        """The names to survey now, each with the hosts it covers; every host is under one."""
        ...

    async def survey(self, endpoint: str) -> Facts:
        """List everything; a partial listing raises Unreachable, it never returns less.

        A host that the endpoint covers and cannot see now is not listed, nor are its VMs: of
        them nothing was seen.
        """
        ...

    async def look(self, vm: UUID, host: str) -> Sighting | None:
        """The VM as seen on `host`; None only when it was positively seen not to be there."""
        ...

    def changes(self) -> AsyncIterator[StateChange]:
        """Reports of all endpoints as they come; some may be lost, surveys make up for it."""
        ...

    async def deploy(self, permit: Permit, order: Deploy) -> None: ...
    async def power(self, permit: Permit, order: Power) -> None: ...
    async def reset(self, permit: Permit, order: Reset) -> None: ...
    async def reconfigure(self, permit: Permit, order: Reconfigure) -> None: ...
    async def redeploy(self, permit: Permit, order: Redeploy) -> None: ...
    async def relocate(self, permit: Permit, order: Relocate) -> None: ...
    async def remove(self, permit: Permit, order: Remove) -> None: ...
    async def clear(self, permit: Permit, order: Clear) -> None: ...

    async def objections(self, order: Order) -> tuple[str, ...]:
        """Why an order would be refused now, each a sentence; only looks, and promises nothing."""
        ...

    async def progress(self, ticket: Ticket) -> Progress:
        """How far the ticket's call is and what it waits for; asked each second while it runs."""
        ...

    async def settle(self, ticket: Ticket) -> Outcome:
        """Look, without changing anything, until the ticket's verdict is known.

        Raises Indeterminate when looking cannot decide and Unreachable when it cannot look.
        """
        ...

    async def cancel(self, permit: Permit, ticket: Ticket) -> None:
        """Ask for the call of any order to stop, without waiting; settle tells what became of it.
        Rejected: it cannot be stopped and runs on. Nothing changes where no such call runs."""

    async def examine(self) -> tuple[Diagnostic, ...]:
        """Whether everything is there that the verbs need; changes nothing, raises no fault."""
        ...

    async def aclose(self) -> None: ...
