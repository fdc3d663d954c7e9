"""Thinking takes long and would hold up the event loop, so each thought has a process of its own.

It reads the thought from its standard input and answers in JSON. It opens the store by itself, and
a gateway that dies meanwhile leaves nothing but a process that soon ends.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, assert_never
from uuid import UUID

import msgspec

from gateway.analysis.decision_replay import NotReplayable, Recomputed, recompute
from gateway.analysis.rule_simulation import SimulationRequest, foresee
from gateway.child_environment import child_environment
from gateway.events.sequencer import Sequencer
from gateway.plans.requests import Reckoning, reckon
from gateway.store.capacity import checkpoints
from gateway.store.capacity.checkpoints import CheckpointPace
from gateway.store.db.pool import Store, StoreError, StoreSettings

PATIENCE_S = 120.0
_SESSIONS = 4


class SimulateRules(msgspec.Struct, frozen=True, tag=True):
    """What rules would do."""

    question: SimulationRequest


class AnswerQuestion(msgspec.Struct, frozen=True, tag=True):
    """Headroom, or a plan."""

    question: Reckoning


class Recompute(msgspec.Struct, frozen=True, tag=True):
    """A decision to make again."""

    decision: UUID


class Checkpoint(msgspec.Struct, frozen=True, tag=True):
    """A checkpoint that may be due."""

    pace: CheckpointPace


Thought: TypeAlias = SimulateRules | AnswerQuestion | Recompute | Checkpoint
AT_ONCE: dict[type[Thought], int] = {
    SimulateRules: 1,
    AnswerQuestion: 2,
    Recompute: 1,
    Checkpoint: 1,
}
"""How many of a kind one process of ours thinks about at the same time."""


class AnalysisRequest(msgspec.Struct, frozen=True):
    """A thought, and where the store is.

    `libpq` holds our PG* variables, such as PGPASSWORD. They go through the pipe: the environment
    of a process can be read in /proc.
    """

    home: str
    url: str
    thought: Thought
    libpq: dict[str, str] = {}


class DecisionTable(msgspec.Struct, frozen=True):
    """A decision made again; `lacking` says why it cannot be."""

    lacking: str = ""
    identical: bool = False
    why: str = ""
    derived: msgspec.Raw = msgspec.Raw(b"{}")
    hosts: msgspec.Raw = msgspec.Raw(b"[]")


_A = TypeVar("_A")


class AnalysisPool:
    """Thinks elsewhere, about a few things at once; each raises StoreError when it is not done in
    time."""

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._turns = {kind: asyncio.Semaphore(most) for kind, most in AT_ONCE.items()}

    async def foresee(self, store: Store, question: SimulationRequest) -> dict[str, Any]:
        """What `foresee` answers."""
        return await self._think(store, SimulateRules(question), dict[str, Any])

    async def reckon(self, store: Store, question: Reckoning) -> dict[str, Any]:
        """What `reckon` answers."""
        return await self._think(store, AnswerQuestion(question), dict[str, Any])

    async def recompute(self, store: Store, decision: UUID) -> Recomputed:
        """The whole table of a decision; raises NotReplayable, too."""
        found = await self._think(store, Recompute(decision), DecisionTable)
        if found.lacking:
            raise NotReplayable(found.lacking)
        return Recomputed(found.identical, found.why, bytes(found.derived), bytes(found.hosts))

    async def checkpoint(self, store: Store, pace: CheckpointPace) -> None:
        """Take a checkpoint if one is due."""
        await self._think(store, Checkpoint(pace), None)

    async def _think(self, store: Store, thought: Thought, answer: type[_A] | None) -> _A:
        libpq = {name: value for name, value in os.environ.items() if name.startswith("PG")}
        asked = msgspec.json.encode(AnalysisRequest(str(store.home), store.url, thought, libpq))
        async with self._turns[type(thought)]:
            child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                __name__,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=child_environment({"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}),
            )
            try:
                async with asyncio.timeout(self._patience_s):
                    told, _ = await child.communicate(asked)
            except TimeoutError as late:
                raise StoreError(f"not done within {self._patience_s:.0f} s") from late
            finally:
                if child.returncode is None:
                    child.kill()
                    await child.wait()
        if child.returncode != 0:
            raise StoreError(f"the analysis process ended with {child.returncode}")
        return msgspec.json.decode(told, type=answer)


async def think(asked: AnalysisRequest) -> bytes:
    """What the process of its own does."""
    settings = StoreSettings(
        home=Path(asked.home), database_url=asked.url, connections_max=_SESSIONS
    )
    async with Store.open(settings) as store:
        return msgspec.json.encode(await _answer(store, asked.thought))


async def _answer(store: Store, thought: Thought) -> Any:
    match thought:
        case SimulateRules(question):
            return await foresee(store, question)
        case AnswerQuestion(question):
            return await reckon(store, question)
        case Recompute(decision):
            return await _table(store, decision)
        case Checkpoint(pace):
            await checkpoints.take(store, pace, Sequencer(store).flush)
            return None
    assert_never(thought)


async def _table(store: Store, decision: UUID) -> DecisionTable:
    try:
        found = await recompute(store, decision)
    except NotReplayable as lacking:
        return DecisionTable(lacking=str(lacking))
    return DecisionTable(
        "", found.identical, found.why, msgspec.Raw(found.derived), msgspec.Raw(found.hosts)
    )


if __name__ == "__main__":
    read = msgspec.json.decode(sys.stdin.buffer.read(), type=AnalysisRequest)
    os.environ.update(read.libpq)
    sys.stdout.buffer.write(asyncio.run(think(read)))
