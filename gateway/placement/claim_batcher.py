"""Claims are granted in groups: one transaction in flight, and those that gather meanwhile next."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import assert_never

from gateway.store.capacity import claims
from gateway.store.capacity.claims import Answer, Claim, Conflict, Fenced, Granted
from gateway.store.capacity.ledger import Key
from gateway.store.db.pool import Store, StoreUnavailable

GROUP_MAX = 64
UNTOLD_MAX_S = 0.01
"""How long a group waits for its answers where the next one is held up before its writing."""
Booked = Callable[[Mapping[Key, int]], None]
"""Is told, by ledger row, the generation that counts a claim first."""


@dataclass(slots=True)
class BatchCounts:
    """How many claims were answered how since the start; a failed store answers none."""

    granted: int = 0
    conflicts: int = 0
    fenced: int = 0

    def count(self, answer: Answer) -> None:
        """One more."""
        match answer:
            case Granted():
                self.granted += 1
            case Conflict():
                self.conflicts += 1
            case Fenced():
                self.fenced += 1
            case _:
                assert_never(answer)


@dataclass(frozen=True, slots=True)
class PendingClaim:
    """A claim that waits for its group."""

    claim: Claim
    answer: asyncio.Future[Answer]
    booked: Booked | None


class ClaimBatcher:
    """Books claims for all workers of this process, and keeps a tally of the answers."""

    def __init__(self, store: Store) -> None:
        self.tally = BatchCounts()
        self._store = store
        self._waiting: list[PendingClaim] = []
        self._answered: list[tuple[PendingClaim, Answer]] = []
        self._flushing: asyncio.Task[None] | None = None

    async def claim(self, claim: Claim, booked: Booked | None = None) -> Answer:
        """Book `claim`; a failure of the store leaves it unknown whether it was booked.

        `booked` is told of the grant before the transaction commits.
        """
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append(PendingClaim(claim, answer, booked))
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())
        return await answer

    async def _flush(self) -> None:
        while self._waiting:
            group = self._next_group()
            try:
                answers = await self._book(group)
            except Exception as failure:
                self._tell()
                await self._one_by_one(group, failure)
                continue
            self._tell()
            self._answered = list(zip(group, answers, strict=True))
            asyncio.get_running_loop().call_later(UNTOLD_MAX_S, self._tell)
        self._tell()

    def _next_group(self) -> list[PendingClaim]:
        """Half of all who wait or will soon ask again, since they are about to be answered."""
        size = min(GROUP_MAX, -(-(len(self._waiting) + len(self._answered)) // 2))
        group, self._waiting = self._waiting[:size], self._waiting[size:]
        return group

    def _tell(self) -> None:
        """Answer the last group. Its callers go on while the store writes the next one, not
        before: what they do would only hold that up."""
        for asked, answer in self._answered:
            if not asked.answer.done():
                asked.answer.set_result(answer)
        self._answered = []

    async def _book(self, group: list[PendingClaim]) -> list[Answer]:
        async with self._store.transaction() as c:
            answers = await claims.claim(c, [asked.claim for asked in group], self._tell)
            for asked, answer in zip(group, answers, strict=True):
                if isinstance(answer, Granted) and asked.booked is not None:
                    asked.booked(answer.generations)
        for answer in answers:
            self.tally.count(answer)
        return answers

    async def _one_by_one(self, group: list[PendingClaim], failure: Exception) -> None:
        """One bad claim must not fail the others; a store that is away fails all alike."""
        for asked in group:
            outcome: Answer | Exception = failure
            if not isinstance(failure, StoreUnavailable) and not asked.answer.done():
                try:
                    (outcome,) = await self._book([asked])
                except Exception as own:
                    outcome = own
            if asked.answer.done():  # nobody waits for it any more
                continue
            if isinstance(outcome, Exception):
                asked.answer.set_exception(outcome)
            else:
                asked.answer.set_result(outcome)
