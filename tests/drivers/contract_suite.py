"""The contract of drivers as one suite: a driver's tests inherit it and give it a rig.

class TestMine(DriverContract):
    @pytest.fixture
    async def rig(self): ...  # two hosts of that kind, see rigs.Rig
"""

from tests.drivers.creating import Creating
from tests.drivers.interrupted import Interrupted
from tests.drivers.moving import Moving
from tests.drivers.powering import Powering
from tests.drivers.trouble import Trouble


class DriverContract(Creating, Powering, Moving, Interrupted, Trouble):
    """Everything drivers/contract.py promises of any driver."""
