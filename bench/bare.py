"""The least an HTTP service can do: `python -m bench.bare PORT` parses JSON and answers 202."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import uvloop
from aiohttp import ClientError, ClientSession, web

from bench.ground import VAR, free_port
from bench.service import end, until

PATH = "/api/bare"
_ANSWER = {
    "message": "You can keep track of the progress in the link",
    "links": [
        {
            "rel": "status",
            "href": "http://127.0.0.1:8009/api/cloud/virtualdatacenters/1/virtualappliances/1"
            "/virtualmachines/1/tasks/3b2f9cde-5d9d-4f52-8f3c-0f2f7c8c2a10",
            "type": "application/vnd.abiquo.task+json",
            "title": "status",
        }
    ],
}


async def _accept(request: web.Request) -> web.Response:
    msgspec.json.decode(await request.read())
    return web.Response(
        body=msgspec.json.encode(_ANSWER), status=202, content_type="application/json"
    )


def build() -> web.Application:
    """The application: one route."""
    app = web.Application()
    app.router.add_post(PATH, _accept)
    return app


@asynccontextmanager
async def bare() -> AsyncIterator[int]:
    """The port of one that runs as a program of its own."""
    port = free_port()
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.bare", str(port)), cwd=VAR.parent, start_new_session=True
    )
    try:
        async with ClientSession() as session:

            async def answers() -> bool:
                try:
                    async with session.post(f"http://127.0.0.1:{port}{PATH}", json={}) as answer:
                        return answer.status == 202
                except ClientError:
                    return False

            await until(answers, within_s=20)
        yield port
    finally:
        await end(running)


def main() -> None:
    """Serve until SIGTERM."""
    # On the same event loop as the service, so that only the work differs.
    loop = uvloop.new_event_loop()
    port = int(sys.argv[1])
    web.run_app(build(), host="127.0.0.1", port=port, print=None, access_log=None, loop=loop)


if __name__ == "__main__":
    main()
