"""Users are read from the store together: one statement for all that are asked for at a time.

When the credentials of many callers lapse at once, one statement each would hold the event loop
longer than a request may wait.
"""

import asyncio

from gateway.store import users
from gateway.store.db.pool import Store
from gateway.store.users import User

_Waiting = dict[int, "asyncio.Future[User | None]"]


class UserReader:
    """Used on the event loop only."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: _Waiting = {}
        self._reading: asyncio.Task[None] | None = None

    async def get(self, user_id: int) -> User | None:
        """Return a user as they are after this call began, None if there is none.

        Raises what the store raises.
        """
        found = self._waiting.get(user_id)
        if found is None:
            found = self._waiting[user_id] = asyncio.get_running_loop().create_future()
        if self._reading is None:
            self._reading = asyncio.create_task(self._read_all())
        # A caller that is cancelled leaves the others their answer.
        return await asyncio.shield(found)

    async def aclose(self) -> None:
        """Stop reading; those that wait are cancelled."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def _read_all(self) -> None:
        batch: _Waiting = {}
        try:
            while self._waiting:
                # Whoever asks from here on may know more than this statement sees: the next one.
                batch, self._waiting = self._waiting, {}
                await self._read(batch)
        finally:
            self._reading = None
            for one in (*batch.values(), *self._waiting.values()):
                one.cancel()
            self._waiting = {}

    async def _read(self, batch: _Waiting) -> None:
        try:
            async with self._store.read() as c:
                found = await users.get_all(c, list(batch))
        except Exception as wrong:
            for one in batch.values():
                one.set_exception(wrong)
                one.exception()  # seen, also if every caller has gone
            return
        for user_id, one in batch.items():
            one.set_result(found.get(user_id))
