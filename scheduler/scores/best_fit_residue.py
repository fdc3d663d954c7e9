"""Packing keeps what is left on a host usable for the usual VMs, and fills what is begun.

A host whose CPU is gone strands its memory, and the reverse. So every family of VMs is asked what
share of the host it could still use, and a demand goes where the answers shrink least: CPU is
dear where little of it is left beside the memory, and cheap where it would be stranded anyway.
By a small part the host with less left to use is preferred. A big VM may begin a host early, to
leave two hosts in balance instead of one that is stranded; but where few hosts are unused they
come last, or no hole would be left for the biggest VMs.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

Columns = npt.NDArray[np.int64]
"""One number for each host."""
Amount = TypeVar("Amount", int, Columns)

FAMILIES_MIB = (1792, 3584, 7168)
"""MiB for each virtual CPU in the compute, general and memory families that clouds sell: 2, 4 and
8 GiB, of which an eighth is often kept back."""
SHARES = 2**20
"""All of a host. With limits up to 2**20 CPUs and 2**40 MiB no step reaches 2**63."""
KEEPING, FILLING = 10, 1
"""How much keeping room usable counts beside filling: with less as much is stranded as by best fit,
with more begun hosts stay half empty and big VMs find no hole."""
RESERVE = 10
"""One host of so many, rounded up, is kept unused while another fits. 20 needs fewer hosts for most
traces, but many more where single VMs want nearly a whole host."""
LAST = 2**26
"""More than any two scores differ by: an unused host of the reserve comes after all others."""


@dataclass(frozen=True, slots=True)
class FreeRoom(Generic[Amount]):
    """What a host may promise and what of it is free: an integer each, or a column for many."""

    cpu_limit: Amount
    cpu_free: Amount
    ram_limit_mib: Amount
    ram_free_mib: Amount


def packing(room: FreeRoom[int], cpu: int, ram_mib: int) -> int:
    """How gladly a host takes a VM that fits: the usable room it keeps, less what it then has."""
    left = usable(
        FreeRoom(
            room.cpu_limit, room.cpu_free - cpu, room.ram_limit_mib, room.ram_free_mib - ram_mib
        )
    )
    return (KEEPING - FILLING) * left - KEEPING * usable(room)


def short_of_unused(unused: int, hosts: int) -> bool:
    """Whether so few hosts are unused that they are the reserve: each then scores LAST less."""
    return unused <= -(-hosts // RESERVE)


def usable(room: FreeRoom[int]) -> int:
    """The shares of the host that each family could use if it had the rest alone, added."""
    total = 0
    for mib in FAMILIES_MIB:
        whole = min(room.cpu_limit * mib, room.ram_limit_mib)
        free = min(room.cpu_free * mib, room.ram_free_mib)
        total += max(free, 0) * SHARES // max(whole, 1)
    return total


def packing_columns(room: FreeRoom[Columns], cpu: int, ram_mib: int) -> Columns:
    """`packing` of many hosts at once, to the same integers."""
    left = usable_columns(
        FreeRoom(
            room.cpu_limit, room.cpu_free - cpu, room.ram_limit_mib, room.ram_free_mib - ram_mib
        )
    )
    return (KEEPING - FILLING) * left - KEEPING * usable_columns(room)


def usable_columns(room: FreeRoom[Columns]) -> Columns:
    """`usable` of many hosts at once, to the same integers."""
    total = np.zeros_like(room.cpu_free)
    for mib in FAMILIES_MIB:
        whole = np.minimum(room.cpu_limit * mib, room.ram_limit_mib)
        free = np.minimum(room.cpu_free * mib, room.ram_free_mib)
        total += np.maximum(free, 0) * SHARES // np.maximum(whole, 1)
    return total
