"""The contract of drivers as one suite: a driver's tests inherit it and give it a rig.

class TestMine(DriverContract):
    @pytest.fixture
    async def rig(self): ...  # two hosts of that kind, see rigs.Rig

What a driver must be able to do is fixed here, not by what it says of itself.
"""

from collections.abc import Mapping

from drivers.capabilities import Capabilities, HypervisorType
from tests.drivers.creating import Creating
from tests.drivers.interrupted import Interrupted
from tests.drivers.moving import Moving
from tests.drivers.pausing import Pausing
from tests.drivers.powering import Powering
from tests.drivers.refusing import Refusing
from tests.drivers.rigs import Rig
from tests.drivers.trouble import Trouble

_KVM = Capabilities(
    type=HypervisorType.KVM,
    live_relocation=True,
    storage_relocation=True,
    pause=True,
    graceful_shutdown=True,
    reset=True,
    progress=True,
)
MUST: Mapping[str, Capabilities] = {
    "KvmDriver": _KVM,
    "SimulatedDriver": _KVM,
    "EsxiDriver": Capabilities(
        type=HypervisorType.VMX_04,
        live_relocation=True,
        storage_relocation=True,
        pause=True,
        graceful_shutdown=True,
        reset=True,
        progress=True,
    ),
    "AzureDriver": Capabilities(
        type=HypervisorType.AZURE,
        live_relocation=False,
        storage_relocation=False,
        pause=False,
        graceful_shutdown=True,
        reset=True,
        progress=False,
        relocation=False,
        deallocation=True,
        redeploy=True,
    ),
}


class PlacesContract(Creating, Powering, Trouble, Refusing):
    """What is promised of any driver, also where VMs stay at their place and never pause."""

    async def test_the_driver_can_do_what_it_must(self, rig: Rig) -> None:
        assert rig.driver.capabilities == MUST[type(rig.driver).__name__]


class DriverContract(Pausing, Moving, Interrupted, PlacesContract):
    """Everything drivers/contract.py promises of any driver."""
