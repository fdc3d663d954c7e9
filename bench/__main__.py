"""`python -m bench [NAME...]` prints one JSON line for each figure; without names, of all."""

import asyncio
import signal
import sys
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing

import uvloop

from bench import (
    accept,
    decide,
    deploys,
    headroom,
    lag,
    logins,
    long_lists,
    silent,
    startup,
    vcenter_survey,
)
from bench.figures import Line, show
from bench.service import BenchFailed

BENCHES: Mapping[str, Callable[[], AsyncGenerator[Line, None]]] = {
    "decide": decide.measure,
    "headroom": headroom.measure,
    "accept": accept.measure,
    "deploys": deploys.measure,
    "lag": lag.measure,
    "logins": logins.measure,
    "long_lists": long_lists.measure,
    "silent": silent.measure,
    "startup": startup.measure,
    "vcenter_survey": vcenter_survey.measure,
}
WITHIN_S = 180.0


async def run(names: list[str]) -> int:
    """The named benches one after the other: the exit status, 1 when one was not seen to work."""
    whole = asyncio.current_task()
    assert whole is not None
    # Ended from outside we still end what we started.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, whole.cancel)
    status = 0
    async with asyncio.timeout(WITHIN_S):
        for name in names:
            began_s = time.monotonic()
            try:
                await _all_of(name)
            except BenchFailed as failed:
                print(f"{name}: {failed}", file=sys.stderr)
                status = 1
            print(f"{name}: {time.monotonic() - began_s:.0f} s", file=sys.stderr)
    return status


async def _all_of(name: str) -> None:
    async with aclosing(BENCHES[name]()) as lines:
        async for one in lines:
            show(one)


def main() -> int:
    """The exit status."""
    names = sys.argv[1:] or list(BENCHES)
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        print(f"there is no bench {unknown[0]}; there are {', '.join(BENCHES)}", file=sys.stderr)
        return 2
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            return runner.run(run(names))
        except TimeoutError:
            print(f"not within {WITHIN_S:.0f} s", file=sys.stderr)
            return 1
        except (asyncio.CancelledError, KeyboardInterrupt):
            return 130


if __name__ == "__main__":
    sys.exit(main())
