"""10,000 VMs of Azure surveyed, and 1,000 stopped and released at once in a storm, by the driver.

`python -m bench.azure_storm [VMS]` prints a JSON line for each. Azure is the tests' simulator, in a
process of its own for the survey and in ours for the storm, where a fifth of the first calls each
is refused in one of five ways, some replies are lost, and polls fail. The subscription allows 40
deallocations a second; real ones allow fewer, which only takes longer.
"""

import asyncio
import json
import resource
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

from azure.core.credentials import AccessToken

from bench.figures import Line, line, share, show
from drivers.azure import marker
from drivers.azure.driver import AzureDriver
from drivers.azure.options import parse
from drivers.contract import Disk, HostLink, Permit, Power, PowerRequest, Ticket, Verdict, VmSpec
from drivers.faults import Busy, Indeterminate, Unreachable
from tests.lab.azure.simulator import GROUP, Simulator

VMS = 1_000
LISTED = 10_000
SIZE = "Standard_D2s_v3"
_STORM: tuple[dict[str, Any], ...] = (
    {"status": 429, "retry_after": "1"},
    {"status": 429},
    {"status": 503},
    {"status": 409},
    {"status": 503, "retry_after": "1"},
)


class _Token:
    async def get_token(self, *scopes: str, **words: Any) -> AccessToken:
        return AccessToken("token", int(time.time() + 3600))

    async def close(self) -> None:
        """Nothing is open."""


def _driver(base_url: str, ca_file: str, subscription: str, **options: Any) -> AzureDriver:
    told = {
        "subscription": subscription,
        "resource_group": GROUP,
        "sizes": SIZE,
        "base_url": base_url,
        "ca_file": ca_file,
        "poll_s": 1.0,
        "polls_per_s": 100.0,
        "backoff_s": 0.5,
        "survey_each_s": 0.0,
        **options,
    }
    driver = AzureDriver("azure", parse(told), _Token)
    driver.attach(HostLink("place", "eastus", {"default": "none"}, ("disks",)))
    return driver


async def storm(count: int) -> Line:
    """The time and the calls of the stops; raises AssertionError when one failed or came twice."""
    async with Simulator.start() as arm:
        arm.sizes.limit = 100 * count
        arm.limits.allow("DeleteVM", 7_200, 72_000)
        vms = [uuid4() for _ in range(count)]
        for vm in vms:
            disk = Disk("disk", "image", 0)
            tags = marker.written(VmSpec(vm, str(vm), 2, 8192, disk), uuid4(), SIZE)
            arm.add(marker.name_of(vm), **tags)
        for weather in _STORM:
            arm.faults.add("reply", "POST deallocate", times=count // 5, **weather)
        arm.faults.add("reply", "GET poll", times=count // 5, status=503)
        arm.faults.add("dropafter", "POST deallocate", times=count // 20)
        driver = _driver(arm.base_url, str(arm.ca_file), arm.subscription)
        began_s = time.monotonic()
        ends = await asyncio.gather(*(_stopped(driver, vm) for vm in vms))
        took_s = time.monotonic() - began_s
        await driver.aclose()
        done = arm.done("POST deallocate")
        assert len(done) == count
        assert set(done.values()) == {1}
        assert arm.limits.refused == 0
        return line(
            "azure_storm",
            f"{count} VMs deallocated in a storm",
            "s",
            all=took_s,
            slowest_vm=max(ends),
            calls=sum(arm.calls.values()),
            deallocations_asked=arm.calls["POST deallocate"],
            looks=arm.calls["GET vm"],
            polls=arm.calls["GET poll"],
            sent_twice=sum(count - 1 for count in done.values()),
            beyond_the_budget=arm.limits.refused,
        )


async def _stopped(driver: AzureDriver, vm: UUID) -> float:
    """Seconds until it was; what is unclear is looked at, as the executor does."""
    began_s, kept = time.monotonic(), ""

    async def keep(text: str) -> None:
        nonlocal kept
        kept = text

    order = Power(vm, "place", PowerRequest.OFF, release=True)
    permit = Permit(uuid4(), "power", lambda: None, keep)
    while True:
        try:
            await driver.power(permit, order)
        except (Busy, Unreachable):
            continue
        except Indeterminate:
            pass
        while True:
            outcome = await driver.settle(Ticket(permit.task, permit.step, order, kept))
            if outcome.verdict is not Verdict.RUNNING:
                break
            await asyncio.sleep(0.5)
        if outcome.verdict is Verdict.DONE:
            return time.monotonic() - began_s


async def listing() -> AsyncGenerator[Line, None]:
    """The first survey, with the full listing, and the next, of statuses only."""
    with tempfile.TemporaryDirectory() as home:
        async with _simulated(home) as found:
            driver = _driver(found["base_url"], found["ca_file"], found["subscription"])
            for figure in ("first", "next"):
                lags: list[float] = []
                watching = asyncio.create_task(_lag(lags))
                before_mib = _resident_mib()
                began_s = time.monotonic()
                facts = await driver.survey("azure")
                took_s = time.monotonic() - began_s
                watching.cancel()
                assert len(facts.vms) == LISTED
                yield line(
                    "azure_storm",
                    f"{LISTED} VMs surveyed, {figure}",
                    "s",
                    took=took_s,
                    loop_lag_p99=share(lags, 99),
                    loop_lag_max=max(lags),
                    peak_mib_more=_resident_mib() - before_mib,
                )
            await driver.aclose()


@asynccontextmanager
async def _simulated(home: str) -> AsyncGenerator[dict[str, str], None]:
    words = [f"home={home}", f"vms={LISTED}", f"quota={100 * LISTED}"]
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.lab.azure.simulator", *words),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert running.stdout is not None
    assert running.stdin is not None
    try:
        yield json.loads(await running.stdout.readline())
    finally:
        running.stdin.close()
        await running.wait()


async def _lag(lags: list[float]) -> None:
    while True:
        due = time.monotonic() + 0.005
        await asyncio.sleep(0.005)
        lags.append(time.monotonic() - due)


def _resident_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def main() -> None:
    """Print all lines; with a number, that of the storm of so many VMs alone."""
    if len(sys.argv) > 1:
        show(await storm(int(sys.argv[1])))
        return
    async for one in listing():
        show(one)
    show(await storm(VMS))


if __name__ == "__main__":
    asyncio.run(main())
