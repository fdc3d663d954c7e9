"""A gateway over simulated hosts with an Azure subscription beside them: a frozen Azure costs the
others nothing, what cannot be is refused without a call, and no secret is seen anywhere."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from drivers.azure.role import ACTIONS
from gateway.store.db.pool import Store
from tests.acceptance.azure_places import PASSWORD, beside_hosts
from tests.acceptance.gateway import Gateway, gateways, href_of, until
from tests.lab.azure.process import Apart
from tests.tasks.rig import books_balance

ROUNDS = 12
MORE_S = 0.15
"""What a round may take longer because the computer does other things, too."""


@pytest.fixture
async def arm(tmp_path: Path) -> AsyncIterator[Apart]:
    async with Apart.start(tmp_path, strict=1) as running:
        await running.ask("grant", actions=ACTIONS)
        yield running


async def make_in(gateway: Gateway, vdc: str) -> str:
    """A new VM's path in the virtual datacenter of that name."""
    found = (await gateway.get("cloud/virtualdatacenters"))["collection"]
    (number,) = [one["id"] for one in found if one["name"] == vdc]
    path = f"cloud/virtualdatacenters/{number}/virtualappliances"
    status, made = await gateway.call("POST", path, {"name": "app"})
    assert status == 201, made
    return await gateway.make(f"{path}/{made['id']}")


async def round_s(gateway: Gateway, vm: str) -> float:
    """Seconds that a reset of a VM on our own hosts takes, with looks at it by HTTP."""
    began_s = time.monotonic()
    await gateway.run("POST", f"{vm}/action/reset")
    await gateway.get(vm)
    return time.monotonic() - began_s


async def test_a_frozen_azure_costs_our_own_hosts_nothing(
    arm: Apart, store: Store, database_url: str, tmp_path: Path
) -> None:
    """Not while its surveys, its polls and a deploy hang; which goes on when it answers again."""
    at = beside_hosts(arm, tmp_path, database_url, unknown_after_s=30)
    async with gateways(at) as (gateway,):
        ours, theirs = await make_in(gateway, "vdc"), await make_in(gateway, "cloud")
        await gateway.run("POST", f"{ours}/action/deploy")
        await round_s(gateway, ours)
        before = [await round_s(gateway, ours) for _ in range(ROUNDS)]
        rule = await arm.ask("fault", kind="hold", times=0)
        task = await gateway.accept("POST", f"{theirs}/action/deploy")
        await until(lambda: held(arm, rule))
        frozen = [await round_s(gateway, ours) for _ in range(ROUNDS)]
        await arm.ask("release", rule=rule)
        assert (await gateway.end(task))["state"] == "FINISHED_SUCCESSFULLY"
        assert statistics.median(frozen) < statistics.median(before) + MORE_S, (before, frozen)
        await books_balance(store)


async def held(arm: Apart, rule: int) -> bool:
    """Whether a call hangs."""
    return bool(await arm.ask("hits", rule=rule))


ODD_MODES = ("free", "Deallocate", "", True, 1, [], {}, ["deallocate"], {"deallocate": 1})


