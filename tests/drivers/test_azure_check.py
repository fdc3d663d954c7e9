"""What an administrator is told of a subscription before VMs are made there, and what a role that
lacks a right is said to lack."""

import subprocess
import sys
from typing import Any
from uuid import uuid4

import pytest

from drivers.azure.removal_objections import lacked
from drivers.azure.role import ACTIONS
from drivers.capabilities import HypervisorType
from drivers.contract import HostLink
from drivers.faults import Unreachable
from drivers.registry import open_driver
from tests.drivers.azure_rig import AzureRig
from tests.drivers.rigs import closing
from tests.lab.azure.simulator import Simulator


@pytest.fixture
async def rig(azure: AzureRig) -> AzureRig:
    return azure


async def test_a_subscription_is_examined_without_a_change(rig: AzureRig) -> None:
    """The group, each place's sizes and quota, and the places as surveys see them."""
    rig.arm.sizes.restrict("Standard_B1s", "eastus", "1")
    remarks = await rig.driver.examine()
    told = {f"{each.about}: {each.said}" for each in remarks if each.well}
    assert "azure: VMs are made in vmgate" in told
    assert (
        "zone-1: sizes for us: Standard_B1ms, Standard_B2s, Standard_D2s_v3, Standard_D4s_v3"
        in told
    )
    assert "west: 100 of 100 vCPUs are left in westus" in told
    assert any(each.startswith("west: azurecompute-arm westus, 100 CPUs") for each in told)
    assert all(of.startswith("GET") for of in rig.arm.calls)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"resource_group": "none"}, "ResourceGroupNotFound"),
        ({"sizes": "Standard_Nothing"}, "knows no Standard_Nothing"),
        ({"base_url": "https://127.0.0.1:9"}, "does not answer"),
        ({"ca_file": ""}, "does not answer"),
    ],
    ids=["group", "size", "address", "certificate"],
)
async def test_what_is_wrong_is_said(rig: AzureRig, wrong: dict[str, Any], said: str) -> None:
    async with closing(rig.opened(**wrong)) as driver:
        remarks = await driver.examine()
    assert any(said in each.said for each in remarks if not each.well)


@pytest.mark.parametrize("missing", ACTIONS)
def test_a_right_that_is_missing_is_named(missing: str) -> None:
    """Whether each right is needed nobody has tried on live Azure."""
    held = [{"actions": [each for each in ACTIONS if each != missing], "notActions": []}]
    assert lacked(held) == [missing]
    assert lacked([{"actions": ["*"], "notActions": [missing.upper()]}]) == [missing]
    assert lacked([*held, {"actions": [missing]}]) == []


@pytest.mark.parametrize("credential", ["secret", "token_file"])
async def test_who_we_are_is_shown_with_tokens(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, credential: str
) -> None:
    """By azure-identity with a secret by reference, or with a token from a file; a subscription
    that accepts no other tokens."""
    async with Simulator.start(strict=True) as arm:
        arm.entra.given.add("from-a-file")
        (tmp_path / "token").write_text("from-a-file\n")
        monkeypatch.setenv("VMGATE_TEST_CLIENT", arm.entra.client_secret)
        told = {
            "subscription": arm.subscription,
            "resource_group": "vmgate",
            "sizes": "Standard_B1s",
            "base_url": arm.base_url,
            "authority": arm.base_url,
            "ca_file": str(arm.ca_file),
            "credential": credential,
            "tenant": arm.entra.tenant,
            "client": arm.entra.client_id,
            "client_secret_env": "VMGATE_TEST_CLIENT",
            "token_file": str(tmp_path / "token"),
        }
        driver = open_driver("azure", "azure", HypervisorType.AZURE, told)
        async with closing(driver):
            (remark, *_) = await driver.examine()
            assert remark.well, remark.said
        monkeypatch.setenv("VMGATE_TEST_CLIENT", "wrong-canary")
        (tmp_path / "token").write_text("wrong-canary")
        driver = open_driver("azure", "azure", HypervisorType.AZURE, told)
        async with closing(driver):
            (remark, *_) = await driver.examine()
        assert not remark.well
        assert "wrong-canary" not in remark.said


async def test_a_token_that_azure_refuses_is_asked_for_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Revoked, or expired by a clock that is not ours: it is not held for its hour."""
    async with Simulator.start(strict=True) as arm:
        monkeypatch.setenv("VMGATE_TEST_CLIENT", arm.entra.client_secret)
        told = {
            "subscription": arm.subscription,
            "resource_group": "vmgate",
            "sizes": "Standard_B1s",
            "base_url": arm.base_url,
            "authority": arm.base_url,
            "ca_file": str(arm.ca_file),
            "credential": "secret",
            "tenant": arm.entra.tenant,
            "client": arm.entra.client_id,
            "client_secret_env": "VMGATE_TEST_CLIENT",
        }
        driver = open_driver("azure", "azure", HypervisorType.AZURE, told)
        driver.attach(HostLink("place", "eastus", {}, ()))
        async with closing(driver):
            assert await driver.look(uuid4(), "place") is None
            arm.entra.revoke()
            with pytest.raises(Unreachable, match="refuses our token"):
                await driver.look(uuid4(), "place")
            assert await driver.look(uuid4(), "place") is None
        assert arm.calls["POST token"] == 2


async def test_our_token_is_sent_to_the_configured_address_only(rig: AzureRig) -> None:
    """Wherever a reply says that an operation or the next page is."""
    arm = rig.driver._arm
    ours = f"/subscriptions/{rig.arm.subscription}"
    assert arm._own(f"{rig.arm.base_url}{ours.upper()}/a?b=c") == f"{ours.upper()}/a?b=c"
    bases = ("https://elsewhere", "http" + rig.arm.base_url[5:], "//elsewhere")
    for elsewhere in (
        *(base + ours + "/a" for base in bases),
        rig.arm.base_url + ours[:-1] + "/a",
        f"{rig.arm.base_url}{ours}/../other/a",
        f"{rig.arm.base_url}{ours}/%2e%2E/other/a",
    ):
        with pytest.raises(ValueError, match="leads"):
            arm._own(elsewhere)


def test_nothing_of_azure_is_imported_unless_it_is_configured() -> None:
    """Its SDK costs a second and 70 MiB."""
    asked = "import sys, gateway.cli, gateway.service.serve; print('azure' in sys.modules)"
    told = subprocess.run(
        [sys.executable, "-c", asked], capture_output=True, text=True, check=True, timeout=60
    )
    assert told.stdout.strip() == "False"
