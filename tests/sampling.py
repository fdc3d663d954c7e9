"""How much of a long enumeration a run goes through.

`make test` takes a fixed, spread sample; `make campaign` passes `--exhaustive` and takes all.
"""

from collections.abc import Iterable, Sequence
from itertools import count

import pytest

OPTION = "--exhaustive"
SAMPLE_EACH = 3


def exhaustive(config: pytest.Config) -> bool:
    """True if nothing may be left out."""
    return bool(config.getoption(OPTION))


def crash_points(config: pytest.Config, story: str, stories: Sequence[str]) -> Iterable[int]:
    """Return the points of a story to die at, from 1 and without end: the caller stops at its end.

    The sample takes each third point. Neighbouring stories begin at different points, so that
    the steps they share are met on all sides.
    """
    if exhaustive(config):
        return count(1)
    return count(1 + stories.index(story) % SAMPLE_EACH, SAMPLE_EACH)
