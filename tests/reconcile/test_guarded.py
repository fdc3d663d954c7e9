"""S3, I10: whatever one host's driver raises is told at that host, and others go on."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import UUID, uuid4

import pytest

from drivers.addresses import AddressError
from drivers.capabilities import HypervisorType
from drivers.changes import StateChange
from drivers.contract import HostLink
from drivers.facts import Facts, Sighting
from drivers.faults import Unreachable
from drivers.registry import open_driver
from gateway.reconcile import watch as watches
from gateway.reconcile.backoff import Backoff
from gateway.reconcile.guarded import Guarded
from gateway.reconcile.observer import SurveyIntervals
from gateway.reconcile.watch import ObserverSet
from gateway.service.host_sync import Attaching
from gateway.store.db.pool import Store
from tests.acceptance.gateway import until
from tests.tasks.rig import seed

TROUBLES = [ValueError("bad value"), KeyError("cpus"), RuntimeError("odd"), AddressError("no host")]
QUICK = SurveyIntervals(period_s=0.2, unknown_after_s=1.0, lease_s=5.0, spacing_s=0.02)


class Failing:
    """The simulated driver, of which one thing raises for one host."""

    def __init__(self, inner: Any, where: str, host: str, trouble: Exception) -> None:
        self._inner = inner
        self._where = where
        self._host = host
        self._trouble = trouble
        self.streams = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def attach(self, link: HostLink) -> None:
        self._raise("attach", link.name)
        self._inner.attach(link)

    def endpoints(self) -> Mapping[str, tuple[str, ...]]:
        if self._where == "endpoints" and self._inner.endpoints():
            raise self._trouble
        found: Mapping[str, tuple[str, ...]] = self._inner.endpoints()
        return found

    async def survey(self, endpoint: str) -> Facts:
        self._raise("survey", endpoint)
        found: Facts = await self._inner.survey(endpoint)
        return found

    async def look(self, vm: UUID, host: str) -> Sighting | None:
        self._raise("look", host)
        found: Sighting | None = await self._inner.look(vm, host)
        return found

    async def changes(self) -> AsyncIterator[StateChange]:
        self.streams += 1
        self._raise("changes", self._host)
        async for each in self._inner.changes():
            yield each

    def _raise(self, where: str, host: str) -> None:
        if (self._where, self._host) == (where, host):
            raise self._trouble


def driver(where: str, trouble: Exception, host: str = "host-1") -> Any:
    return Failing(open_driver("sim", "simulated", HypervisorType.KVM, {}), where, host, trouble)


@asynccontextmanager
async def watched(store: Store, failing: Any) -> AsyncIterator[ObserverSet]:
    """A watch over two hosts, attached as the service attaches them."""
    await seed(store, hosts=2, vms=1)
    async with store.transaction() as c:
        await c.execute("update host set observed_at = null, reachable = false")
    attaching = Attaching(store, {"sim": failing})
    await attaching.sync()
    guarded = Guarded(failing, attaching.refused["sim"])
    watch = ObserverSet(store, "sim", guarded, QUICK, "tests")
    running = asyncio.create_task(watch.run())
    try:
        yield watch
        assert not running.done()
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def hosts(store: Store) -> dict[str, tuple[bool, str]]:
    async with store.read() as c:
        rows = await c.fetch("select name, reachable, reason from host")
    return {row["name"]: (row["reachable"], row["reason"]) for row in rows}


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("where", ["attach", "survey"])
async def test_one_hosts_trouble_is_that_hosts(
    store: Store, where: str, trouble: Exception
) -> None:
    """The host is not reachable and says why, with an event; the other one is seen."""
    async with watched(store, driver(where, trouble)):

        async def told() -> bool:
            found = await hosts(store)
            return found["host-2"] == (True, "") and found["host-1"][1] != ""

        await until(told)
        reachable, reason = (await hosts(store))["host-1"]
        assert not reachable
        assert str(trouble) in reason
        async with store.read() as c:
            events = await c.fetch("select payload::text t from outbox where topic = 'event'")
        assert any("host-1" in row["t"] and "does not answer" in row["t"] for row in events)


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda each: type(each).__name__)
async def test_a_stream_or_a_list_that_fails_blinds_nobody(
    store: Store, trouble: Exception
) -> None:
    async with watched(store, driver("changes", trouble)):

        async def seen() -> bool:
            return all(reachable for reachable, _ in (await hosts(store)).values())

        await until(seen)


async def test_endpoints_that_fail_are_as_they_were() -> None:
    failing = driver("none", ValueError("odd"))
    failing.attach(HostLink("host-1", "sim://host-1"))
    guarded = Guarded(failing)
    assert set(guarded.endpoints()) == {"host-1"}
    failing._where = "endpoints"
    assert set(guarded.endpoints()) == {"host-1"}


async def test_a_look_that_fails_has_shown_nothing() -> None:
    """It must not be taken for positively absent."""
    failing = driver("look", KeyError("x"))
    failing.attach(HostLink("host-1", "sim://host-1"))
    with pytest.raises(Unreachable, match="KeyError"):
        await Guarded(failing).look(uuid4(), "host-1")


async def test_a_host_that_was_refused_is_taken_once_its_address_is_right(store: Store) -> None:
    """And a host whose new address is refused is not used at its old one."""
    await seed(store, hosts=2, vms=1)
    inner = open_driver("sim", "simulated", HypervisorType.KVM, {})
    attaching = Attaching(store, {"sim": inner})
    await attaching.sync()
    assert set(inner.endpoints()) == {"host-1", "host-2"}

    async def readdress(address: str) -> None:
        async with store.transaction() as c:
            await c.execute("update host set address = $1 where name = 'host-1'", address)
        await attaching.sync()

    await readdress("sim://x?cpus=abc")
    assert set(inner.endpoints()) == {"host-2"}
    assert "cpus" in attaching.refused["sim"]["host-1"]
    await readdress("sim://x?cpus=4")
    assert set(inner.endpoints()) == {"host-1", "host-2"}
    assert attaching.refused == {"sim": {}}
    await inner.aclose()


def test_pauses_double_with_jitter_and_each_doubling_is_told() -> None:
    """I10."""
    row = Backoff(0.5, 60.0)
    told, pauses = [], []
    for n in range(1, 65):
        row.begin()
        if row.failed():
            told.append(n)
        pauses.append(row.pause_s())
    assert told == [1, 2, 4, 8, 16, 32, 64]
    for n, pause_s in enumerate(pauses):
        whole_s = min(0.5 * 2**n, 60.0)
        assert whole_s / 2 <= pause_s <= whole_s
    assert len({round(pause_s, 6) for pause_s in pauses[10:]}) > 40


async def test_a_stream_that_keeps_failing_is_begun_ever_more_seldom(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """I10: not a traceback each half second."""
    monkeypatch.setattr(watches, "STREAM_PAUSE_MOST_S", 30.0)
    failing = driver("changes", RuntimeError("the stream is broken"))
    with caplog.at_level(logging.ERROR, logger=watches.__name__):
        async with watched(store, failing):

            async def several() -> bool:
                return bool(failing.streams >= 6)

            began_s = asyncio.get_running_loop().time()
            await until(several)
            # Five pauses, each at least half of 0.02, 0.04, 0.08, 0.16 and 0.32 s.
            assert asyncio.get_running_loop().time() - began_s >= 0.3
    told = [one for one in caplog.records if "changes of sim ended" in one.getMessage()]
    assert [int(one.getMessage().split()[4]) for one in told] == [1, 2, 4]
