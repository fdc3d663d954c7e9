"""Listings of a vCenter are the same by either parser, and fail as loudly by the quick one."""

import xml.etree.ElementTree as ET
from typing import Any

import pytest
from pyVmomi import vim

from drivers.contract import Reconfigure, VmSpec
from drivers.esxi.connection import fast_property_collector
from drivers.esxi.connection.paging import all_in, list_leaves, read
from drivers.esxi.connection.session import Service
from drivers.esxi.places import view
from drivers.esxi.survey import _WANTED
from drivers.faults import Busy, Rejected, Unreachable
from tests.drivers.rigs import permitted, surveyed
from tests.drivers.vsphere_rig import VsphereRig

MARKS = {vim.VirtualMachine: ("name", "config.extraConfig")}


@pytest.fixture
async def rig(vsphere: VsphereRig) -> VsphereRig:
    return vsphere


def as_text(value: Any) -> Any:
    """What counts of a value, whichever parser made it."""
    if isinstance(value, list):
        return [as_text(each) for each in value]
    if hasattr(value, "key"):
        return value.key, str(value.value)
    return value


@pytest.mark.parametrize("wanted", [_WANTED, MARKS], ids=["survey", "marks"])
async def test_both_parsers_read_the_same(rig: VsphereRig, wanted: Any) -> None:
    """Texts, numbers, truths, words, references and lists of them, over several pages."""
    for _ in range(2):
        await rig.deployed()

    def both(service: Service) -> list[list[tuple[str, str, dict[str, Any]]]]:
        start = [all_in(view(service, rig.driver._options, list(wanted)))]
        return [
            [
                (each.kind, each.id, {name: as_text(one) for name, one in each.values.items()})
                for each in listed
            ]
            for listed in (read(service, start, wanted, 2), list_leaves(service, start, wanted, 2))
        ]

    slow, quick = await rig.driver._vcenter.look(both)
    assert len(slow) > 2
    assert quick == slow


async def test_what_is_no_leaf_is_refused(rig: VsphereRig) -> None:
    """A value that would be lost is an error of ours."""

    def devices(service: Service) -> Any:
        start = [all_in(view(service, rig.driver._options, [vim.VirtualMachine]))]
        return list_leaves(service, start, {vim.VirtualMachine: ("config.hardware.device",)}, 9)

    with pytest.raises(Unreachable, match="no leaf"):
        await rig.driver._vcenter.look(devices)


@pytest.mark.parametrize(
    ("kind", "more", "fault", "said"),
    [
        ("status", {"status": 503}, Busy, "503"),
        ("drop", {}, Unreachable, "does not answer"),
        ("fault", {"fault": "NoPermission"}, Rejected, "privilege"),
    ],
)
async def test_a_listing_that_fails_is_none(
    rig: VsphereRig, kind: str, more: dict[str, Any], fault: type[Exception], said: str
) -> None:
    """On whichever page; and the next survey is whole."""
    spec = await rig.deployed()
    rig.driver._watch.close()
    for method in ("RetrievePropertiesEx", "ContinueRetrievePropertiesEx"):
        driver = rig.opened(page=1)
        driver._watch.start = lambda: None  # type: ignore[method-assign]
        driver._watch.hears.set()  # nothing but the survey lists here
        rig.vc.fault(method, kind, **more)
        with pytest.raises(fault, match=said):
            await surveyed(driver, rig.first)
        facts = await surveyed(driver, rig.first)
        assert [vm.vm for vm in facts.vms] == [spec.vm]
        await driver.aclose()


async def test_a_session_that_ended_costs_a_listing_one_login(rig: VsphereRig) -> None:
    """Also in the middle of its pages: it begins anew, since the pages are gone with it."""
    spec = await rig.deployed()
    rig.vc.fault("ContinueRetrievePropertiesEx", "fault", fault="NotAuthenticated")
    driver = rig.opened(page=1)
    try:
        facts = await surveyed(driver, rig.first)
    finally:
        await driver.aclose()
    assert [vm.vm for vm in facts.vms] == [spec.vm]


@pytest.mark.parametrize(
    "body",
    [
        "<returnval><objects><propSet/></objects></returnval>",
        "<returnval><objects><obj type='Unheard'>x-1</obj></objects></returnval>",
    ],
    ids=["without an object", "of a type nobody knows"],
)
def test_nonsense_is_an_error(body: str) -> None:
    reply = ET.fromstring(f"<r xmlns='urn:vim25'>{body}</r>")[0]
    with pytest.raises(ValueError, match=r"missing|not known"):
        fast_property_collector._listing(reply, fast_property_collector._Refs(None))


async def test_a_new_configuration_is_seen_in_the_next_survey(rig: VsphereRig) -> None:
    """What a configuration says is read once for each version of it, not once for ever."""
    spec = await rig.deployed()
    before = {vm.vm: vm for vm in (await surveyed(rig.driver, rig.first)).vms}
    larger = VmSpec(spec.vm, spec.name, 3, 48, spec.disk, spec.nics)
    await rig.driver.reconfigure(permitted(), Reconfigure(larger, rig.first))
    after = {vm.vm: vm for vm in (await surveyed(rig.driver, rig.first)).vms}
    assert (before[spec.vm].cpu, before[spec.vm].ram_mib) == (spec.cpu, spec.ram_mib)
    assert (after[spec.vm].cpu, after[spec.vm].ram_mib) == (larger.cpu, larger.ram_mib)
    assert after[spec.vm].task == before[spec.vm].task
