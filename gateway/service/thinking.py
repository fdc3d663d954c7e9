"""Thinking takes long and would hold up the event loop, so each thought has a process of its own.

It reads what to do from its standard input and answers in one line of JSON. It opens the store by
itself, and a gateway that dies meanwhile leaves nothing but a thought that ends alone.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from gateway.events.sequencer import Sequencer
from gateway.store import checkpoints
from gateway.store.checkpoints import Pace
from gateway.store.pool import Store, StoreError, StoreSettings
from gateway.tasks.replaying import NotReplayable, Recomputed, recompute

_PATIENCE_S = 120.0
_SESSIONS = 3


class Thought(msgspec.Struct, frozen=True):
    """What to think about: a decision to make again, or a checkpoint that may be due."""

    home: str
    url: str
    decision: UUID | None = None
    pace: Pace | None = None


class Answer(msgspec.Struct, frozen=True):
    """What came of it; `lacking` says why a decision cannot be made again."""

    lacking: str = ""
    identical: bool = False
    why: str = ""
    derived: msgspec.Raw = msgspec.Raw(b"{}")
    hosts: msgspec.Raw = msgspec.Raw(b"[]")


class Thinker:
    """Thinks about one thing at a time."""

    def __init__(self, store: Store) -> None:
        """Against the same database as the store."""
        self._store = store
        self._turn = asyncio.Lock()

    async def recompute(self, decision: UUID) -> Recomputed:
        """The whole table of a decision; raises NotReplayable, or StoreError."""
        found = await self._think(decision=decision)
        if found.lacking:
            raise NotReplayable(found.lacking)
        return Recomputed(found.identical, found.why, bytes(found.derived), bytes(found.hosts))

    async def checkpoint(self, pace: Pace) -> None:
        """Take a checkpoint if one is due; raises StoreError."""
        await self._think(pace=pace)

    async def _think(self, **about: Any) -> Answer:
        thought = Thought(str(self._store.home), self._store.url, **about)
        async with self._turn:
            child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                __name__,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    told, _ = await child.communicate(msgspec.json.encode(thought))
            except TimeoutError as late:
                raise StoreError(f"it was not done within {_PATIENCE_S:.0f} s") from late
            finally:
                if child.returncode is None:
                    child.kill()
                    await child.wait()
        if child.returncode != 0:
            raise StoreError(f"the process that thinks ended with {child.returncode}")
        return msgspec.json.decode(told, type=Answer)


async def think(thought: Thought) -> Answer:
    """What the process of its own does."""
    settings = StoreSettings(
        home=Path(thought.home), database_url=thought.url, connections_max=_SESSIONS
    )
    async with Store.open(settings) as store:
        if thought.pace is not None:
            await checkpoints.take(store, thought.pace, Sequencer(store).flush)
        if thought.decision is None:
            return Answer()
        try:
            found = await recompute(store, thought.decision)
        except NotReplayable as lacking:
            return Answer(lacking=str(lacking))
    return Answer(
        identical=found.identical,
        why=found.why,
        derived=msgspec.Raw(found.derived),
        hosts=msgspec.Raw(found.hosts),
    )


if __name__ == "__main__":
    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=Thought)
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(think(asked))))
