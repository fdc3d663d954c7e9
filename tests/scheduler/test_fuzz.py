"""I17: placed and refused exactly as brute force over all hosts would; the long run is
`make fuzz-scheduler`."""

from scheduler.model.reason import ReasonCode
from tests.scheduler.fuzz import run


def test_the_index_answers_as_every_host_would() -> None:
    """Windows, logs, wide datastores and column scans under random changes, with all rules."""
    counted = run(operations=6000, seed=20)
    assert counted["placed"] > 1000
    assert counted["refused"] > 500
    assert [lack.value for lack in ReasonCode if not counted[lack.value]] == []
