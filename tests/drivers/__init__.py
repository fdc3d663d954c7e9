"""What every driver promises, shown by one suite on the simulated world and on real hosts."""

import pytest

pytest.register_assert_rewrite(
    "tests.drivers.contract_suite",
    "tests.drivers.creating",
    "tests.drivers.interrupted",
    "tests.drivers.moving",
    "tests.drivers.pausing",
    "tests.drivers.powering",
    "tests.drivers.refusing",
    "tests.drivers.releasing",
    "tests.drivers.trouble",
)
