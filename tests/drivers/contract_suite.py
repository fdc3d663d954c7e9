"""The contract of drivers as one suite: a driver's tests inherit it and give it a rig.

class TestMine(DriverContract):
    kind = HypervisorType.MINE

    @pytest.fixture
    async def rig(self): ...  # two hosts of that kind, see rigs.Rig
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import ClassVar

from drivers.capabilities import HypervisorType
from tests.drivers.creating import Creating
from tests.drivers.interrupted import Interrupted
from tests.drivers.moving import Moving
from tests.drivers.pausing import Pausing
from tests.drivers.powering import Powering
from tests.drivers.refusing import Refusing
from tests.drivers.releasing import Releasing
from tests.drivers.rigs import Rig
from tests.drivers.trouble import Trouble

_HOSTS = frozenset({
    "relocation", "live_relocation", "storage_relocation", "pause", "graceful_shutdown", "reset",
    "progress",
})  # fmt: skip
_CLOUD = frozenset({"graceful_shutdown", "reset", "deallocation", "redeploy"})
HAS: Mapping[HypervisorType, frozenset[str]] = {
    HypervisorType.KVM: _HOSTS,
    HypervisorType.VMX_04: _HOSTS,
    HypervisorType.AZURE: _CLOUD,
}
"""What a driver of each kind must be able to do, and nothing else."""


class PlacesContract(Creating, Powering, Trouble, Refusing):
    """What is promised of any driver, also where VMs stay at their place and never pause."""

    kind: ClassVar[HypervisorType]

    async def test_it_can_do_what_its_kind_must(self, rig: Rig) -> None:
        """M-153: what the rest of the suite asks for is not for the driver to choose."""
        able = asdict(rig.driver.capabilities)
        assert able.pop("type") is self.kind
        assert {name for name, value in able.items() if value is True} == HAS[self.kind]


class CloudContract(Releasing, PlacesContract):
    """Everything drivers/contract.py promises of drivers of a cloud's places."""


class DriverContract(Pausing, Moving, Interrupted, PlacesContract):
    """Everything drivers/contract.py promises of drivers of hosts."""
