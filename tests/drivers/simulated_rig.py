"""The simulated rig: two hosts in a world in a file, as another process would open it."""

from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

from drivers.capabilities import HypervisorType
from drivers.contract import HostLink, Location, PowerRequest, VmSpec
from drivers.simulated.driver import SimulatedDriver
from drivers.simulated.options import SimulatedOptions
from drivers.simulated.world import World
from tests.drivers.rigs import Rig


class SimulatedRig(Rig):
    """Its drivers share one world."""

    first, second = "sim-1", "sim-2"

    def __init__(self, path: Path, kind: HypervisorType = HypervisorType.KVM) -> None:
        self._kind = kind
        self.world = World(str(path))
        self.driver = self.opened(SimulatedOptions())

    def opened(self, options: SimulatedOptions) -> SimulatedDriver:
        """A driver on the world."""
        options = replace(options, cloud=self._kind is HypervisorType.AZURE)
        driver = SimulatedDriver("simulated", self._kind, options, self.world)
        for name in (self.first, self.second):
            driver.attach(HostLink(name, "sim://x", {"default": "br0"}, ("shared", "local")))
        return driver

    def impatient(self) -> SimulatedDriver:
        return self.opened(SimulatedOptions(call_timeout_s=0.5))

    def slow(self) -> SimulatedDriver:
        return self.opened(SimulatedOptions(relocation_s=0.3))

    async def volumes(self, at: Location) -> set[str]:
        place = at.datastore if at.shared else f"{at.host}/{at.datastore}"
        return {row["name"] for row in self.world.rows("select * from volume where place=?", place)}

    async def everything(self, host: str) -> set[UUID]:
        return {UUID(row["vm"]) for row in self.world.rows("select * from vm where host=?", host)}

    async def foreign(self, host: str) -> UUID:
        vm = uuid4()
        self.world.foreign(host, str(vm), 1, 16)
        return vm

    async def guest_is_up(self, vm: UUID, times: int) -> None:
        assert self.boots(vm) == times

    def boots(self, vm: UUID) -> int:
        row = self.world.row("select boots from vm where vm = ?", str(vm))
        return int(row["boots"]) if row is not None else 0

    async def started_deaf(self) -> VmSpec:
        spec = await self.deployed()
        self.world.deafen(str(spec.vm))
        await self.power(spec, PowerRequest.ON)
        return spec

    async def cut(self, host: str) -> None:
        self.world.unreachable(host)

    async def mend(self, host: str) -> None:
        self.world.reachable(host)

    async def freeze(self, host: str) -> None:
        self.world.freeze(host)

    async def thaw(self, host: str) -> None:
        self.world.thaw(host)

    async def lose_power(self, host: str) -> None:
        self.world.power_loss(host)

    async def boot(self, host: str) -> None:
        self.world.reachable(host)
