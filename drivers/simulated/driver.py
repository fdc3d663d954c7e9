"""The driver of the simulated world: the verbs of the contract, each through its host's lane."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

import msgspec

from drivers.capabilities import HypervisorType
from drivers.changes import Change, StateChange
from drivers.contract import (
    Clear,
    Deploy,
    HostLink,
    Outcome,
    Permit,
    Power,
    PowerRequest,
    Progress,
    Reconfigure,
    Redeploy,
    Relocate,
    Remove,
    Reset,
    Ticket,
    Verdict,
)
from drivers.diagnostics import hosts_seen
from drivers.facts import Diagnostic, Facts, Sighting
from drivers.faults import Rejected, Unreachable, Unsupported, begun
from drivers.host_executor import HostExecutor
from drivers.simulated import operations
from drivers.simulated.address import parse
from drivers.simulated.endings import end
from drivers.simulated.options import SimulatedOptions, capabilities_of
from drivers.simulated.settle import hosts_of, settle, sighting
from drivers.simulated.survey import survey
from drivers.simulated.world import World
from drivers.unable import NothingForeseen

T = TypeVar("T")
_LOOK_EACH_S = 0.05
_FROZEN_LOOK_S = 0.02


class SimulatedDriver(NothingForeseen):
    """All hosts of one `[hypervisor.NAME]` block; each host is an endpoint."""

    def __init__(
        self, name: str, type_: HypervisorType, options: SimulatedOptions, world: World
    ) -> None:
        self.world = world
        self._name = name
        self._options = options
        self._random = random.Random(options.seed)
        self._links: dict[str, HostLink] = {}
        self._lanes: dict[str, HostExecutor] = {}
        self.capabilities = capabilities_of(type_, options)

    def attach(self, link: HostLink) -> None:
        """Know a host, and have it in the world, of its address's size. Raises AddressError."""
        _, size = parse(link.address, local=self._options.local_addresses)
        self.world.add_host(link.name, size)
        self._links[link.name] = link
        if link.name not in self._lanes:
            self._lanes[link.name] = HostExecutor(link.name, width=8, waiting_max=256)

    def detach(self, host: str) -> None:
        """Forget a host; the world keeps it."""
        self._links.pop(host, None)
        lane = self._lanes.pop(host, None)
        if lane is not None:
            lane.close()

    def endpoints(self) -> Mapping[str, tuple[str, ...]]:
        """Every host is surveyed on its own."""
        return {name: (name,) for name in self._links}

    async def survey(self, endpoint: str) -> Facts:
        """Everything on one host."""
        return await self._read(
            endpoint,
            lambda: survey(
                self.world, self._links[endpoint], self._options, self.capabilities.type
            ),
        )

    async def look(self, vm: UUID, host: str) -> Sighting | None:
        """One VM on one host."""
        row = await self._read(
            host,
            lambda: self.world.row("select * from vm where vm = ? and host = ?", str(vm), host),
        )
        return sighting(row) if row is not None else None

    async def changes(self) -> AsyncIterator[StateChange]:
        """The world's log of changes, from now on."""
        last = self.world.row("select max(n) n from change")
        position = int(last["n"] or 0) if last is not None else 0
        while True:
            for row in self.world.rows("select * from change where n > ? order by n", position):
                position = row["n"]
                if row["host"] in self._links:
                    yield StateChange(
                        endpoint=row["host"],
                        host=row["host"],
                        what=Change(row["what"]),
                        seen_at=datetime.fromtimestamp(row["at"], UTC),
                        vm=UUID(row["vm"]) if row["vm"] else None,
                    )
            await asyncio.sleep(_LOOK_EACH_S)

    async def deploy(self, permit: Permit, order: Deploy) -> None:
        """Create the VM, off."""
        task = str(permit.task)
        await self._act(
            permit, order.at.host, "deploy", lambda: operations.deploy(self.world, task, order)
        )

    async def power(self, permit: Permit, order: Power) -> None:
        """Change the power and wait until it has changed."""
        if order.request in (PowerRequest.PAUSE, PowerRequest.RESUME):
            self._need(self.capabilities.pause, "pauses no VM")
        if order.release:
            self._need(self.capabilities.deallocation, "deallocates no VM")
        task = str(permit.task)
        await self._act(
            permit,
            order.host,
            "power",
            lambda: operations.power(self.world, task, order, self._options),
        )
        if order.request is PowerRequest.SHUTDOWN:
            with begun():
                await self._shut_down(permit, order)
        elif order.request is PowerRequest.ON:
            await asyncio.sleep(self._options.boot_s)

    async def reset(self, permit: Permit, order: Reset) -> None:
        """Press the button."""
        task = str(permit.task)
        await self._act(
            permit, order.host, "reset", lambda: operations.reset(self.world, task, order)
        )

    async def reconfigure(self, permit: Permit, order: Reconfigure) -> None:
        """Resize a VM that is off."""
        task = str(permit.task)
        await self._act(
            permit,
            order.host,
            "reconfigure",
            lambda: operations.reconfigure(self.world, task, order, self._options),
        )

    async def redeploy(self, permit: Permit, order: Redeploy) -> None:
        """Boot the VM anew."""
        self._need(self.capabilities.redeploy, "redeploys no VM")
        task = str(permit.task)
        await self._act(
            permit, order.host, "redeploy", lambda: operations.redeploy(self.world, task, order)
        )

    async def relocate(self, permit: Permit, order: Relocate) -> None:
        """Move the VM and wait until the move has ended, well or not."""
        self._need(self.capabilities.relocation, "moves no VM")
        task = str(permit.task)
        await self._act(
            permit,
            order.source.host,
            "relocate",
            lambda: operations.relocate(self.world, task, order, self._options),
        )
        ticket = Ticket(permit.task, permit.step, order)
        look_each_s = min(_LOOK_EACH_S, self._options.relocation_s)
        with begun():
            while (await self.settle(ticket)).verdict is Verdict.RUNNING:  # noqa: ASYNC110
                await asyncio.sleep(look_each_s)

    async def remove(self, permit: Permit, order: Remove) -> None:
        """Delete a VM that is off."""
        task = str(permit.task)
        await self._act(
            permit, order.at.host, "remove", lambda: operations.remove(self.world, task, order)
        )

    async def clear(self, permit: Permit, order: Clear) -> None:
        """Delete what a move left."""
        self._need(self.capabilities.relocation, "moves no VM")
        task = str(permit.task)
        await self._act(
            permit, order.at.host, "clear", lambda: operations.clear(self.world, task, order)
        )

    async def progress(self, ticket: Ticket) -> Progress:
        """The share of a move's time that has passed."""
        job = self.world.row("select * from job where task = ? and step = 'move'", str(ticket.task))
        if job is None:
            return Progress(None)
        length = max(job["ends"] - job["starts"], 1e-9)
        passed = (self.world.now_s() - job["starts"]) / length
        return Progress(round(100 * min(1.0, max(0.0, passed))))

    async def settle(self, ticket: Ticket) -> Outcome:
        """Look at every host the ticket names."""
        outcome: Outcome | None = None
        for host in hosts_of(ticket):
            outcome = await self._read(host, lambda: settle(self.world, ticket))
        assert outcome is not None
        return outcome

    async def cancel(self, permit: Permit, ticket: Ticket) -> None:
        """Stop a move that runs."""
        (host, *_) = hosts_of(ticket)

        def stop() -> None:
            for job in self.world.rows(
                "select rowid, * from job where task = ? and state = 'running'", str(ticket.task)
            ):
                self.world.fail_job(job)

        await self._act(permit, host, "cancel", stop)

    async def examine(self) -> tuple[Diagnostic, ...]:
        """Whether each host is seen."""
        return await hosts_seen(self)

    async def aclose(self) -> None:
        """Close the lanes; the world stays."""
        for lane in self._lanes.values():
            lane.close()

    async def _shut_down(self, permit: Permit, order: Power) -> None:
        """Wait for the guest, then pull the plug if that was asked for."""
        ends = time.monotonic() + order.grace_s
        while True:
            seen = await self.look(order.vm, order.host)
            if seen is not None and seen.state == "OFF":
                if order.release and not seen.deallocated:
                    await self.power(
                        permit, msgspec.structs.replace(order, request=PowerRequest.OFF)
                    )
                return
            if time.monotonic() >= ends:
                break
            await asyncio.sleep(min(_LOOK_EACH_S, order.grace_s))
        if not order.force:
            raise Rejected(
                f"the guest did not shut down within {order.grace_s:g} s", host=order.host
            )
        await self.power(permit, msgspec.structs.replace(order, request=PowerRequest.OFF))

    async def _read(self, host: str, call: Callable[[], T]) -> T:
        lane = self._lane(host)

        def look() -> T:
            self._answering(host)
            with self.world.changing():
                return call()

        return await lane.run(look, timeout_s=self._options.call_timeout_s)

    async def _act(self, permit: Permit, host: str, verb: str, call: Callable[[], None]) -> None:
        lane = self._lane(host)
        delay = self._options.delay_s
        await asyncio.sleep(delay * (1 + self._options.jitter * self._random.random()))

        def act() -> None:
            self._answering(host)
            # A frozen host kept us waiting: the permit may have ended meanwhile.
            permit.check()
            with self.world.changing():
                fault = self.world.planned(host, verb)
                if fault is None or fault["late"]:
                    call()
                if fault is not None and (ending := self.world.ending(fault)) is not None:
                    end(self.world, ending["vm"], ending["what"])
            if fault is not None:
                raise operations.fault_named(fault["kind"], host)

        await lane.run(act, permit=permit, timeout_s=self._options.call_timeout_s)

    def _need(self, able: bool, unable: str) -> None:
        """Raises Unsupported."""
        if not able:
            raise Unsupported(f"{self._name} {unable}")

    def _lane(self, host: str) -> HostExecutor:
        lane = self._lanes.get(host)
        if lane is None:
            raise Unreachable(f"{self._name} does not know a host called {host}", host=host)
        return lane

    def _answering(self, host: str) -> None:
        """Hang while the host is frozen; raise Unreachable when it does not answer."""
        while True:
            row = self.world.row("select * from host where name = ?", host)
            if row is None or not row["reachable"]:
                raise Unreachable(f"{host} does not answer", host=host)
            if not row["frozen"]:
                return
            time.sleep(_FROZEN_LOOK_S)
