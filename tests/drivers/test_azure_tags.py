"""Tags that a policy requires are on everything that is made; who forbids is named (faults D8)."""

from typing import Any

import pytest

from drivers.azure.faults import said_in
from drivers.azure.marker import OURS
from drivers.azure.options import parse
from drivers.contract import Reconfigure
from drivers.faults import Rejected
from tests.drivers.azure_rig import AzureRig, name_of, new_vm
from tests.drivers.creating import resized
from tests.drivers.rigs import closing, permitted

TAGS = {"CostCenter": "42 — Käse & Brot", "owner": ""}
RIGHT = {"subscription": "s", "resource_group": "g", "sizes": "one"}
KINDS = ("Microsoft.Network/networkInterfaces", "Microsoft.Compute/disks")


@pytest.fixture
async def rig(azure: AzureRig) -> AzureRig:
    return azure


@pytest.mark.parametrize("inherit", [True, False], ids=["disks inherit", "disks do not"])
async def test_the_vm_its_disk_and_its_interface_have_the_tags(
    rig: AzureRig, inherit: bool
) -> None:
    """Beside our own; also after a change of size, and in a VM that was made without them."""
    rig.arm.cloud.disks_inherit = inherit
    permit, order = new_vm(rig)
    await rig.driver.deploy(permit, order)  # before the option was set
    for name in TAGS:
        rig.arm.cloud.policies.require(name)
    async with closing(rig.opened(tags=TAGS)) as driver:
        await driver.reconfigure(permitted(), Reconfigure(resized(order.spec), rig.first))
        assert rig.arm.vm(name_of(order)).body["tags"].items() >= TAGS.items()
        rig.arm.vanish(name_of(order))
        for kind in KINDS:
            for one in rig.arm.resources(kind):
                rig.arm.cloud.remove(one)
        permit, order = new_vm(rig)
        await driver.deploy(permit, order)
        vm = rig.arm.vm(name_of(order)).body["tags"]
        assert vm.items() >= TAGS.items()
        assert set(vm) == set(TAGS) | set(OURS)
        for kind in KINDS:
            (found,) = rig.arm.resources(kind)
            assert found.body["tags"].items() >= TAGS.items(), kind


@pytest.mark.parametrize("of", ["PUT nic", "PUT vm"])
async def test_a_policy_is_named_and_nothing_is_left(rig: AzureRig, of: str) -> None:
    """In the words of who wrote it; no other size is tried."""
    rig.arm.cloud.policies.require("CostCenter", "Every team pays for itself", of)
    permit, order = new_vm(rig)
    wanted = (
        r"RequestDisallowedByPolicy: .*policy 'Every team pays for itself' "
        r"\(assignment 'tags-everywhere'\): Resource .* was disallowed by policy"
    )
    with pytest.raises(Rejected, match=wanted) as refused:
        await rig.driver.deploy(permit, order)
    assert not refused.value.no_capacity
    assert rig.arm.calls[of] == 1
    assert not rig.arm.vms()
    assert not any(rig.arm.resources(kind) for kind in KINDS)


@pytest.mark.parametrize(
    "info",
    [
        None,
        "text",
        {},
        [None, 1, "x", []],
        [{"type": "PolicyViolation"}],
        [{"type": "PolicyViolation", "info": "x"}],
        [{"type": 1, "info": {"policyDefinitionName": "x"}}],
        [{"type": "Other", "info": {"policyDefinitionName": "x"}}],
    ],
)
def test_odd_words_about_a_policy_are_no_trouble(info: Any) -> None:
    error = {"code": "RequestDisallowedByPolicy", "message": "No.", "additionalInfo": info}
    assert said_in({"error": error}).words() == "RequestDisallowedByPolicy: No."


def test_a_policy_without_a_display_name_has_its_name() -> None:
    info = {"policyDefinitionName": "d-1", "policyAssignmentName": "a-1"}
    error = {"code": "C", "message": "No.", "additionalInfo": [{"type": "PolicyViolation"}]}
    error["additionalInfo"] = [{"type": "policyviolation", "info": info}] * 3
    assert said_in({"error": error}).words() == "C: by policy 'd-1' (assignment 'a-1'): No."


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({f"t{n}": "" for n in range(45)}, "at most 44 beside the 6 of vmgate"),
        ({"": "x"}, "is empty"),
        ({" ": "x"}, "is empty"),
        ({" a": "x"}, "begins or ends with a space"),
        ({"a" * 513: "x"}, "longer than 512"),
        ({"a": "x" * 257}, "more than 256"),
        *(({f"a{char}b": "x"}, "holds one of") for char in "<>%&\\?/\n\0\x7f"),
        ({"a": "x\ny"}, "a control character"),
        ({"vmgate-vm": "x"}, "vmgate's own"),
        ({"VMGATE-Anything": "x"}, "vmgate's own"),
        ({"Owner": "x", "owner": "y"}, "are one name to Azure"),
        ({"a": 1}, "texts only"),
        ({"a": {"b": "c"}}, "texts only"),
        ("a=b", "of type dict"),
        ([], "of type dict"),
    ],
)
def test_tags_that_azure_or_we_would_not_take(tags: Any, said: str) -> None:
    with pytest.raises(ValueError, match=f"^tags.*{said}"):
        parse({**RIGHT, "tags": tags})


def test_tags_at_the_edge_are_taken() -> None:
    tags = {f"{n:02}{'ä' * 510}": "ß" * 256 for n in range(44)}
    assert parse({**RIGHT, "tags": tags}).tags == tags
    assert parse(RIGHT).tags == {}
