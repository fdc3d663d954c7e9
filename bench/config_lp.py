"""The configuration LP: no packing of these VMs needs fewer hosts than it says.

Each variable is one way to fill a host; new ways come from a knapsack on the dual prices until
none helps. It needs OR-tools; without it there is no bound.
"""

import math
import time
from collections import Counter
from typing import Any

Kind = tuple[int, int]
SOLVE_S_MAX = 120.0


def bound(kinds: Counter[Kind], cpu: int, ram_mib: int) -> int | None:
    """The fewest hosts that any packing needs; None without OR-tools."""
    try:
        from ortools.linear_solver import pywraplp
    except ImportError:
        return None
    each = sorted(kinds)
    most = [min(cpu // one, ram_mib // other) if one else 0 for one, other in each]
    fillings = [[most[n] if n == m else 0 for n in range(len(each))] for m in range(len(each))]
    proved = 0
    began_s = time.monotonic()
    while time.monotonic() - began_s < SOLVE_S_MAX:
        value, prices = _master(pywraplp, fillings, [kinds[kind] for kind in each])
        worth, filling = _knapsack(pywraplp, each, prices, (cpu, ram_mib))
        # Farley: the value over the worthiest filling is a bound at any time.
        proved = max(proved, math.ceil(value / max(worth, 1.0) - 1e-6))
        if worth <= 1 + 1e-6:
            break
        fillings.append(filling)
    return proved


def _master(lp: Any, fillings: list[list[int]], counts: list[int]) -> tuple[float, list[float]]:
    solver = lp.Solver.CreateSolver("GLOP")
    uses = [solver.NumVar(0, solver.infinity(), "") for _ in fillings]
    rows = []
    for n, count in enumerate(counts):
        pairs = zip(uses, fillings, strict=True)
        rows.append(solver.Add(sum(use * each[n] for use, each in pairs if each[n]) >= count))
    solver.Minimize(sum(uses))
    solver.Solve()
    return solver.Objective().Value(), [row.dual_value() for row in rows]


def _knapsack(
    lp: Any, kinds: list[Kind], prices: list[float], size: Kind
) -> tuple[float, list[int]]:
    solver = lp.Solver.CreateSolver("SCIP")
    counts = [
        solver.IntVar(0, min(size[0] // max(1, cpu), size[1] // max(1, ram)), "")
        for cpu, ram in kinds
    ]
    for column in (0, 1):
        pairs = zip(counts, kinds, strict=True)
        solver.Add(sum(count * kind[column] for count, kind in pairs) <= size[column])
    pairs = zip(counts, prices, strict=True)
    solver.Maximize(sum(count * price for count, price in pairs))
    solver.Solve()
    return solver.Objective().Value(), [round(count.solution_value()) for count in counts]
