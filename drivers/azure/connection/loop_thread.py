"""An event loop in a thread of its own: what the SDK parses there holds up nobody else's loop."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from drivers.faults import Unreachable

T = TypeVar("T")
GOODBYE_S = 2.0


class Loop:
    """Starts with the first call."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    async def run(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What the call returns or raises; when we are cancelled, so is the call over there."""
        running = self._running()
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call(), running))

    async def close(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Cancel what runs, do this last thing, and end; waits no longer than a moment."""
        self._closed = True
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        ending = asyncio.run_coroutine_threadsafe(_ended(last), loop)
        try:
            async with asyncio.timeout(GOODBYE_S):
                await asyncio.wrap_future(ending)
        except TimeoutError:
            pass  # what does not end now ends with the loop
        finally:
            loop.call_soon_threadsafe(loop.stop)
            await asyncio.to_thread(thread.join, GOODBYE_S)

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._closed:
            raise Unreachable(f"{self._name} is closed", host=self._name)
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(
                target=self._work, args=(self._loop,), name=f"azure-{self._name}", daemon=True
            )
            self._thread.start()
        return self._loop

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
            loop.run_until_complete(_cancelled())
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()


async def _ended(last: Callable[[], Coroutine[Any, Any, None]]) -> None:
    await _cancelled()
    await last()


async def _cancelled() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
