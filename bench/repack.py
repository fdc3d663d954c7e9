"""How far a relocation plan gets from the peak of a real trace: `python -m bench.repack TRACE`.

One JSON line: hosts before and after against the bounds, VMs moved, rules and capacities
violated when the timeline is run by an own count, and its length over its bound. Hosts are
equal, in racks of 40 on one shared datastore; there is one migration network.
"""

import argparse
import time
from collections import Counter, defaultdict
from pathlib import Path
from uuid import UUID

from bench.config_lp import bound
from bench.figures import show
from bench.peak import HUNDREDTHS, Peak, at_peak
from scheduler.fleet.fleet import Fleet
from scheduler.model.demand import Demand, RelocationScope
from scheduler.model.inventory import Datastore, Host, HostState
from scheduler.plan.consolidate import consolidate
from scheduler.plan.move_schedule import Capacities, Timeline, timeline
from scheduler.plan.moves import Plan
from scheduler.plan.resident import MovableVm, Terms

PER_RACK = 40


def world(peak: Peak, cpu: int, ram_mib: int) -> tuple[Fleet, list[MovableVm]]:
    """The peak as a fleet and its residents; CPUs are hundredths."""
    fleet = Fleet()
    fleet.apply(Datastore(1, "shared", 1, True, True, 2**60, 0, "", 1, 1))
    residents = [
        MovableVm(Demand(UUID(int=n + 1), one, other, 2**30, "KVM", 1, "lan"), host + 1, 1)
        for n, (one, other, host) in enumerate(
            zip(peak.cpu.tolist(), peak.ram_mib.tolist(), peak.host.tolist(), strict=True)
        )
    ]
    used: dict[int, list[Demand]] = defaultdict(list)
    for each in residents:
        used[each.host].append(each.demand)
    for id, demands in used.items():
        fleet.apply(_host(id, demands, cpu, ram_mib))
    return fleet, residents


def _host(id: int, demands: list[Demand], cpu: int, ram_mib: int) -> Host:
    rack = 1 + id // PER_RACK
    return Host(
        id=id,
        name=f"host-{id}",
        datacenter=1,
        rack=rack,
        rack_name=f"rack-{rack}",
        hypervisor="sim",
        type="KVM",
        state=HostState.MANAGED,
        reachable=True,
        cpus=cpu,
        memory_mib=ram_mib,
        cpu_limit=cpu,
        cpu_used=sum(each.cpu for each in demands),
        ram_limit_mib=ram_mib,
        ram_used_mib=sum(each.ram_mib for each in demands),
        cpu_rule="",
        ram_rule="",
        networks=frozenset({"lan"}),
        datastores=(1,),
        generation=1,
        character=1,
    )


def violations(
    plan: Plan, timed: Timeline, residents: list[MovableVm], size: tuple[int, int]
) -> int:
    """Moments at which a host is over its size or its 8 units, or the network over its 8.

    Counted from the timeline alone: a moving VM is on both its hosts and costs each a unit.
    """
    demands = {each.vm: each.demand for each in residents}
    held: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0])
    for each in residents:
        _add(held[each.host], each.demand, 1, 0)
    events = [(end, 0, n) for n, end in enumerate(timed.ends)]
    events += [(begin, 1, n) for n, begin in enumerate(timed.begins)]
    where = {each.vm: each.host for each in residents}
    running = found = 0
    for _, begins, n in sorted(events):
        move = plan.moves[n]
        demand = demands[move.vm]
        if begins:
            running += 1
            found += where[move.vm] != move.source
            _add(held[move.target], demand, 1, 1)
            _add(held[move.source], demand, 0, 1)
        else:
            running -= 1
            where[move.vm] = move.target
            _add(held[move.target], demand, 0, -1)
            _add(held[move.source], demand, -1, -1)
        over = [held[host] for host in (move.source, move.target)]
        found += sum(one > size[0] or two > size[1] or units > 8 for one, two, units in over)
        found += running > 8
    inhabited = set(where.values())
    return found + sum(host in inhabited for host in plan.empties)


def _add(held: list[int], demand: Demand, times: int, units: int) -> None:
    held[0] += times * demand.cpu
    held[1] += times * demand.ram_mib
    held[2] += units


def main() -> None:
    """Prints the figures of one trace."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trace", type=Path)
    parser.add_argument("--cpu", type=int, required=True, help="CPUs of a host")
    parser.add_argument("--mem-gib", type=int, required=True, help="memory of a host")
    parser.add_argument("--percent", type=int, default=10, help="VMs that may move")
    asked = parser.parse_args()
    cpu, ram_mib = asked.cpu * HUNDREDTHS, asked.mem_gib * 1024
    peak = at_peak(asked.trace, cpu, ram_mib)
    fleet, residents = world(peak, cpu, ram_mib)
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    plan = consolidate(
        fleet, residents, Terms(reach=RelocationScope.DATACENTER, moves_max_percent=asked.percent)
    )
    timed = timeline(plan, Capacities())
    done_s, done_cpu_s = time.perf_counter(), time.process_time()
    kinds = Counter(zip(peak.cpu.tolist(), peak.ram_mib.tolist(), strict=True))
    lowest = bound(kinds, cpu, ram_mib)
    volume = max(-(-int(peak.cpu.sum()) // cpu), -(-int(peak.ram_mib.sum()) // ram_mib))
    show(
        {
            "bench": "repack",
            "vms": len(residents),
            "hosts_before": plan.hosts_before,
            "hosts_after": plan.hosts_after,
            "volume_bound": volume,
            "lp_bound": lowest,
            "over_bound_pct": round(100 * (plan.hosts_after / (lowest or volume) - 1), 2),
            "moved_pct": round(100 * len({move.vm for move in plan.moves}) / len(residents), 2),
            "moves": len(plan.moves),
            "aside": sum(move.reason == "STEPS_ASIDE" for move in plan.moves),
            "blocked": len(plan.blocked),
            "violations": violations(plan, timed, residents, (cpu, ram_mib)),
            "makespan_over_bound": round(timed.makespan / max(1, timed.bound), 3),
            "chain_over_bound": round(timed.chain / max(1, timed.bound), 3),
            "seconds": round(done_s - began_s, 2),
            "cpu_seconds": round(done_cpu_s - began_cpu_s, 2),
        }
    )


if __name__ == "__main__":
    main()
