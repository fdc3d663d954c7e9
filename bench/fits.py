"""The policies that are compared: each scores many states of equal hosts for one shape of VM."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

import numpy as np

from bench.decide import host
from bench.trace import CPU_PARTS, RAM_PARTS, Columns
from scheduler.model.values import replace
from scheduler.scores.best_fit_residue import FreeRoom, packing_columns
from scheduler.scores.bin_packing import filling

Pair = tuple[int, int]
"""CPU and memory in the units of a trace."""
_MIB_PER_PART = 1024 // RAM_PARTS


@dataclass(frozen=True, slots=True)
class States:
    """Hosts with the same limits, and what each has free before the VM comes."""

    limits: Pair
    cpu_free: Columns
    ram_free: Columns


Score = Callable[[States, Pair], np.ndarray]


@dataclass(frozen=True, slots=True)
class Policy:
    """A score, higher being gladder, and whether the last unused hosts come after all others."""

    score: Score
    keeps_reserve: bool = False


def first_fit(states: States, wanted: Pair) -> Columns:
    """All hosts alike, so that the lowest number is taken."""
    return np.zeros_like(states.cpu_free)


def best_fit(states: States, wanted: Pair) -> np.ndarray:
    """The least room left, as the length of the vector of what is left."""
    cpu = (states.cpu_free - wanted[0]) / states.limits[0]
    ram = (states.ram_free - wanted[1]) / states.limits[1]
    return -(cpu * cpu + ram * ram)


def fullest(states: States, wanted: Pair) -> Columns:
    """The scheduler's filling."""
    pairs = zip(states.cpu_free.tolist(), states.ram_free.tolist(), strict=True)
    found = [_filling(states.limits, free) for free in pairs]
    return np.array(found, dtype=np.int64)


def packed(states: States, wanted: Pair) -> Columns:
    """The scheduler's packing; as many parts of a MiB are counted as of a CPU."""
    alike = np.ones_like(states.cpu_free)
    to_mib = _MIB_PER_PART * CPU_PARTS
    room = FreeRoom(
        cpu_limit=states.limits[0] * alike,
        cpu_free=states.cpu_free,
        ram_limit_mib=states.limits[1] * to_mib * alike,
        ram_free_mib=states.ram_free * to_mib,
    )
    return packing_columns(room, wanted[0], wanted[1] * to_mib)


@cache
def _filling(limits: Pair, free: Pair) -> int:
    used = [limit - left for limit, left in zip(limits, free, strict=True)]
    return filling(
        replace(
            host(1),
            cpu_limit=limits[0],
            cpu_used=used[0],
            ram_limit_mib=limits[1] * _MIB_PER_PART,
            ram_used_mib=used[1] * _MIB_PER_PART,
        )
    )


POLICIES: Mapping[str, Policy] = MappingProxyType(
    {
        "first fit": Policy(first_fit),
        "best fit L2": Policy(best_fit),
        "filling": Policy(fullest),
        "packing": Policy(packed, keeps_reserve=True),
    }
)
