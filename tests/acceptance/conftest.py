"""Makes the rigs of real hosts and of a vCenter known to the tests of this folder."""

from tests.acceptance.real_hosts import lab  # noqa: F401
from tests.acceptance.vcenter_hosts import vc  # noqa: F401
