"""How a VM that is off gets another size: where it is if its hardware has one, else deallocated.

Whatever may say no is asked before the VM is deallocated: the sizes of its hardware, those of the
place, the quota. What Azure refuses all the same leaves the size that the VM had. It stays off: to
give it its compute back a guest would have to be booted that somebody has shut down.
"""

from dataclasses import dataclass, field

from drivers.azure import marker, vm_operations
from drivers.azure.connection.arm import ArmOperation
from drivers.azure.connection.transport import Guard
from drivers.azure.faults import NO_CAPACITY, AzureRefused, Reaction, RetryLater, Said
from drivers.azure.places import place_at
from drivers.azure.sizes import CORES, VmSize
from drivers.azure.tags import beside
from drivers.azure.vm_operations import CallContext, known
from drivers.azure.vm_parser import AzureVm
from drivers.contract import Reconfigure
from drivers.facts import PowerState
from drivers.faults import Rejected

_NOT_HERE = "OperationNotAllowed"
"""Compute's code, among others for a size that the hardware of a VM has not."""


@dataclass(slots=True)
class Resizing:
    """One change of size as it goes on. `before` is the VM as it was found, `refusal` Azure's last
    word on a size; `finished` says that no other is tried, `returned` that the old one was asked
    for again."""

    order: Reconfigure
    before: AzureVm | None = None
    trying: VmSize | None = None
    in_place: bool = False
    out: set[str] = field(default_factory=set)
    out_in_place: set[str] = field(default_factory=set)
    refusal: Said | None = None
    finished: bool = False
    returned: bool = False

    async def step(self, scene: CallContext, guard: Guard) -> ArmOperation | None:
        """Look, and send the next change; None when it is done. Raises what it must fail with
        once the VM has its old size, and RetryLater."""
        order = self.order
        seen = await vm_operations.at(scene, order.spec.vm, order.host)
        if self.refusal is None and is_resized(order, seen):
            return None
        if self.trying is not None:
            raise RetryLater(f"{order.host}: Azure does not show the new size yet")
        if known(seen, order.host) is not PowerState.OFF:
            raise Rejected("a VM that is not off cannot be reconfigured", host=order.host)
        self.before = self.before or seen
        while True:
            try:
                return await self._next(scene, guard, seen)
            except AzureRefused as no:
                self.failed(scene, no.said)

    def failed(self, scene: CallContext, said: Said) -> None:
        """The last change came to nothing: another size may do, or the same one elsewhere."""
        size, self.trying = self.trying, None
        if said.reaction is Reaction.LATER or self.returned:
            return
        self.refusal = said
        if size is None:
            self.finished = True
        elif self.in_place and (said.reaction is Reaction.FULL or _is_not_here(said)):
            self.out_in_place.add(size.name.lower())
        elif said.reaction in NO_CAPACITY:
            self.out.add(size.name)
            if said.reaction is Reaction.SIZE_OUT:
                place = place_at(scene.link(self.order.host))
                scene.sizes.refused(place, size.name, said.reaction)
        else:
            self.finished = True

    async def _next(self, scene: CallContext, guard: Guard, seen: AzureVm) -> ArmOperation | None:
        spec, place = self.order.spec, place_at(scene.link(self.order.host))
        fitting = await scene.sizes.fitting(place, spec.cpu, spec.ram_mib)
        sizes = [] if self.finished else [size for size in fitting if size.name not in self.out]
        if not seen.deallocated and sizes:
            near = await scene.arm.sizes_near(seen.name) - self.out_in_place
            here = [size for size in sizes if size.name.lower() in near]
            if not here and await self._within_quota(scene, seen, sizes):
                return await scene.arm.act(guard, "begin_deallocate", seen.name)
            sizes = here
        if not sizes:
            return await self._back(scene, guard, seen)
        self.trying, self.in_place, self.refusal = sizes[0], not seen.deallocated, None
        tags = beside(marker.resized(seen.tags, spec, sizes[0].name), scene.options.tags)
        try:
            return await self._sized(scene, guard, seen, (sizes[0].name, tags))
        except RetryLater:
            self.trying = None  # nothing was begun
            raise

    async def _within_quota(self, scene: CallContext, seen: AzureVm, sizes: list[VmSize]) -> bool:
        """Whether the quota as it is now has room for what one of the sizes would have more."""
        region = place_at(scene.link(self.order.host)).region
        quota = await scene.sizes.quota(region, now=True)
        had = (await scene.sizes.of(region)).get(seen.size.lower())
        for size in sizes:
            same = had is not None and had.family == size.family
            more = {CORES: size.figures.cpu - (had.figures.cpu if had is not None else 0)}
            more[size.family] = more[CORES] if same else size.figures.cpu
            short = [n for n, cpu in more.items() if n in quota and quota[n].left < cpu > 0]
            if not short:
                return True
            said = f"{region} has {quota[short[0]].left} vCPUs left of its quota {short[0]}"
            self.refusal = Said("QuotaExceeded", said)
        return False

    async def _back(self, scene: CallContext, guard: Guard, seen: AzureVm) -> ArmOperation | None:
        """Ask for the old size where a failed change has left another, once; then fail."""
        assert self.before is not None
        self.finished = True
        if seen.size.lower() != self.before.size.lower() and not self.returned:
            self.returned = True
            return await self._sized(scene, guard, seen, (self.before.size, self.before.tags))
        spec, host = self.order.spec, self.order.host
        full = self.refusal is None or self.refusal.reaction in NO_CAPACITY
        none = vm_operations.no_size(host, spec.cpu, spec.ram_mib)
        said = none if self.refusal is None else f"{host}: {self.refusal.words()}"
        raise Rejected(f"{said.rstrip('.')}. {_as_it_is(seen)}", host=host, no_capacity=full)

    async def _sized(
        self, scene: CallContext, guard: Guard, seen: AzureVm, to: tuple[str, dict[str, str]]
    ) -> ArmOperation:
        change = {"tags": to[1], "properties": {"hardwareProfile": {"vmSize": to[0]}}}
        return await scene.arm.act(guard, "begin_update", seen.name, parameters=change)


def is_resized(order: Reconfigure, seen: AzureVm) -> bool:
    """Whether the VM is what it shall be. Azure shows the new size of a change that failed too."""
    asked = (seen.mark.cpu, seen.mark.ram_mib) == (order.spec.cpu, order.spec.ram_mib)
    return asked and seen.as_asked and not seen.busy and not seen.failed


def _is_not_here(said: Said) -> bool:
    return said.code == _NOT_HERE and said.reaction is not Reaction.QUOTA


def _as_it_is(seen: AzureVm) -> str:
    """What became of the VM, for who is told of the refusal."""
    if not seen.deallocated:
        return f"The VM is as it was: off, and a {seen.size}."
    return (
        f"The VM is off and a {seen.size}, but deallocated now: it is no longer charged for "
        "compute, and gets compute again when it is started."
    )
