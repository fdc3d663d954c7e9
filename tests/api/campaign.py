"""Fault I7, the long form: `python -m tests.api.campaign --requests 100000 --seed 0`.

A real `vmgate serve` gets hostile requests over raw sockets. It prints one JSON line with how they
were answered and what the process holds in memory, and ends with 1 for any 5xx, any request that
was owed an answer and got none, or memory that grows.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from aiohttp import encode_basic_auth

from tests.acceptance.gateway import PASSWORD, Gateway, gateways, place
from tests.api.hostile import HostileRequests
from tests.api.hostile_clients import Answers, attack

_SOON = """
[server]
headers_s = 1.0
body_s = 1.0
"""
STEPS = 10
GROWTH_MAX_MIB = 64.0
"""What the second half may add: rows in the index, no leak of each request."""


async def campaign(requests: int, seed: int) -> int:
    """Run it; the exit status."""
    with tempfile.TemporaryDirectory() as folder:
        at = place(Path(folder), None, hosts=2)
        # A frame that never ends is answered soon.
        at.config.write_text(f"{at.config.read_text()}{_SOON}")
        async with gateways(at) as (gateway,):
            return await _attacked(gateway, requests, seed)


async def _attacked(gateway: Gateway, requests: int, seed: int) -> int:
    assert gateway.process is not None
    await gateway.make(await gateway.appliance())
    statuses: Counter[int] = Counter()
    faults, unanswered, resident = [], [], [_resident_mib(gateway.process.pid)]
    began_s = time.monotonic()
    for step in range(STEPS):
        token = await _token(gateway)
        source = HostileRequests(seed * STEPS + step, token.encode())
        found: Answers = await attack(gateway.port, source, requests // STEPS)
        statuses += found.statuses
        faults += found.faults
        unanswered += found.unanswered
        resident.append(_resident_mib(gateway.process.pid))
        print(
            f"{sum(statuses.values())} sent, {resident[-1]} MiB, {len(faults)} 5xx", file=sys.stderr
        )
    growth = resident[-1] - resident[STEPS // 2]
    good = not faults and not unanswered and growth <= GROWTH_MAX_MIB
    figures = {
        "requests": sum(statuses.values()),
        "seconds": round(time.monotonic() - began_s, 1),
        "statuses": {str(status): n for status, n in sorted(statuses.items())},
        "faults": [repr(one) for one in faults[:20]],
        "unanswered": [repr(one) for one in unanswered[:20]],
        "resident_mib": resident,
        "good": good,
    }
    print(json.dumps(figures))
    return 0 if good else 1


async def _token(gateway: Gateway) -> str:
    headers = {"Authorization": encode_basic_auth("admin", PASSWORD)}
    async with gateway.session.get(f"{gateway.base}/login", headers=headers) as answer:
        return answer.headers["X-Abiquo-Token"]


def _resident_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    kib = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:"))
    return round(int(kib) / 1024, 1)


def main() -> int:
    """The exit status."""
    reading = argparse.ArgumentParser(prog="python -m tests.api.campaign", description=__doc__)
    reading.add_argument("--requests", type=int, default=100_000)
    reading.add_argument("--seed", type=int, default=0)
    asked = reading.parse_args()
    return asyncio.run(campaign(asked.requests, asked.seed))


if __name__ == "__main__":
    sys.exit(main())
