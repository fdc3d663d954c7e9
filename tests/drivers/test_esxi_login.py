"""Whom the driver of ESXi hosts speaks to, and as whom."""

import asyncio
from http.client import HTTPSConnection

import pytest

from drivers.contract import Driver
from drivers.esxi.connection.tls import NoConnection, context_of, scheme_of
from drivers.esxi.options import EsxiOptions
from drivers.faults import Fault, Unreachable
from tests.drivers.rigs import Rig, closing
from tests.drivers.vsphere_rig import VsphereRig


@pytest.fixture
async def rig(vsphere: VsphereRig) -> VsphereRig:
    vsphere.vc.forget_calls()
    return vsphere


async def test_a_password_that_is_refused_is_not_tried_again(
    rig: VsphereRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Accounts are locked after a few wrong ones. The right one is tried at once."""
    monkeypatch.setenv("VMGATE_TEST_WRONG", "wrong")
    async with closing(rig.opened(password_env="VMGATE_TEST_WRONG")) as driver:
        for _ in range(3):
            with pytest.raises(Unreachable, match="password") as refused:
                await driver.look(rig.spec().vm, rig.first)
            assert "wrong" not in str(refused.value)
        assert rig.vc.calls()["Login"] == 1
        monkeypatch.setenv("VMGATE_TEST_WRONG", rig.vc.password)
        assert await driver.look(rig.spec().vm, rig.first) is None


async def refused(driver: Driver, rig: Rig) -> str:
    """What is said when nobody is spoken to."""
    async with closing(driver):
        with pytest.raises(Fault) as said:
            await driver.look(rig.spec().vm, rig.first)
    assert isinstance(said.value, Unreachable)
    return said.value.message


@pytest.mark.parametrize("version", ["", "6.5"], ids=["asked", "configured"])
async def test_only_the_right_certificate_is_spoken_to(rig: VsphereRig, version: str) -> None:
    """On loopback as elsewhere, without the password being told to anybody else; also where the
    version of the API need not be asked for first."""
    wrong_pin, right_pin = "00" * 32, rig.vc.thumbprint
    other = str(rig.vc.other_certificate)
    for options in (
        {"ca_file": ""},
        {"ca_file": other},
        {"ca_file": "", "thumbprint": wrong_pin},
        {"thumbprint": wrong_pin},
        {"ca_file": other, "thumbprint": right_pin},
    ):
        assert "certificate" in await refused(rig.opened(api_version=version, **options), rig)
    assert "Login" not in rig.vc.calls()
    for options in ({}, {"ca_file": "", "thumbprint": right_pin}, {"thumbprint": right_pin}):
        async with closing(rig.opened(api_version=version, **options)) as driver:
            looks = (driver.look(rig.spec().vm, rig.first) for _ in range(4))
            assert await asyncio.gather(*looks) == [None] * 4


async def test_a_pin_is_compared_on_each_connection(rig: VsphereRig) -> None:
    """pyvmomi's own comparing stops after the first."""
    options = EsxiOptions(thumbprint="00" * 32)
    context = context_of(options)
    for _ in range(2):
        connection: HTTPSConnection = scheme_of(options)(
            host=rig.vc.host, port=rig.vc.port, timeout=5, context=context
        )
        with pytest.raises(NoConnection, match="certificate"):
            await asyncio.to_thread(connection.connect)


async def test_a_version_that_nobody_speaks_is_said(rig: VsphereRig) -> None:
    assert "api_version 6.6.6 is not known" in await refused(rig.opened(api_version="6.6.6"), rig)


async def test_the_session_ends_with_the_driver(rig: VsphereRig) -> None:
    """A vCenter has few sessions to give."""
    async with closing(rig.opened()) as driver:
        await driver.survey("lab")
    assert rig.vc.calls()["Login"] == rig.vc.calls()["Logout"] == 2
