"""I1: where the store fails, the answer says whether something may have been accepted."""

import pytest
from aiohttp import web

from gateway.api.http.problems import problems
from gateway.store.db.pool import CommitUnknown, StoreError, StoreUnavailable


@pytest.mark.parametrize(
    ("failure", "code", "again"),
    [
        (StoreUnavailable("away"), "503-SERVICE-UNAVAILABLE", True),
        (CommitUnknown("lost"), "503-COMMIT-UNKNOWN", False),
    ],
    ids=["nothing kept", "nobody knows"],
)
async def test_only_what_was_not_accepted_is_to_be_asked_again(
    aiohttp_client, failure: StoreError, code: str, again: bool
) -> None:
    async def fail(_: web.Request) -> web.Response:
        raise failure

    app = web.Application(middlewares=[problems])
    app.router.add_post("/", fail)
    client = await aiohttp_client(app)
    async with client.post("/") as answer:
        assert answer.status == 503
        assert code in await answer.text()
        assert ("Retry-After" in answer.headers) is again
