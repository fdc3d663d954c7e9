"""The peak of a real trace of VMs: arrivals and departures replayed by best fit, nothing moved.

A trace is a gzipped CSV with the columns t_s, vcpus, mem_gib, life_min_s, life_max_s and
censored. A host opens when no open one has room. VMs that no host could take are left out.
"""

import csv
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

HUNDREDTHS = 100
"""Some traces have fractions of CPUs; amounts here are whole hundredths, and MiB."""

Whole = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Peak:
    """For each VM alive at the peak its amounts and its host, numbered from 0."""

    cpu: Whole
    ram_mib: Whole
    host: Whole


def at_peak(trace: Path, cpu: int, ram_mib: int) -> Peak:
    """The state at the moment when the volume of all VMs needs most hosts of this size."""
    rows = np.array(list(_rows(trace, cpu, ram_mib)), np.int64)
    begins, cpus, rams, ends = rows.T
    count = len(rows)
    vms = np.tile(np.arange(count), 2)
    signs = np.repeat([-1, 1], count)
    times = np.concatenate([ends, begins])
    # At one moment departures come first.
    order = np.lexsort((vms, signs, times))
    vms, signs = vms[order], signs[order]
    volume = np.maximum(np.cumsum(signs * cpus[vms]) * ram_mib, np.cumsum(signs * rams[vms]) * cpu)
    last = int(volume.argmax()) + 1
    events = zip(vms[:last].tolist(), signs[:last].tolist(), strict=True)
    hosts = _best_fit(events, rows[:, 1:3], np.array([cpu, ram_mib], np.int64))
    alive = np.flatnonzero(hosts >= 0)
    return Peak(cpus[alive], rams[alive], np.unique(hosts[alive], return_inverse=True)[1])


def _rows(trace: Path, cpu: int, ram_mib: int) -> Iterator[tuple[int, int, int, int]]:
    with gzip.open(trace, "rt") as lines:
        for row in csv.DictReader(lines):
            cpus, rams = (
                round(float(row["vcpus"]) * HUNDREDTHS),
                round(float(row["mem_gib"]) * 1024),
            )
            if cpus <= cpu and rams <= ram_mib:
                begin = int(row["t_s"])
                yield begin, cpus, rams, begin + _life(row)


def _life(row: dict[str, str]) -> int:
    if row["censored"] == "1":
        return 1 << 40
    least, most = int(row["life_min_s"]), int(row["life_max_s"])
    return (least + most) // 2 or 150


def _best_fit(events: Iterator[tuple[int, int]], wants: Whole, size: Whole) -> Whole:
    """The host of each VM after the events, -1 without: the fullest that has room, by shares."""
    where = np.full(len(wants), -1, np.int64)
    spare = np.tile(size, (len(wants) + 1, 1))
    left = (spare * size[::-1]).sum(axis=1)
    opened = 1
    for vm, sign in events:
        want = wants[vm]
        if sign < 0:
            host = int(where[vm])
            where[vm] = -1
        else:
            fits = (spare[:opened, 0] >= want[0]) & (spare[:opened, 1] >= want[1])
            host = int(np.where(fits, left[:opened], 1 << 62).argmin())
            where[vm] = host
            opened = max(opened, host + 2)
        spare[host] -= sign * want
        left[host] = (spare[host] * size[::-1]).sum()
    return where
