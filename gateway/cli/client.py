"""A small client of our own API for commands and the demo: follows links, waits for tasks."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientResponse, ClientSession, encode_basic_auth

TASK_WITHIN_S = 300.0
_LOOK_EACH_S = 0.1


class ScenarioFailed(Exception):
    """What was not seen to work, in one sentence."""


class Client:
    """Calls the API at `base` (scheme, host, port) as one user."""

    def __init__(self, session: ClientSession, base: str, user: str, password: str) -> None:
        self._session = session
        self._headers = {"Authorization": encode_basic_auth(user, password)}
        self.base = base

    async def call(
        self, method: str, where: str, body: Any = None, *, wanted: tuple[int, ...] = (200,)
    ) -> Any:
        """The answer's JSON; `where` is an address or a path below /api."""
        url = where if where.startswith("http") else f"{self.base}/api/{where}"
        async with self._session.request(method, url, json=body, headers=self._headers) as answer:
            found = await answer.json(content_type=None) if answer.content_length else None
            if answer.status not in wanted:
                raise ScenarioFailed(f"{method} {url} answered {answer.status}: {found}")
            return found

    async def text(self, where: str) -> str:
        """The answer as text for people."""
        headers = {**self._headers, "Accept": "text/plain"}
        async with self._session.get(f"{self.base}/api/{where}", headers=headers) as answer:
            found = await answer.text()
            if answer.status != 200:
                raise ScenarioFailed(f"GET {where} answered {answer.status}: {found}")
            return found

    async def is_there(self, where: str, *, no: tuple[int, ...] = (404,)) -> bool:
        """Whether there is something at this path for who asks; these statuses say no."""
        url = f"{self.base}/api/{where}"
        async with self._session.get(url, headers=self._headers) as answer:
            if answer.status not in (200, *no):
                raise ScenarioFailed(f"GET {where} answered {answer.status}")
            return answer.status == 200

    async def collection(self, where: str) -> list[Any]:
        """All items of a collection."""
        found = await self.call("GET", where)
        return list(found["collection"])

    async def finished(
        self, accepted: Mapping[str, Any], shown: Callable[[str], None]
    ) -> dict[str, Any]:
        """The task of a 202 once it ended; `shown` hears what it does meanwhile."""
        status = link(accepted, "status")
        until = time.monotonic() + TASK_WITHIN_S
        while time.monotonic() < until:
            task: dict[str, Any] = await self.call("GET", status)
            if task["state"].startswith("FINISHED"):
                return task
            if task["stuck"]:
                raise ScenarioFailed(f"the task is stuck: {task['error']}")
            shown(_doing(task))
            await asyncio.sleep(_LOOK_EACH_S)
        raise ScenarioFailed(f"the task did not end within {TASK_WITHIN_S:.0f} s")

    @asynccontextmanager
    async def request(
        self,
        method: str,
        where: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> AsyncIterator[ClientResponse]:
        """The whole answer to a request with headers of its own; `where` is a path below /api."""
        given = {**self._headers, **(headers or {})}
        url = f"{self.base}/api/{where}"
        async with self._session.request(method, url, data=body, headers=given) as answer:
            yield answer


def link(body: Mapping[str, Any], rel: str) -> str:
    """The address of a link; StepFailed when it is not there."""
    for one in body["links"]:
        if one["rel"] == rel:
            return str(one["href"])
    raise ScenarioFailed(f"there is no link {rel}")


def _doing(task: Mapping[str, Any]) -> str:
    for job in task["jobs"]["collection"]:
        if job["state"] == "STARTED":
            percent = "" if job["progress"] is None else f" {job['progress']} %"
            return f"{job['type']}{percent}"
    return "waiting"
