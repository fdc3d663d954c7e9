"""The advisory finds advice in a process of its own, which stays: a line in, a line out.

It begins with the first question. When the gateway dies its input ends, and so does it.
"""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process

from gateway.child_environment import child_environment
from scheduler.advice.message import answered

_LINE_MAX = 2**24
_END_S = 2.0


class AdviceProcess:
    """One process, one question at a time."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._child: Process | None = None

    async def run(self) -> None:
        """Until cancelled; then the process ends."""
        try:
            await asyncio.Event().wait()
        finally:
            await self.aclose()

    async def ask(self, message: bytes) -> bytes:
        """The answer to one message; raises OSError when the process ended instead."""
        async with self._turn:
            child = await self._present()
            assert child.stdin is not None
            assert child.stdout is not None
            answer = b""
            try:
                child.stdin.write(message + b"\n")
                await child.stdin.drain()
                answer = await child.stdout.readline()
            finally:
                # Whatever interrupts leaves an answer that nobody waits for.
                if not answer.endswith(b"\n"):
                    await self.aclose()
            if not answer:
                raise OSError("the advice process has ended")
            return answer

    async def aclose(self) -> None:
        """End the process; the next question begins another."""
        child, self._child = self._child, None
        if child is not None and child.returncode is None:
            child.kill()
            await asyncio.wait_for(child.wait(), _END_S)

    async def _present(self) -> Process:
        if self._child is None or self._child.returncode is not None:
            self._child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                __name__,
                stdin=PIPE,
                stdout=PIPE,
                limit=_LINE_MAX,
                env=child_environment({"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}),
            )
        return self._child


def main() -> None:
    """What the process of its own does."""
    for line in sys.stdin.buffer:
        sys.stdout.buffer.write(answered(line) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
