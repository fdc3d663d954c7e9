"""Makes the rig of real hosts known to the tests of this folder."""

from tests.acceptance.real_hosts import lab  # noqa: F401
