"""A trace of VMs: what was asked for, when, and for how long, as events in their order."""

import csv
import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

Columns = npt.NDArray[np.int64]

CPU_PARTS = 100
"""CPU is counted in hundredths of a virtual CPU: traces have burstable VMs with less than one."""
RAM_PARTS = 4
"""Memory is counted in quarters of a GiB."""
_AFTER_END_S = 300
_SHORTEST_S = 150


@dataclass(frozen=True, slots=True)
class Trace:
    """VMs by number; `shape_of` names the shape (CPU, memory) of each, `events` is what happens.

    An event is (VM, whether it arrives). `vcpu_hours` is what each VM uses while it is watched.
    """

    cpu_limit: int
    ram_limit: int
    shapes: list[tuple[int, int]]
    shape_of: list[int]
    events: list[tuple[int, bool]]
    vcpu_hours: npt.NDArray[np.float64]
    volume_bound: int


def load(path: Path, cpu: float, mem_gib: float) -> Trace:
    """Read a trace for hosts of this size; the VMs that no such host could take are left out."""
    limits = int(cpu * CPU_PARTS), int(mem_gib * RAM_PARTS)
    rows = _rows(path)
    rows = rows[(rows[:, 1] <= limits[0]) & (rows[:, 2] <= limits[1])]
    starts, wanted = rows[:, 0], rows[:, 1:3]
    watched_until = int(starts.max()) + _AFTER_END_S
    ends = _ends(rows, watched_until)
    vms, arrives = _order(starts, ends)
    change = np.where(arrives, 1, -1)[:, None] * wanted[vms]
    peaks = np.cumsum(change, axis=0).max(axis=0)
    shapes, shape_of = np.unique(wanted, axis=0, return_inverse=True)
    hours = np.maximum(0, np.minimum(ends, watched_until) - np.maximum(starts, 0)) / 3600
    return Trace(
        cpu_limit=limits[0],
        ram_limit=limits[1],
        shapes=[(int(cpu), int(ram)) for cpu, ram in shapes],
        shape_of=shape_of.ravel().tolist(),
        events=list(zip(vms.tolist(), arrives.tolist(), strict=True)),
        vcpu_hours=wanted[:, 0] / CPU_PARTS * hours,
        volume_bound=max(-(-int(peak) // limit) for peak, limit in zip(peaks, limits, strict=True)),
    )


def _rows(path: Path) -> Columns:
    """Arrival, CPU, memory, the bounds of the life, and whether it outlived the trace."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [
            (
                int(row["t_s"]),
                round(float(row["vcpus"]) * CPU_PARTS),
                int(float(row["mem_gib"]) * RAM_PARTS),
                int(row["life_min_s"]),
                int(row["life_max_s"]),
                int(row["censored"]),
            )
            for row in csv.DictReader(lines)
        ]
    return np.array(rows, dtype=np.int64)


def _ends(rows: Columns, watched_until: int) -> Columns:
    """When each VM leaves; those that outlived the trace stay until after its end."""
    lives = np.where(rows[:, 4] == 0, _SHORTEST_S, (rows[:, 3] + rows[:, 4]) // 2)
    ends: Columns = np.where(rows[:, 5] == 1, watched_until + 1, rows[:, 0] + lives)
    return ends


def _order(starts: Columns, ends: Columns) -> tuple[Columns, npt.NDArray[np.bool_]]:
    """The VM of each event and whether it arrives; in one second departures go first."""
    count = len(starts)
    vms = np.tile(np.arange(count), 2)
    arrives = np.arange(2 * count) >= count
    order = np.lexsort((vms, arrives, np.concatenate([ends, starts])))
    return vms[order], arrives[order]
