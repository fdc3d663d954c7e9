"""Faults L4: DRS chooses the host of a VM that is powered on, and anybody may move one. A call is
settled by the VM wherever it is in the vCenter, and its sighting says where that is."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from drivers.contract import Deploy, Power, PowerRequest, Reconfigure, Remove, Reset, Verdict
from drivers.esxi.survey import drs_mover
from drivers.facts import AT_POWER_ON, PowerState
from drivers.faults import Missing, Rejected
from tests.drivers.creating import resized
from tests.drivers.rigs import closing, made_by, permitted, surveyed, ticket
from tests.drivers.vsphere_rig import SHAPE, VsphereRig
from tests.lab.vcenter import VCenter, missing, vcenter


@pytest.fixture(scope="module")
def clusters(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, tuple[VCenter, Path]]]:
    """A vCenter with each way of DRS."""
    if missing():
        pytest.skip(missing())
    home = tmp_path_factory.mktemp("drs")
    partly = replace(SHAPE, drs=True, drs_mode="partiallyAutomated")
    by_hand = replace(SHAPE, drs=True, drs_mode="manual")
    with vcenter(home / "partly", partly) as one, vcenter(home / "manual", by_hand) as other:
        yield {"partly": (one, home / "partly"), "manual": (other, home / "manual")}


async def rig_of(clusters: dict[str, tuple[VCenter, Path]], name: str) -> VsphereRig:
    """A rig on it, whose first host is busier than the second."""
    vc, home = clusters[name]
    rig = VsphereRig(vc, home, vc)
    await rig.foreign(rig.first)
    return rig


@pytest.fixture
async def rig(clusters: dict[str, tuple[VCenter, Path]]) -> AsyncIterator[VsphereRig]:
    found = await rig_of(clusters, "partly")
    async with closing(found.driver), closing(found.other):
        yield found
    await found.sweep()


async def test_a_start_that_drs_places_elsewhere_is_done_there(rig: VsphereRig) -> None:
    """The host that was asked for does not have the VM, and the verdict names the one that has."""
    spec = await rig.deployed()
    permit, order = permitted(), Power(spec.vm, rig.first, PowerRequest.ON)
    await rig.driver.power(permit, order)
    outcome = await rig.driver.settle(ticket(permit, order))
    assert outcome.verdict is Verdict.DONE
    assert outcome.sighting is not None
    assert (outcome.sighting.host, outcome.sighting.state) == (rig.second, PowerState.ON)
    assert outcome.sighting.datastores == (rig.at(rig.second).datastore,)
    assert await rig.driver.look(spec.vm, rig.first) is None
    assert await rig.everything(rig.second) == {spec.vm}
    await rig.driver.power(permit, order)  # begun again, there is nothing to do
    assert rig.boots(spec.vm) == 1


async def test_a_start_whose_reply_is_lost_is_found_where_it_was_placed(rig: VsphereRig) -> None:
    """Another worker takes over and looks at all hosts of the vCenter."""
    spec = await rig.deployed()
    rig.vc.fault("PowerOnVM_Task", "dropafter")
    permit, order = permitted(), Power(spec.vm, rig.first, PowerRequest.ON)
    with pytest.raises(Exception, match="does not answer"):
        await rig.driver.power(permit, order)
    async with closing(rig.opened()) as fresh:
        outcome = await fresh.settle(ticket(permit, order))
        while outcome.verdict is Verdict.RUNNING:
            outcome = await fresh.settle(ticket(permit, order))
    assert outcome.verdict is Verdict.DONE
    assert outcome.sighting is not None
    assert outcome.sighting.host == rig.second


async def test_every_verb_says_where_the_vm_is_instead(rig: VsphereRig) -> None:
    """Nothing is done to a VM on another host than the one that was named, and it is not lost."""
    permit, fresh = permitted(), rig.spec()
    deploy = Deploy(made_by(permit.task, fresh), rig.at(rig.first))
    await rig.driver.deploy(permit, deploy)
    spec = deploy.spec
    await rig.power(spec, PowerRequest.ON)  # it runs on the second host now
    made = await rig.driver.settle(ticket(permit, deploy))
    assert (made.verdict, made.sighting and made.sighting.host) == (Verdict.DONE, rig.second)
    await rig.driver.deploy(permit, deploy)  # nor is it called back
    assert await rig.everything(rig.second) == {spec.vm}
    for order in (
        Power(spec.vm, rig.first, PowerRequest.OFF),
        Reset(spec.vm, rig.first),
        Reconfigure(resized(spec), rig.first),
        Remove(spec.vm, rig.at(rig.first), spec.disk.volume),
    ):
        verb = getattr(rig.driver, type(order).__name__.lower())
        with pytest.raises((Missing, Rejected), match=rig.second):
            await verb(permitted(), order)
        if not isinstance(order, Reset):
            outcome = await rig.driver.settle(ticket(permitted(), order))
            assert outcome.verdict is Verdict.FAILED
            assert outcome.sighting is not None
            assert outcome.sighting.host == rig.second
            assert rig.second in outcome.reason
    seen = await rig.driver.look(spec.vm, rig.second)
    assert seen is not None
    assert (seen.state, rig.boots(spec.vm)) == (PowerState.ON, 1)


async def test_a_move_whose_vm_is_on_a_third_host_names_it(rig: VsphereRig) -> None:
    """Neither place of the move has the VM: the verdict says which host has."""
    spec = await rig.deployed()
    await rig.power(spec, PowerRequest.ON)
    order = Power(spec.vm, rig.second, PowerRequest.ON)
    assert (await rig.driver.settle(ticket(permitted(), order))).verdict is Verdict.DONE
    await rig.cut(rig.first)  # a host that does not have it need not answer
    seen = await rig.driver.settle(ticket(permitted(), Power(spec.vm, rig.first, order.request)))
    assert seen.sighting is not None
    assert seen.sighting.host == rig.second
    await rig.mend(rig.first)


async def test_in_the_manual_mode_a_vm_starts_where_it_is(
    clusters: dict[str, tuple[VCenter, Path]],
) -> None:
    rig = await rig_of(clusters, "manual")
    async with closing(rig.driver), closing(rig.other):
        spec = await rig.deployed()
        await rig.power(spec, PowerRequest.ON)
        assert spec.vm in await rig.everything(rig.first)
        facts = await surveyed(rig.driver, rig.first)
        assert facts.hosts[0].mover == ""
    await rig.sweep()


async def test_what_drs_does_is_told_of_its_hosts_and_by_the_check(rig: VsphereRig) -> None:
    """Partially automated it places and does not move: that is another thing to say."""
    facts = await surveyed(rig.driver, rig.first)
    assert facts.hosts[0].mover == "DRS" + AT_POWER_ON
    said = [each.said for each in await rig.driver.examine() if each.about == "rack-1"]
    assert said == ["DRS moves no VM that runs, and chooses the host of one that is powered on"]


@pytest.mark.parametrize(
    ("enabled", "behavior", "mover"),
    [
        (None, None, ""),
        (False, "fullyAutomated", ""),
        (True, "manual", ""),
        (True, "partiallyAutomated", "DRS" + AT_POWER_ON),
        (True, "fullyAutomated", "DRS"),
        (True, None, "DRS"),
    ],
)
def test_each_mode_of_drs(enabled: bool | None, behavior: str | None, mover: str) -> None:
    assert drs_mover(enabled, behavior) == mover
