"""A rig is two hosts of one kind, a driver on them, and the means to hurt them; tests say what
they need in these words and never which driver they are on."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

from drivers.contract import (
    Deploy,
    Disk,
    Driver,
    LeaseLost,
    Location,
    Nic,
    Order,
    Permit,
    Power,
    PowerRequest,
    Relocate,
    Ticket,
    VmSpec,
)
from drivers.facts import Facts
from drivers.faults import Unreachable

MIB = 2**20
PATIENCE_S = 30.0


class Rig(ABC):
    """Two hosts, `first` and `second`; both see `shared`, and each has a datastore `local`."""

    driver: Driver
    first: str
    second: str
    template = "template"

    @abstractmethod
    def impatient(self) -> Driver:
        """Another driver of the same hosts, which waits half a second for anything."""

    @abstractmethod
    def slow(self) -> Driver:
        """Another driver of the same hosts, whose moves take long enough to be looked at."""

    @abstractmethod
    async def volumes(self, at: Location) -> set[str]:
        """The disks in a datastore as its own folder shows them, the templates left out."""

    @abstractmethod
    async def everything(self, host: str) -> set[UUID]:
        """All VMs of a host as its administrator sees them."""

    @abstractmethod
    async def foreign(self, host: str) -> UUID:
        """A running VM that somebody else made."""

    @abstractmethod
    async def guest_is_up(self, vm: UUID, times: int) -> None:
        """Wait until the guest has booted for the `times`th time."""

    @abstractmethod
    def boots(self, vm: UUID) -> int:
        """How often the guest has booted in all its life."""

    @abstractmethod
    async def cut(self, host: str) -> None:
        """Nobody answers there; its VMs go on."""

    @abstractmethod
    async def mend(self, host: str) -> None:
        """It answers again."""

    @abstractmethod
    async def freeze(self, host: str) -> None:
        """Calls to the host hang."""

    @abstractmethod
    async def thaw(self, host: str) -> None:
        """The host goes on where it stood."""

    @abstractmethod
    async def lose_power(self, host: str) -> None:
        """The host and its VMs stop at once."""

    @abstractmethod
    async def boot(self, host: str) -> None:
        """The host is back after a power loss."""

    async def others_answer(self, driver: Driver) -> None:
        """Hosts that a frozen `first` must not delay, in the same event loop."""
        assert (await surveyed(driver, self.second)).vms == ()

    @abstractmethod
    async def started_deaf(self) -> VmSpec:
        """A running VM on the first host whose guest ignores the power button."""

    # -- the words of tests --------------------------------------------------------------------

    def at(self, host: str, *, shared: bool = True) -> Location:
        """A place on `host`: the shared datastore or its own."""
        return Location(host, "shared" if shared else "local", shared)

    def spec(self) -> VmSpec:
        """A VM that nobody made yet; its disk's name is right only after `made_by`."""
        vm = uuid4()
        mac = "02:00:" + ":".join(vm.hex[at : at + 2] for at in range(0, 8, 2))
        disk = Disk(f"{vm}-none", self.template, MIB)
        return VmSpec(vm, f"vm-{vm}", 1, 16, disk, (Nic(mac, "default"),))

    async def deployed(self, at: Location | None = None) -> VmSpec:
        """A VM that is off."""
        permit = permitted()
        spec = made_by(permit.task, self.spec())
        await self.driver.deploy(permit, Deploy(spec, at or self.at(self.first)))
        return spec

    async def started(self, at: Location | None = None) -> VmSpec:
        """A VM whose guest is up and listens."""
        spec = await self.deployed(at)
        await self.power(spec, PowerRequest.ON, at.host if at else self.first)
        await self.guest_is_up(spec.vm, 1)
        return spec

    async def power(self, spec: VmSpec, request: PowerRequest, host: str = "") -> None:
        """Ask for a power state, with nothing special about it."""
        await self.driver.power(permitted(), Power(spec.vm, host or self.first, request, 10.0))

    def relocation(self, spec: VmSpec, *, shared: bool = True) -> tuple[Permit, Relocate]:
        """A move from the first host to the second, by a task of its own."""
        permit = permitted()
        source, target = self.at(self.first, shared=shared), self.at(self.second, shared=shared)
        after = spec if shared else made_by(permit.task, spec)
        return permit, Relocate(after, source, target, spec.disk.volume)


async def surveyed(driver: Driver, host: str) -> Facts:
    """What a survey shows of one host; Unreachable if it does not show the host."""
    for endpoint, hosts in driver.endpoints().items():
        if host not in hosts:
            continue
        facts = await driver.survey(endpoint)
        assert facts.endpoint == endpoint
        assert {one.name for one in facts.hosts} <= set(hosts)
        assert {vm.host for vm in facts.vms} <= {one.name for one in facts.hosts}
        seen = tuple(one for one in facts.hosts if one.name == host)
        if seen:
            vms = tuple(vm for vm in facts.vms if vm.host == host)
            return Facts(endpoint, facts.taken_at, seen, vms)
    raise Unreachable(f"{host} was not seen", host=host)


def permitted(task: UUID | None = None) -> Permit:
    """A permit that holds."""
    return Permit(task or uuid4(), "step", lambda: None)


def permitted_times(task: UUID, times: int) -> Permit:
    """A permit that holds for so many questions and is lost from then on."""
    left = iter(range(times))

    def check() -> None:
        if next(left, None) is None:
            raise LeaseLost("the lease has run out")

    return Permit(task, "step", check)


async def cut_short(call: Awaitable[None]) -> bool:
    """Whether the call ended for want of its permit."""
    try:
        await call
    except LeaseLost:
        return True
    return False


def ticket(permit: Permit, order: Order) -> Ticket:
    """What a saga would have committed before the call."""
    return Ticket(permit.task, permit.step, order)


def made_by(task: UUID, spec: VmSpec) -> VmSpec:
    """The VM with the disk's name of the task that makes it."""
    disk = Disk(f"{spec.vm}-{task}", spec.disk.template, spec.disk.capacity_bytes)
    return VmSpec(spec.vm, spec.name, spec.cpu, spec.ram_mib, disk, spec.nics)


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something outside of our reach is so."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds():
            try:
                await asyncio.wait_for(asyncio.Event().wait(), 0.01)
            except TimeoutError:
                continue


@asynccontextmanager
async def closing(driver: Driver) -> AsyncIterator[Driver]:
    """Close the driver afterwards."""
    try:
        yield driver
    finally:
        await driver.aclose()


@asynccontextmanager
async def reported(driver: Driver, *wanted: tuple[str, UUID | None, str]) -> AsyncIterator[None]:
    """What happens inside is reported: each (host, VM, change) at least once."""
    missing = set(wanted)

    async def listen() -> None:
        stream = driver.changes()
        async for change in stream:
            missing.discard((change.host, change.vm, change.what.value))
            if not missing:
                return

    listening = asyncio.create_task(listen())
    await asyncio.sleep(0)  # it listens from now on
    try:
        yield
        await asyncio.wait({listening}, timeout=PATIENCE_S)
        assert not missing
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
