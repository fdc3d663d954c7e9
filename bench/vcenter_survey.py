"""How long the driver takes to list a vCenter of 1,000 hosts and 10,000 VMs, how late the event
loop is meanwhile, what memory the list takes, and what it asks of the vCenter.

The vCenter is the one of the tests and shares the computer, so its own time is in the seconds; the
CPU that each side used is told beside them. `idle_lag_p99` is the same loop at rest, in ms.
"""

import asyncio
import os
import re
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.figures import Line, line, middle, share
from bench.ground import VAR
from bench.service import BenchFailed
from drivers.capabilities import HypervisorType
from drivers.contract import HostLink
from drivers.esxi import open_driver
from drivers.esxi.driver import EsxiDriver
from gateway.service.gc_tuning import collect_seldom
from tests.lab.vcenter import Shape, VCenter, missing, vcenter

SHAPE = Shape(clusters=20, hosts=50, vms=500, datastores=1, networks=1)
ROUNDS = 5
_PASSWORD = "VMGATE_BENCH_VCENTER"
_LAG_EACH_S = 0.005
_REST_S = 2.0


@dataclass(frozen=True, slots=True)
class Taken:
    """One survey: seconds of the clock and of both sides' CPU, lags in ms, calls by method."""

    seconds: float
    ours_s: float
    theirs_s: float
    lags: list[float]
    calls: dict[str, int]


async def measure() -> AsyncGenerator[Line, None]:
    """One line: the first survey, which reads every mark while the watch begins, and later ones."""
    if reason := missing():
        raise BenchFailed(reason)
    VAR.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=VAR) as folder:
        lab = vcenter(Path(folder) / "vcenter", SHAPE)
        vc = await asyncio.to_thread(lab.__enter__)
        try:
            async with _opened(vc) as driver:
                yield await _line(vc, driver)
        finally:
            await asyncio.to_thread(lab.__exit__, None, None, None)


@asynccontextmanager
async def _opened(vc: VCenter) -> AsyncIterator[EsxiDriver]:
    os.environ[_PASSWORD] = vc.password
    options = {
        "server": f"{vc.host}:{vc.port}",
        "user": vc.user,
        "password_env": _PASSWORD,
        "ca_file": str(vc.certificate),
        "datacenter": "lab",
    }
    driver = open_driver("bench", HypervisorType.VMX_04, options)
    for cluster in range(1, SHAPE.clusters + 1):
        for host in range(1, SHAPE.hosts + 1):
            name = f"esxi-{cluster}-{host}"
            driver.attach(HostLink(name, name, {}, (f"shared-{cluster}-1",)))
    try:
        yield driver
    finally:
        await driver.aclose()


async def _line(vc: VCenter, driver: EsxiDriver) -> Line:
    collect_seldom()  # as the service does once it is ready
    idle: list[float] = []
    listening = asyncio.create_task(_listen(idle))
    await asyncio.sleep(_REST_S)
    listening.cancel()
    before_mib = _resident_mib()
    first = await _surveyed(vc, driver)
    later = [await _surveyed(vc, driver) for _ in range(ROUNDS)]
    lags = [lag for each in later for lag in each.lags]
    return line(
        "vcenter_survey",
        f"{SHAPE.clusters * SHAPE.hosts} hosts, {SHAPE.clusters * SHAPE.vms} VMs",
        "s",
        first=first.seconds,
        later=middle([each.seconds for each in later]),
        our_cpu=middle([each.ours_s for each in later]),
        their_cpu=middle([each.theirs_s for each in later]),
        lag_p99_ms=share(lags, 99.0),
        first_lag_p99_ms=share(first.lags, 99.0),
        idle_lag_p99_ms=share(idle, 99.0),
        resident_mib=_resident_mib(),
        resident_mib_before=before_mib,
        calls=later[-1].calls,
    )


async def _surveyed(vc: VCenter, driver: EsxiDriver) -> Taken:
    await asyncio.to_thread(vc.forget_calls)
    lags: list[float] = []
    listening = asyncio.create_task(_listen(lags))
    ours_s, theirs_s, began_s = time.process_time(), _cpu_s(vc.pid), time.perf_counter()
    facts = await driver.survey("bench")
    took_s = time.perf_counter() - began_s
    ours_s, theirs_s = time.process_time() - ours_s, _cpu_s(vc.pid) - theirs_s
    listening.cancel()
    if len(facts.hosts) != SHAPE.clusters * SHAPE.hosts:
        raise BenchFailed(f"{len(facts.hosts)} hosts were listed")
    if len(facts.vms) != SHAPE.clusters * SHAPE.vms:
        raise BenchFailed(f"{len(facts.vms)} VMs were listed")
    calls = await asyncio.to_thread(vc.calls)
    calls.pop("WaitForUpdatesEx", None)  # the watch's, which waits beside
    return Taken(took_s, ours_s, theirs_s, lags, calls)


async def _listen(late_ms: list[float]) -> None:
    """How late the loop wakes, again and again."""
    while True:
        began_s = time.perf_counter()
        await asyncio.sleep(_LAG_EACH_S)
        late_ms.append(1000 * max(0.0, time.perf_counter() - began_s - _LAG_EACH_S))


def _cpu_s(pid: int) -> float:
    stat = Path(f"/proc/{pid}/stat").read_text()
    user, system = stat.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def _resident_mib() -> float:
    found = re.search(r"^VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024
