"""Faults S5: what is kept of callers is bounded, and who waits is served by address in turn."""

import asyncio

import pytest

from gateway.api.auth.credential_cache import ENTRIES_MAX, CredentialCache, Verified
from gateway.api.auth.throttle import FORGET_S, KEYS_MAX, Throttle
from gateway.api.auth.verification_queue import QueueFull, VerificationQueue
from gateway.store.users import User

ADA = User(1, "ada", 1, "acme", "", "", "", "", True, "hash", frozenset())


async def test_addresses_take_turns() -> None:
    """The second address is served after one of the first, which has ten in line."""
    queue = VerificationQueue(slots=1, places=100, each=100)
    served: list[str] = []
    gate = asyncio.Event()

    async def come(address: str) -> None:
        async with queue.turn(address):
            await gate.wait()
            served.append(address)

    tasks = [asyncio.create_task(come("a")) for _ in range(10)]
    await asyncio.sleep(0)
    tasks += [asyncio.create_task(come("b")) for _ in range(2)]
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(*tasks)
    assert served[:5] == ["a", "a", "b", "a", "b"]
    assert len(served) == 12


async def test_too_many_are_refused_in_all_and_from_one_address() -> None:
    queue = VerificationQueue(slots=1, places=3, each=2)
    gate = asyncio.Event()

    async def come(address: str) -> str:
        try:
            async with queue.turn(address):
                await gate.wait()
                return "served"
        except QueueFull:
            return "refused"

    tasks = [asyncio.create_task(come(address)) for address in "aaaabbb"]
    await asyncio.sleep(0)
    gate.set()
    found = await asyncio.gather(*tasks)
    assert found == ["served"] * 3 + ["refused", "served", "refused", "refused"]
    assert await come("c") == "served"


async def test_who_gives_up_waiting_gives_the_slot_on() -> None:
    """Cancelled in line, and with the slot just given."""
    queue = VerificationQueue(slots=1, places=10, each=10)
    entered: list[int] = []

    async def come(number: int) -> None:
        async with queue.turn("a"):
            entered.append(number)

    async with queue.turn("a"):
        tasks = [asyncio.create_task(come(n)) for n in range(3)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.wait(tasks)
    assert entered == [2]
    async with asyncio.timeout(1), queue.turn("a"):
        pass


def test_failures_are_forgotten_after_a_while_and_kept_of_so_many_only() -> None:
    now = 0.0
    throttle = Throttle(2, 60.0, lambda: now)
    for n in range(KEYS_MAX + 10):
        throttle.failed(n)
    assert len(throttle) == KEYS_MAX
    waits = []
    for _ in range(9):
        throttle.failed("x")
        waits.append(throttle.wait_s("x"))
    assert waits == [0, 1, 2, 4, 8, 16, 32, 60, 60]
    now += FORGET_S + 1
    assert throttle.failed("x") == 1
    throttle.succeeded("x")
    assert throttle.wait_s("x") == 0


def test_credentials_are_kept_of_so_many_only_and_renewed_at_different_moments() -> None:
    now = 0.0
    cache = CredentialCache(b"secret", 180.0, lambda: now)
    keys = [cache.key(f"basic {n}") for n in range(64)]
    for key in keys:
        cache.put(key, Verified(ADA))
    due = {}
    for tenth in range(1801):
        now = tenth / 10
        for key in keys:
            entry = cache.proof(key)
            if entry is not None and cache.is_due(entry):
                due.setdefault(key, now)
    assert len(due) == 64
    assert min(due.values()) >= 90
    assert max(due.values()) <= 136
    assert max(sum(a <= at < a + 5 for at in due.values()) for a in due.values()) <= 24
    for n in range(ENTRIES_MAX):
        cache.put(cache.key(str(n)), Verified(ADA))
    assert cache.proof(keys[0]) is None


@pytest.mark.parametrize("lasts_s", [5.0, 500.0])
def test_nothing_is_remembered_longer_than_it_is_good(lasts_s: float) -> None:
    now = 0.0
    cache = CredentialCache(b"secret", 180.0, lambda: now)
    key = cache.key("token t")
    cache.put(key, Verified(ADA), lasts_s)
    now = min(lasts_s, 180.0) - 1
    assert cache.get(key) is not None
    now += 1
    assert cache.get(key) is None
