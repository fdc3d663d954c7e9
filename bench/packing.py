"""How many equal hosts a policy needs for a real trace of VMs that come and go.

`python -m bench.packing TRACE.csv.gz --cpu N --mem-gib N` prints one JSON line for each policy:
the fewest hosts that refuse nobody, against the volume bound (the peak of what is asked for, in
whole hosts), and what is accepted with 95 % and 85 % of that bound. Departures go before
arrivals of the same second, VMs bigger than a host are left out, and a life known by its
bounds ends in their middle. No policy knows when a VM will leave.
"""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.fits import POLICIES, Policy, States
from bench.trace import Trace, load
from scheduler.scores.best_fit_residue import LAST, short_of_unused

PERCENTS = (95, 85)
_GROWTH = 1.1
_ROWS_AT_FIRST = 4096


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many had arrived with the first VM that was refused (-1: none was), and who got in."""

    first_reject: int
    accepted: npt.NDArray[np.bool_]


class Scores:
    """What one policy thinks of each state that a host was in, for each shape of a VM.

    Hosts are equal, so a state (free CPU, free memory) tells all; it is numbered when it is
    first seen and judged once. The unused host is state 0.
    """

    def __init__(self, trace: Trace, policy: Policy) -> None:
        """Nothing is judged yet."""
        self._limits = (trace.cpu_limit, trace.ram_limit)
        self._shapes = trace.shapes
        self._score = policy.score
        self.keeps_reserve = policy.keeps_reserve
        self._numbers = {self._limits: 0}
        self._free = np.zeros((_ROWS_AT_FIRST, 2), dtype=np.int64)
        self._free[0] = self._limits
        self._judged = [0 for _ in trace.shapes]
        self._tables = [np.empty(0) for _ in trace.shapes]
        self._unused = [0.0 for _ in trace.shapes]
        self._after: dict[tuple[int, int, int], int] = {}

    def of(self, shape: int, *, unused_last: bool) -> npt.NDArray[np.float64]:
        """How gladly each state takes the shape, by number; minus infinity where it cannot."""
        if self._judged[shape] < len(self._numbers):
            self._judge(shape, self._judged[shape], len(self._numbers))
        table = self._tables[shape]
        table[0] = self._unused[shape] - (LAST if unused_last else 0)
        return table

    def after(self, state: int, shape: int, sign: int) -> int:
        """The state once a VM of the shape has come (sign -1) or gone (sign 1)."""
        found = self._after.get((state, shape, sign))
        if found is None:
            found = self._after[state, shape, sign] = self._number(state, shape, sign)
        return found

    def _number(self, state: int, shape: int, sign: int) -> int:
        cpu, ram = self._free[state].tolist()
        free = (cpu + sign * self._shapes[shape][0], ram + sign * self._shapes[shape][1])
        number = self._numbers.setdefault(free, len(self._numbers))
        if number == len(self._free):
            self._free = np.concatenate([self._free, np.zeros_like(self._free)])
        self._free[number] = free
        return number

    def _judge(self, shape: int, first: int, end: int) -> None:
        if len(self._tables[shape]) < end:
            grown = np.empty(len(self._free))
            grown[:first] = self._tables[shape][:first]
            self._tables[shape] = grown
        states = States(self._limits, self._free[first:end, 0], self._free[first:end, 1])
        wanted = self._shapes[shape]
        fits = (states.cpu_free >= wanted[0]) & (states.ram_free >= wanted[1])
        found = np.where(fits, self._score(states, wanted), -np.inf)
        self._tables[shape][first:end] = found
        self._judged[shape] = end
        if first == 0:
            self._unused[shape] = float(found[0])


def replay(trace: Trace, scores: Scores, hosts: int, *, to_the_end: bool) -> Outcome:
    """Give each VM the gladdest host, of these the lowest number; stop at the first refusal."""
    states = np.zeros(hosts, dtype=np.int64)
    host_of = [-1] * len(trace.shape_of)
    arrived, first_reject, unused = 0, -1, hosts
    for vm, arrives in trace.events:
        shape = trace.shape_of[vm]
        host = host_of[vm]
        if not arrives:
            if host >= 0:
                after = scores.after(int(states[host]), shape, 1)
                states[host] = after
                unused += after == 0
            continue
        arrived += 1
        unused_last = scores.keeps_reserve and short_of_unused(unused, hosts)
        offers = scores.of(shape, unused_last=unused_last)[states]
        host = int(offers.argmax())
        if offers[host] > -np.inf:
            before = int(states[host])
            states[host] = scores.after(before, shape, -1)
            unused -= before == 0
            host_of[vm] = host
        elif first_reject < 0:
            first_reject = arrived
            if not to_the_end:
                break
    return Outcome(first_reject, np.array(host_of) >= 0)


def fewest(bound: int, suffices: Callable[[int], bool]) -> int:
    """The fewest hosts that suffice, by halving; from the bound upwards."""
    low, high = bound, bound
    while not suffices(high):
        low, high = high, int(high * _GROWTH) + 1
    while low < high:
        middle = (low + high) // 2
        if suffices(middle):
            high = middle
        else:
            low = middle + 1
    return high


def measured(trace: Trace, name: str, policy: Policy) -> dict[str, object]:
    """The line of one policy."""
    scores = Scores(trace, policy)
    bound = trace.volume_bound
    needed = fewest(
        bound, lambda hosts: replay(trace, scores, hosts, to_the_end=False).first_reject < 0
    )
    line: dict[str, object] = {
        "bench": "packing",
        "policy": name,
        "hosts_needed": needed,
        "volume_bound": bound,
        "over_bound_pct": round(100 * (needed / bound - 1), 2),
    }
    for percent in PERCENTS:
        hosts = bound * percent // 100
        outcome = replay(trace, scores, hosts, to_the_end=True)
        hours = trace.vcpu_hours[outcome.accepted].sum() / trace.vcpu_hours.sum()
        line[f"at_{percent}"] = {
            "hosts": hosts,
            "first_reject": outcome.first_reject,
            "accepted_vcpu_hours_pct": round(100 * float(hours), 3),
        }
    return line


def main() -> int:
    """Measure all policies, one after the other; the exit status."""
    parser = argparse.ArgumentParser(
        prog="bench.packing",
        description="How many equal hosts each policy needs for a trace of VMs.",
    )
    parser.add_argument("trace", type=Path)
    parser.add_argument("--cpu", type=float, required=True, help="virtual CPUs of each host")
    parser.add_argument("--mem-gib", type=float, required=True, help="GiB of each host")
    asked = parser.parse_args()
    trace = load(asked.trace, asked.cpu, asked.mem_gib)
    for name, policy in POLICIES.items():
        print(json.dumps(measured(trace, name, policy)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
