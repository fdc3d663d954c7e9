"""What the driver of Azure makes of replies that are none: nothing is taken for gone, off or done
that was not seen to be, and no change is made twice."""

import asyncio
import copy
import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any

import pytest

from drivers.azure.connection.credentials import credential_of
from drivers.azure.faults import WAIT_MAX_S, wait_said
from drivers.contract import Power, PowerRequest, Remove, Reset, Verdict
from drivers.facts import PowerState
from drivers.faults import Busy, Fault, Indeterminate, Unreachable
from tests.drivers.azure_rig import AzureRig, name_of, new_vm, running
from tests.drivers.interrupted import settled
from tests.drivers.rigs import closing, permitted, surveyed, ticket

NOW = datetime(2019, 1, 1, tzinfo=UTC)
"""By the clock of whoever answers, which is not ours."""
CANARY = "canary-cl13nt-s3cr3t"


@pytest.fixture
async def rig(azure: AzureRig) -> AzureRig:
    return azure


def at(seconds: int) -> str:
    """A time of HTTP's, so long after NOW."""
    return format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("said", "waits_s"),
    [
        ("7", 7.0),
        ("0", 0.0),
        (at(30), 30.0),
        (at(-30), 0.0),
        (at(10**6), WAIT_MAX_S),
        ("9" * 400, WAIT_MAX_S),
        *((odd, None) for odd in ("", "-5", "1.5", "soon", "\u00b2", "nan", "1e9", "Tue, 40 Foo")),
    ],
)
def test_how_long_to_wait_is_read_as_it_may_be_written(said: str, waits_s: float | None) -> None:
    """Seconds, or a time by the clock of who says it; never for longer than is sensible."""
    headers = {"Retry-After": said, "Date": at(0)}
    assert wait_said(SimpleNamespace(headers=headers)) == waits_s


@pytest.mark.parametrize("said", ["-5", "\u00b2", "soon", at(-30)])
async def test_an_odd_wait_does_not_end_a_change(rig: AzureRig, said: str) -> None:
    """It is as if none had been named."""
    spec = await running(rig)
    rig.arm.faults.add("reply", "POST deallocate", status=429, retry_after=said, times=2)
    await rig.driver.power(permitted(), Power(spec.vm, rig.first, PowerRequest.OFF, release=True))
    assert rig.arm.calls["POST deallocate"] == 3
    assert list(rig.arm.done("POST deallocate").values()) == [1]


@pytest.mark.parametrize("lie", ["nowhere", "astray"])
async def test_an_operation_that_is_nowhere_to_be_asked_for_is_looked_at(
    rig: AzureRig, lie: str
) -> None:
    """202 without an address, or with one in another subscription, which gets no call of ours."""
    spec = await running(rig)
    off = Power(spec.vm, rig.first, PowerRequest.OFF, release=True)
    for order, verb, of in (
        (Reset(spec.vm, rig.first), rig.driver.reset, "POST restart"),
        (off, rig.driver.power, "POST deallocate"),
    ):
        rig.arm.faults.add(lie, of)
        permit, kept = permitted(), []
        with pytest.raises(Indeterminate):
            await verb(rig.keeping(permit, kept), order)  # type: ignore[operator]
        assert kept == []
        rig.arm.finish()
    assert await settled(rig.driver, ticket(permit, off)) is Verdict.DONE
    assert (rig.arm.calls["POST restart"], rig.arm.calls["POST deallocate"]) == (1, 1)
    assert rig.arm.calls["GET poll"] == 0


async def test_a_page_of_another_subscription_is_not_asked_for(rig: AzureRig) -> None:
    """Nor is what was listed before it taken for everything."""
    await running(rig)
    rig.arm.faults.add("astray", "GET statusOnly", times=0)
    with pytest.raises(Unreachable):
        await surveyed(rig.driver, rig.first)
    assert rig.arm.calls["GET statusOnly"] == 1


JUNK = (
    "",
    "null",
    "[]",
    "{}",
    "<html>bad gateway</html>",
    '{"name": ',
    '{"value": null}',
    '{"value": [1]}',
    '{"value": [{}]}',
    '{"value": [{"id": "/x", "tags": 1}]}',
)


