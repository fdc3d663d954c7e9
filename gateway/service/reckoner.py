"""A reckoner answers long questions in a process of its own, so that the event loop turns on.

The process reads the question from its standard input and answers in JSON; it opens the store by
itself. When the gateway dies meanwhile, nothing is left but a process that soon ends.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import msgspec

from gateway.store.pool import Store, StoreError, StoreSettings
from gateway.tasks.reckoning import Reckoning, reckon

PATIENCE_S = 60.0
AT_ONCE = 2
"""Questions of one process that are reckoned at the same time."""


class Asked(msgspec.Struct, frozen=True):
    """A question, and the address of the store."""

    url: str
    question: Reckoning


class Reckoner:
    """Asks processes of its own, a few at once."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def reckon(self, store: Store, question: Reckoning) -> dict[str, Any]:
        """The answer; raises StoreError when there is none in time."""
        asked = msgspec.json.encode(Asked(store.url, question))
        async with self._turns:
            child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                __name__,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
            try:
                async with asyncio.timeout(PATIENCE_S):
                    told, _ = await child.communicate(asked)
            except TimeoutError as late:
                raise StoreError(f"it was not reckoned within {PATIENCE_S:.0f} s") from late
            finally:
                if child.returncode is None:
                    child.kill()
                    await child.wait()
        if child.returncode != 0:
            raise StoreError(f"the process that reckons ended with {child.returncode}")
        answer: dict[str, Any] = msgspec.json.decode(told)
        return answer


async def answer(asked: Asked) -> bytes:
    """What the process of its own does."""
    settings = StoreSettings(home=Path(), database_url=asked.url, connections_max=4)
    async with Store.open(settings) as store:
        return msgspec.json.encode(await reckon(store, asked.question))


if __name__ == "__main__":
    read = msgspec.json.decode(sys.stdin.buffer.read(), type=Asked)
    sys.stdout.buffer.write(asyncio.run(answer(read)))
