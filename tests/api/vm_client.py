"""A client of the real API over the small world, for callers of several privileges."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from drivers.capabilities import HypervisorType
from drivers.simulated.options import SimulatedOptions, capabilities_of
from gateway.api.routes import build_app
from gateway.api.services import AppServices
from gateway.events.sequencer import Sequencer
from gateway.placement.fleet_mirror import FleetMirror
from gateway.store.db.pool import Store
from tests.api import vm_world

CAPABILITIES = {
    kind.value: capabilities_of(kind, SimulatedOptions(cloud=kind is HypervisorType.AZURE))
    for kind in HypervisorType
}
VM_TYPE = "application/vnd.abiquo.virtualmachine+json"


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, the JSON body (None without one) and the headers."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def code(self) -> str:
        """The code of the first error."""
        return str(self.body["collection"][0]["code"])

    @property
    def message(self) -> str:
        """The message of the first error."""
        return str(self.body["collection"][0]["message"])

    def link(self, rel: str) -> dict[str, Any] | None:
        """The body's first link of that rel."""
        return link(self.body, rel)


def link(body: Mapping[str, Any], rel: str) -> dict[str, Any] | None:
    """A representation's first link of that rel."""
    return next((one for one in body["links"] if one["rel"] == rel), None)


class Api:
    """Calls paths below /api in the name of a user."""

    def __init__(self, client: TestClient[Any, Any], store: Store, woken: list[int]) -> None:
        self._client = client
        self.store = store
        self.woken = woken

    async def call(
        self, method: str, path: str | URL, body: Any = None, *, user: str = "admin", **more: Any
    ) -> Answer:
        """One request; `body` goes as JSON, `data` and `headers` as they are."""
        headers = {"Authorization": f"Token token-of-{user}", **more.pop("headers", {})}
        if body is not None:
            more["json"] = body
        url = path if isinstance(path, URL) or path.startswith("/") else f"/api/{path}"
        async with self._client.request(method, url, headers=headers, **more) as answer:
            kind = answer.headers.get("Content-Type", "")
            parsed = await answer.json(content_type=None) if "json" in kind else None
            return Answer(answer.status, parsed, answer.headers)

    def url(self, path: str) -> URL:
        """The whole address of a path below /api, for a client of the test's own."""
        return self._client.make_url(f"/api/{path}")

    async def raw(self, method: str, url: str) -> Answer:
        """One request to an address that is quoted already."""
        return await self.call(method, URL(url, encoded=True))

    async def plain(self, method: str, url: str, headers: Mapping[str, str], **more: Any) -> Answer:
        """One request with these headers and no credentials of ours."""
        async with self._client.request(method, url, headers=headers, **more) as answer:
            kind = answer.headers.get("Content-Type", "")
            parsed = await answer.json(content_type=None) if "json" in kind else None
            return Answer(answer.status, parsed, answer.headers)

    async def make(self, **fields: Any) -> str:
        """A new VM of the template `tiny`; its path below /api."""
        made = await self.call("POST", vm_world.VMS, {**fields, "links": [vm_world.TEMPLATE_LINK]})
        assert made.status == 201, made.body
        return f"{vm_world.VMS}/{made.body['id']}"

    async def make_cloud(self, state: str, *, deallocated: bool = False) -> str:
        """A new VM of a cloud, in that state."""
        vm = await self.make()
        await self.put(vm, state, 1)
        async with self.store.transaction() as c:
            await c.execute(
                "update vm set type = $2, deallocated = $3 where id = $1",
                number(vm),
                HypervisorType.AZURE.value,
                deallocated,
            )
        return vm

    async def put(self, vm: str, state: str, host: int | None = None) -> None:
        """Record a state and place, as a task or an observer would."""
        async with self.store.transaction() as c:
            await vm_world.put(c, number(vm), state, host)

    async def lock(self, vm: str, kind: str, state: str = "queued") -> UUID:
        """Let a task hold the VM."""
        async with self.store.transaction() as c:
            return await vm_world.open_task(c, number(vm), kind, state)

    async def finish(self, task: UUID, result: str, error: str = "") -> None:
        """End a task."""
        async with self.store.transaction() as c:
            await vm_world.finish(c, task, result, error)

    async def sequence(self) -> None:
        """Move all events to the feed."""
        await Sequencer(self.store).flush()

    async def row(self, statement: str, *values: Any) -> Any:
        """One value of the database."""
        async with self.store.read() as c:
            return await c.fetchval(statement, *values)


def number(path: str) -> int:
    """The id that ends a path."""
    return int(path.rsplit("/", 1)[1])


@contextlib.asynccontextmanager
async def serving(store: Store, **more: Any) -> AsyncIterator[Api]:
    """The API over the small world, with a planner that has caught up; `more` of its services."""
    await vm_world.build(store)
    async with started(store, **more) as api:
        yield api


@contextlib.asynccontextmanager
async def started(store: Store, **more: Any) -> AsyncIterator[Api]:
    """The API as a process that just started has it: it remembers no credentials."""
    woken: list[int] = []
    planner = FleetMirror(store, Sequencer(store))
    await planner.load()
    services = AppServices(
        store=store,
        planner=planner,
        capabilities=CAPABILITIES,
        public_url="http://gateway.test",
        secret=b"secret of the tests, 32 bytes ok",
        wake=lambda: woken.append(1),
        hypervisors={"sim": "KVM", "vc": "VMX_04"},
        **more,
    )
    async with TestClient(TestServer(build_app(services))) as client:
        yield Api(client, store, woken)