@pytest.mark.parametrize("media", ["application/json", "text/html"])
@pytest.mark.parametrize("junk", JUNK)
async def test_a_reply_that_cannot_be_read_shows_nothing(
    rig: AzureRig, junk: str, media: str
) -> None:
    """200, and no VM in it: it is neither gone nor off, and nothing is deleted."""
    spec = await running(rig)
    for of in ("GET vm", "GET statusOnly", "GET all vms"):
        rig.arm.faults.add("garbage", of, message=junk, media=media, times=0)
    remove = Remove(spec.vm, rig.at(rig.first), spec.disk.volume)
    with pytest.raises(Unreachable):
        await rig.driver.look(spec.vm, rig.first)
    with pytest.raises(Unreachable):
        await surveyed(rig.driver, rig.first)
    with pytest.raises(Unreachable):
        await rig.driver.remove(permitted(), remove)
    with pytest.raises(Unreachable):
        await rig.driver.settle(ticket(permitted(), remove))
    assert all(of.startswith("GET") for of in rig.arm.calls)


@pytest.mark.parametrize("power", ["stopped", "deallocated"])
async def test_a_vm_that_is_being_made_is_not_off(rig: AzureRig, power: str) -> None:
    """Azure may show it stopped for a moment while it makes it."""
    spec = await running(rig)
    rig.arm.power(f"vmgate-{spec.vm}", power)
    for of in ("GET vm", "GET statusOnly", "GET all vms"):
        rig.arm.faults.add("creating", of, times=0)
    seen = await rig.driver.look(spec.vm, rig.first)
    (listed,) = (await surveyed(rig.driver, rig.first)).vms
    assert seen == listed
    assert (listed.state, listed.deallocated) == (PowerState.UNKNOWN, False)


@pytest.mark.parametrize("of", ["GET skus", "GET usages"])
@pytest.mark.parametrize("junk", ['{"value": [{}]}', '{"value": [{"name": 1, "limit": "x"}]}', "["])
async def test_sizes_and_quotas_that_cannot_be_read_are_as_they_were(
    rig: AzureRig, of: str, junk: str
) -> None:
    """The place says nothing where nothing was known before."""
    await surveyed(rig.driver, rig.first)
    rig.arm.faults.add("garbage", of, message=junk, times=0)
    (host,) = (await surveyed(rig.driver, rig.first)).hosts
    assert host.cpus == 100
    if of == "GET usages" or junk == "[":
        async with closing(rig.opened()) as fresh:
            with pytest.raises(Unreachable):
                await surveyed(fresh, rig.first)


@pytest.mark.parametrize("media", ["application/json", "text/html"])
async def test_what_was_accepted_unreadably_is_not_taken_for_refused(
    rig: AzureRig, media: str
) -> None:
    """It goes on in Azure; nothing is taken back or sent again before a look."""
    permit, order = new_vm(rig)
    for of in ("PUT vm", "POST powerOff"):
        rig.arm.faults.add("garbage", of, message="{", media=media)
    for _ in range(3):
        try:
            await rig.driver.deploy(permit, order)
        except Indeterminate:
            await settled(rig.driver, ticket(permit, order))
    assert (await rig.driver.settle(ticket(permit, order))).verdict is Verdict.DONE
    assert rig.arm.vm(name_of(order)).power == "stopped"
    calls = rig.arm.calls
    assert (calls["PUT vm"], calls["POST powerOff"], calls["DELETE vm"]) == (1, 1, 0)


@pytest.mark.parametrize("media", ["application/json", "text/html"])
async def test_a_poll_that_cannot_be_read_is_no_end(rig: AzureRig, media: str) -> None:
    """A restart is not done because something was answered 200."""
    spec = await running(rig)
    rig.arm.faults.add("hang", "POST restart")
    rig.arm.faults.add("garbage", "GET poll", message="<html>", media=media, times=0)
    with pytest.raises(Indeterminate):
        await rig.driver.reset(permitted(), Reset(spec.vm, rig.first))
    assert rig.arm.calls["GET poll"] > 1


