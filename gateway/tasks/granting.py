"""Claims are granted in groups: one transaction in flight, and all that gather meanwhile next."""

import asyncio

from gateway.store import claiming
from gateway.store.claiming import Answer, Claim
from gateway.store.pool import Store, StoreUnavailable

GROUP_MAX = 64


class Granter:
    """Books claims for all workers of this process."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[tuple[Claim, asyncio.Future[Answer]]] = []
        self._flushing: asyncio.Task[None] | None = None

    async def claim(self, claim: Claim) -> Answer:
        """Book `claim`; a failure of the store leaves it unknown whether it was booked."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((claim, answer))
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush())
        return await answer

    async def _flush(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting[:GROUP_MAX], self._waiting[GROUP_MAX:]
            try:
                answers = await self._book([claim for claim, _ in group])
            except Exception as failure:
                await self._one_by_one(group, failure)
                continue
            for (_, future), answer in zip(group, answers, strict=True):
                if not future.done():
                    future.set_result(answer)

    async def _book(self, claims: list[Claim]) -> list[Answer]:
        async with self._store.transaction() as c:
            return await claiming.claim(c, claims)

    async def _one_by_one(
        self, group: list[tuple[Claim, asyncio.Future[Answer]]], failure: Exception
    ) -> None:
        """One bad claim must not fail the others; a store that is away fails all alike."""
        for claim, future in group:
            if future.done():
                continue
            if isinstance(failure, StoreUnavailable):
                future.set_exception(failure)
                continue
            try:
                future.set_result((await self._book([claim]))[0])
            except Exception as own:
                future.set_exception(own)
