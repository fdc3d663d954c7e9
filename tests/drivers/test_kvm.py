"""The KVM driver keeps the contract of drivers, on two real libvirt/QEMU hosts."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from drivers.capabilities import HypervisorType
from drivers.contract import Clear, Deploy, Driver, Power, PowerRequest, Verdict, VmSpec
from drivers.facts import PowerState
from drivers.faults import Indeterminate, Missing, Rejected, Unreachable
from tests.drivers.contract_suite import DriverContract
from tests.drivers.kvm_rig import KvmRig
from tests.drivers.rigs import closing, made_by, permitted, reported, surveyed, ticket, until
from tests.drivers.trouble import answering
from tests.lab.hosts import Lab, missing

# All labs have the same addresses, so one worker at a time may have one.
pytestmark = pytest.mark.xdist_group("kvm")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    reason = missing()
    if reason:
        pytest.skip(reason)
    with Lab(tmp_path_factory.mktemp("lab"), 2) as made:
        yield made


@pytest.fixture
async def rig(lab: Lab) -> AsyncIterator[KvmRig]:
    rig = KvmRig(lab)
    async with closing(rig.driver):
        yield rig
    await rig.sweep()


def occupied(driver: Any, host: str) -> int:
    """Calls to the host that have not ended, those included that nobody waits for any more."""
    lanes = driver._hosts[host]
    return int(lanes._acts.occupied + lanes._looks.occupied)


class TestKvm(DriverContract):
    kind = HypervisorType.KVM

    @pytest.mark.parametrize("how", ["killed", "frozen"])
    async def test_a_connection_that_is_lost_is_reported_and_opened_anew(
        self, rig: KvmRig, how: str
    ) -> None:
        """Also when the host just falls silent; afterwards its reports come again."""
        spec = await rig.deployed()
        async with closing(rig.opened(keepalive_s=1, keepalive_count=1)) as driver:
            await surveyed(driver, rig.first)
            async with reported(driver, (rig.first, None, "LOST")):
                await (rig.cut if how == "killed" else rig.freeze)(rig.first)
            await rig.mend(rig.first)
            await answering(driver, rig.first)
            async with reported(driver, (rig.first, spec.vm, "STARTED")):
                await rig.power(spec, PowerRequest.ON)

    @pytest.mark.parametrize("known", [True, False], ids=["known", "new"])
    async def test_a_power_off_given_up_does_not_happen_later(
        self, rig: KvmRig, known: bool
    ) -> None:
        """What waited for a frozen host must not begin when it thaws, whether the connection was
        there before or was being opened: somebody else may have started the VM meanwhile."""
        spec = await rig.started()
        async with closing(rig.impatient()) as driver:
            if known:
                await driver.power(permitted(), Power(spec.vm, rig.first, PowerRequest.ON))
            await rig.freeze(rig.first)
            with pytest.raises((Unreachable, Indeterminate)):
                await driver.power(permitted(), Power(spec.vm, rig.first, PowerRequest.OFF))
            await rig.thaw(rig.first)
            await until(lambda: not occupied(driver, rig.first))
            seen = await driver.look(spec.vm, rig.first)
        assert seen is not None
        assert seen.state is PowerState.ON
        await rig.power(spec, PowerRequest.SHUTDOWN)
        assert rig.boots(spec.vm) == 1

    async def test_closing_does_not_wait_for_a_frozen_host(self, rig: KvmRig) -> None:
        """A service that drains must end."""
        driver = rig.impatient()
        await surveyed(driver, rig.first)
        await rig.freeze(rig.first)
        began_s = time.monotonic()
        with pytest.raises(Unreachable):
            await surveyed(driver, rig.first)
        await driver.aclose()
        assert time.monotonic() - began_s < 2.5

    async def test_what_a_host_does_not_have_is_a_refusal(self, rig: KvmRig) -> None:
        """No such template, no such datastore: said in words that name it, with nothing made."""
        for template, datastore in (("no-such.raw", "shared"), (rig.template, "no-such")):
            permit = permitted()
            rig.template, was = template, rig.template
            spec = made_by(permit.task, rig.spec())
            rig.template = was
            order = Deploy(spec, type(rig.at(rig.first))(rig.first, datastore))
            with pytest.raises((Rejected, Missing), match="no-such"):
                await rig.driver.deploy(permit, order)
            assert (await rig.driver.settle(ticket(permit, order))).verdict is Verdict.ABSENT
        assert await rig.everything(rig.first) == set()
        assert await rig.volumes(rig.at(rig.first)) == set()

    async def test_a_name_that_is_taken_is_a_refusal(self, rig: KvmRig) -> None:
        """libvirt wants a host's names to be different; the other VM is as it was."""
        spec = await rig.deployed()
        before = await rig.driver.look(spec.vm, rig.first)
        permit, fresh = permitted(), rig.spec()
        same = made_by(permit.task, VmSpec(fresh.vm, spec.name, 1, 16, fresh.disk))
        with pytest.raises(Rejected, match=spec.name):
            await rig.driver.deploy(permit, Deploy(same, rig.at(rig.first)))
        assert await rig.everything(rig.first) == {spec.vm}
        assert await rig.driver.look(spec.vm, rig.first) == before

    async def test_a_vm_that_cannot_start_stays_off(self, rig: KvmRig) -> None:
        """Its disk is gone, say: a refusal in libvirt's own words."""
        spec = await rig.deployed()
        (rig.lab.shared / spec.disk.volume).unlink()
        permit, order = permitted(), Power(spec.vm, rig.first, PowerRequest.ON)
        with pytest.raises(Rejected, match=spec.disk.volume):
            await rig.driver.power(permit, order)
        outcome = await rig.driver.settle(ticket(permit, order))
        assert outcome.verdict is Verdict.ABSENT
        assert outcome.sighting is not None
        assert outcome.sighting.state is PowerState.OFF

    async def test_a_vm_that_is_off_does_not_take_its_disk_along(self, rig: KvmRig) -> None:
        """libvirt copies disks of running VMs only: a refusal, which can be cleared away."""
        at = rig.at(rig.first, shared=False)
        spec = await rig.deployed(at)
        before = await rig.driver.look(spec.vm, rig.first)
        permit, order = rig.relocation(spec, shared=False)
        with pytest.raises(Rejected, match="start it first"):
            await rig.driver.relocate(permit, order)
        assert (await rig.driver.settle(ticket(permit, order))).verdict is Verdict.ABSENT
        assert await rig.driver.look(spec.vm, rig.first) == before
        clear = Clear(spec.vm, order.target, rig.first, order.spec.disk.volume)
        await rig.driver.clear(permitted(), clear)
        assert await rig.volumes(order.target) == set()
        assert await rig.volumes(at) == {spec.disk.volume}

    async def test_several_moves_run_at_once(self, rig: KvmRig) -> None:
        """A move holds one place of its host's lane for long, and looks have a lane of their own;
        the host is surveyed meanwhile, each VM once and none lost between the two."""
        specs = [await rig.started() for _ in range(3)]
        async with closing(rig.slow()) as driver:
            await moved_at_once(driver, rig, specs)
        assert await rig.everything(rig.first) == set()
        assert await rig.everything(rig.second) == {spec.vm for spec in specs}
        assert [rig.boots(spec.vm) for spec in specs] == [1, 1, 1]


async def moved_at_once(driver: Driver, rig: KvmRig, specs: list[VmSpec]) -> None:
    """Move all, and look at both hosts until all have arrived."""
    orders = [rig.relocation(spec) for spec in specs]
    moves = asyncio.gather(*(driver.relocate(permit, order) for permit, order in orders))
    while not moves.done():
        here = {one.vm for one in (await surveyed(rig.driver, rig.first)).vms}
        there = {one.vm for one in (await surveyed(rig.driver, rig.second)).vms}
        assert here | there == {spec.vm for spec in specs}
    await moves