def odd(record: Any, rng: random.Random) -> Any:
    """The record with one thing in it replaced by what it should not be."""
    places = [path for path in paths(record) if path[0] not in ("zones", "location")]
    found = copy.deepcopy(record)
    *way, last = rng.choice(places)
    part = found
    for step in way:
        part = part[step]
    part[last] = rng.choice([None, 0, True, "x", [], {}, [1], {"x": 1}, "\u00b2" * 300])
    return found


def paths(record: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where everything is."""
    if way:
        yield way
    inside = record if isinstance(record, dict | list) else ()
    for step, part in inside.items() if isinstance(inside, dict) else enumerate(inside):
        yield from paths(part, (*way, step))


async def test_a_record_with_anything_wrong_in_it_never_says_off_or_gone(rig: AzureRig) -> None:
    """Whatever is replaced in it by whatever: the VM runs, or nobody knows."""
    spec = await running(rig)
    record = await rig.driver._loop.run(lambda: rig.driver._arm.vm(f"vmgate-{spec.vm}"))
    rng, seen = random.Random(11), []
    for _ in range(300):
        text = json.dumps(odd(record, rng))
        rule = rig.arm.faults.add("garbage", "GET vm", message=text, times=0)
        try:
            sighting = await rig.driver.look(spec.vm, rig.first)
        except Unreachable:
            sighting = None
        else:
            assert sighting is not None, text
            assert sighting.state in (PowerState.ON, PowerState.UNKNOWN), text
            assert sighting.vm == spec.vm or sighting.task is None
        seen.append(sighting)
        rule.release()
        rig.arm.faults.rules.remove(rule)
    assert any(each is None for each in seen)
    assert any(each is not None for each in seen)


async def test_nothing_is_begun_while_nobody_gives_tokens(
    rig: AzureRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is as if Azure did not answer; the secret is not in what is said."""
    spec = await running(rig)
    monkeypatch.setenv("VMGATE_TEST_CLIENT", CANARY)
    told = {"tenant": "a-tenant", "client": "a-client", "client_secret_env": "VMGATE_TEST_CLIENT"}
    away = {"authority": "https://127.0.0.1:9", "credential": "secret", **told}
    async with closing(rig.opened(**away)) as driver:
        driver._arm._made_credential = lambda: credential_of(driver._options)
        for call in (
            driver.power(permitted(), Power(spec.vm, rig.first, PowerRequest.OFF)),
            driver.survey("azure"),
            driver.look(spec.vm, rig.first),
        ):
            with pytest.raises(Unreachable) as why:
                await call
            assert CANARY not in repr(why.value) + why.value.message
    assert rig.arm.calls == {}


async def test_nothing_is_begun_at_an_address_whose_certificate_is_not_trusted(
    rig: AzureRig,
) -> None:
    """Somebody else's, or one that expired: neither token nor change goes there."""
    spec = await running(rig)
    other = rig.other._options.ca_file
    async with closing(rig.opened(ca_file=other)) as driver:
        with pytest.raises(Unreachable, match="certificate verify failed"):
            await driver.power(permitted(), Power(spec.vm, rig.first, PowerRequest.OFF))
    assert rig.arm.calls == {}


async def test_two_processes_at_one_vm_make_each_change_once(rig: AzureRig) -> None:
    """Off and reset at once: whoever is late is told to come back, or that it is too late."""
    for _ in range(5):
        spec = await running(rig)
        off = Power(spec.vm, rig.first, PowerRequest.OFF)
        async with closing(rig.opened(throttled_timeout_s=1.0)) as other:
            ended = await asyncio.gather(
                rig.driver.power(permitted(), off),
                other.reset(permitted(), Reset(spec.vm, rig.first)),
                other.power(permitted(), off),
                return_exceptions=True,
            )
        assert all(isinstance(each, Fault | None) for each in ended), ended
        assert not isinstance(ended[0], Busy), ended
        assert rig.arm.done("POST powerOff")[f"vmgate-{spec.vm}"] == 1
        assert rig.arm.done("POST restart")[f"vmgate-{spec.vm}"] <= 1
        assert rig.arm.vm(f"vmgate-{spec.vm}").power == "stopped"
