"""Figures: how many measurements become one line, and what a line says."""

import json
import statistics
from collections.abc import Sequence

Line = dict[str, object]


def line(bench: str, figure: str, unit: str, **values: object) -> Line:
    """One figure; numbers are rounded to what a noisy computer can tell."""
    rounded = {name: _rounded(value) for name, value in values.items()}
    return {"bench": bench, "figure": figure, **rounded, "unit": unit}


def show(one: Line) -> None:
    """Print a line at once."""
    print(json.dumps(one), flush=True)


def share(values: Sequence[float], percent: float) -> float:
    """The value that `percent` of all do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def middle(values: Sequence[float]) -> float:
    """The median."""
    return statistics.median(values)


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The middle of the rounds' own ratios: noise that met both sides of a round is gone."""
    return middle([own / other for own, other in zip(ours, theirs, strict=True)])


def _rounded(value: object) -> object:
    if not isinstance(value, float):
        return value
    return float(f"{value:.3g}") if value < 100 else round(value)