async def test_what_cannot_be_is_refused_without_a_call(
    arm: Apart, database_url: str, tmp_path: Path
) -> None:
    """Odd bodies, what Azure cannot do, what our own hosts cannot do, and a second wish at once."""
    async with gateways(beside_hosts(arm, tmp_path, database_url)) as (gateway,):
        ours, theirs = await make_in(gateway, "vdc"), await make_in(gateway, "cloud")
        rule = await arm.ask("fault", kind="hang", of="PUT vm")
        task = await gateway.accept("POST", f"{theirs}/action/deploy")
        await until(lambda: held(arm, rule))
        for wish in ("undeploy", "deploy", "reset", "redeploy"):
            assert (await gateway.call("POST", f"{theirs}/action/{wish}"))[0] == 409
        await arm.ask("release", rule=rule)
        assert (await gateway.end(task))["state"] == "FINISHED_SUCCESSFULLY"
        await gateway.run("POST", f"{ours}/action/deploy")
        await arm.ask("forget")
        for odd in ODD_MODES:
            body = {"state": "OFF", "azureMode": odd}
            assert await refused(gateway, "PUT", f"{theirs}/state", body) == (400, "azureMode")
            assert await refused(gateway, "PUT", f"{ours}/state", body) == (400, "azureMode")
        for state in ("", "GONE", None, 1, [], {}):
            assert (await gateway.call("PUT", f"{theirs}/state", {"state": state}))[0] == 400
        pause = await refused(gateway, "PUT", f"{theirs}/state", {"state": "PAUSED"})
        move = await refused(gateway, "POST", f"{theirs}/action/relocate?target=any")
        anew = await refused(gateway, "POST", f"{ours}/action/redeploy")
        assert [pause, move, anew] == [
            (409, "VM-4"),
            (409, "VM-RELOCATE-3"),
            (409, "VM-REDEPLOY-1"),
        ]
        assert all(of.startswith("GET") for of in await arm.ask("calls"))
        off, reset = await asyncio.gather(
            gateway.call("PUT", f"{theirs}/state", {"state": "OFF"}),
            gateway.call("POST", f"{theirs}/action/reset"),
        )
        assert sorted((off[0], reset[0])) == [202, 409]
        (accepted,) = [body for status, body in (off, reset) if status == 202]
        await gateway.end(href_of(accepted, "status"))
        calls = await arm.ask("calls")
        assert calls.get("POST deallocate", 0) + calls.get("POST restart", 0) == 1


async def refused(gateway: Gateway, method: str, path: str, body: Any = None) -> tuple[int, str]:
    """The status, and the field that is wrong or else the code."""
    status, answer = await gateway.call(method, path, body)
    (error,) = answer["collection"]
    return status, str(error["field"] if status == 400 else error["code"])


TABLES = "select table_name from information_schema.tables where table_schema = 'public'"


async def test_no_secret_is_seen_anywhere(
    arm: Apart, store: Store, database_url: str, tmp_path: Path
) -> None:
    """The client's secret, every token that was given, the password of new VMs: in no log at its
    most talkative, no row of the store (kept operations among them), no metric, no event and no
    error, though Azure refuses and fails what was sent with them."""
    at = beside_hosts(arm, tmp_path, database_url)
    at.config.write_text(at.config.read_text().replace('level = "warning"', 'level = "debug"'))
    at.log = tmp_path / "log"
    seen = []
    async with gateways(at) as (gateway,):
        vm = await make_in(gateway, "cloud")
        for words in (
            {"kind": "reply", "status": 400, "code": "InvalidParameter"},
            {"kind": "reply", "status": 401, "code": "InvalidAuthenticationToken"},
            {"kind": "fail", "code": "InternalExecutionError"},
            {"kind": "garbage", "message": "{"},
        ):
            rule = await arm.ask("fault", of="PUT vm", times=1, **words)
            task = await gateway.end(await gateway.accept("POST", f"{vm}/action/deploy"))
            seen.append(task["error"])
            await arm.ask("release", rule=rule)
            if task["state"] == "FINISHED_SUCCESSFULLY":
                await gateway.run("POST", f"{vm}/action/undeploy")
        await gateway.run("POST", f"{vm}/action/deploy")
        seen.append(str(await gateway.get("events")))
        url = f"http://127.0.0.1:{gateway.probe_port}/metrics"
        async with gateway.session.get(url) as answer:
            seen.append(await answer.text())
        await gateway.stop()
    async with store.read() as c:
        for row in await c.fetch(TABLES):
            rows = await c.fetch(f'select t::text as row from "{row["table_name"]}" t')
            seen += [each["row"] for each in rows]
    seen.append(at.log.read_text())
    everything = "\n".join(str(each) for each in seen)
    assert "InvalidParameter" in everything
    assert "/operations/" in everything, "an operation was kept"
    assert '"level": "debug"' in everything
    tokens = await arm.ask("tokens")
    assert tokens
    for secret in (PASSWORD, arm.told["client_secret"], *tokens):
        assert secret not in everything
