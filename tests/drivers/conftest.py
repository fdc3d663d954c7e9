"""What drivers are tested on: vCenters, KVM hosts and Azure subscriptions."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from drivers.azure.role import ACTIONS
from tests.drivers.azure_rig import AzureRig
from tests.drivers.kvm_rig import KvmRig
from tests.drivers.rigs import closing
from tests.drivers.vsphere_rig import SHAPE, VsphereRig
from tests.lab.azure.simulator import Simulator
from tests.lab.hosts import Lab
from tests.lab.hosts import missing as hosts_missing
from tests.lab.vcenter import VCenter, missing, vcenter


@pytest.fixture(scope="module")
def vcenters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[VCenter, Path, VCenter]]:
    reason = missing()
    if reason:
        pytest.skip(reason)
    home = tmp_path_factory.mktemp("vsphere")
    with vcenter(home / "one", SHAPE) as one, vcenter(home / "other", SHAPE) as other:
        yield one, home / "one", other


@pytest.fixture
async def vsphere(vcenters: tuple[VCenter, Path, VCenter]) -> AsyncIterator[VsphereRig]:
    rig = VsphereRig(*vcenters)
    async with closing(rig.driver), closing(rig.other):
        yield rig
    await rig.sweep()


@pytest.fixture(scope="module")
def kvm_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    reason = hosts_missing()
    if reason:
        pytest.skip(reason)
    with Lab(tmp_path_factory.mktemp("lab"), 2) as made:
        yield made


@pytest.fixture
async def kvm(kvm_lab: Lab) -> AsyncIterator[KvmRig]:
    rig = KvmRig(kvm_lab)
    async with closing(rig.driver):
        yield rig
    await rig.sweep()


@pytest.fixture
async def azure() -> AsyncIterator[AzureRig]:
    async with Simulator.start() as arm, Simulator.start() as beside:
        for each in (arm, beside):
            each.rights.grant(ACTIONS)  # the role of the docs and nothing else
        rig = AzureRig(arm, beside)
        async with closing(rig.driver), closing(rig.other):
            yield rig
            arm.faults.clear()
