"""Faults S5 at a real service: guesses are slowed, and counters, log and events tell of them."""

import asyncio
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

from tests.acceptance.gateway import PASSWORD, Gateway, gateways, place

GUESSES = 300


async def guess(gateway: Gateway, number: int) -> int:
    """The status of a log-in with a wrong password."""
    wrong = Gateway(gateway.place, gateway.session, gateway.port, user=("admin", f"guess-{number}"))
    status, _ = await wrong.call("GET", "login")
    return status


async def test_three_hundred_guesses_are_slowed_and_recorded(
    database_url: str, tmp_path: Path
) -> None:
    """Thirty at a time; who was let in is served meanwhile, and no guess is told anywhere."""
    at = place(tmp_path, database_url, hosts=1)
    at = replace(at, log=at.home / "gateway.log")
    assert at.log is not None
    async with gateways(at) as (gateway,):
        assert (await gateway.get("login"))["nick"] == "admin"
        found: Counter[int] = Counter()
        for first in range(0, GUESSES, 30):
            wave = (guess(gateway, n) for n in range(first, first + 30))
            *statuses, good = await asyncio.gather(*wave, gateway.call("GET", "login"))
            found.update(statuses)
            assert good[0] == 200
        assert found.keys() == {401, 429}
        assert found[401] < 20
        probe = f"http://127.0.0.1:{gateway.probe_port}/metrics"
        async with gateway.session.get(probe) as answer:
            metrics = await answer.text()
        told = {
            reason: int(float(value))
            for reason, value in re.findall(
                r'^vmgate_logins_refused_total\{reason="(\w+)"\} (\S+)$', metrics, re.MULTILINE
            )
        }
        assert told["credentials"] == found[401]
        assert told["throttled"] == found[429]
        assert f"vmgate_logins_verified_total {float(1 + found[401])}" in metrics
        events = await gateway.get("events?action=LOGIN_REFUSED&limit=0")
        assert 3 <= len(events["collection"]) <= found[401]
    log = at.log.read_text()
    assert log.count("log-in as admin from 127.0.0.1 refused") == found[401]
    for text in (log, metrics, str(events)):
        assert "guess-" not in text
        assert PASSWORD not in text
