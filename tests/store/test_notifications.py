"""A listener hears every payload, or hears that it missed some."""

import asyncio
from contextlib import suppress

from gateway.store.db.pool import Store, StoreSettings
from tests.postgres import execute
from tests.store.conftest import until


async def test_a_listener_hears_and_catches_up_after_a_lost_session(
    settings: StoreSettings,
) -> None:
    """An empty payload says: from here on you are told, what was before look up yourself."""
    heard: list[str] = []

    async def hear(store: Store) -> None:
        async for payload in store.listen("news"):
            heard.append(payload)  # noqa: PERF401 - heard while it runs, it has no end

    async with Store.open(settings) as store:
        assert settings.database_url is not None
        url = settings.database_url
        hearing = asyncio.create_task(hear(store))
        await until(lambda: heard == [""])
        await execute(url, "notify news, 'one'")
        await until(lambda: heard == ["", "one"])
        await execute(
            url,
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where query ilike 'listen%' and datname = current_database()",
        )
        # Told by the lost session itself, well before a quiet line is doubted.
        await until(lambda: heard == ["", "one", ""], patience_s=10)
        await execute(url, "notify news, 'two'")
        await until(lambda: heard == ["", "one", "", "two"])
        hearing.cancel()
        with suppress(asyncio.CancelledError):
            await hearing


async def test_a_listener_too_slow_is_told_of_the_gap(settings: StoreSettings) -> None:
    """What waits is bounded; the newest is never lost without a word."""
    async with Store.open(settings) as store:
        assert settings.database_url is not None
        payloads = store.listen("news")
        assert await anext(payloads) == ""
        await execute(
            settings.database_url,
            "select count(pg_notify('news', n::text)) from generate_series(1, 3000) n",
        )
        rest = [await anext(payloads)]
        while rest[-1] != "3000":
            rest.append(await anext(payloads))
        await payloads.aclose()
    assert len(rest) <= 1025
    assert rest.count("") == 1
    numbers = [int(payload) for payload in rest[rest.index("") + 1 :]]
    assert numbers == list(range(numbers[0], 3001))
