"""The demo: serve, act out the main job with live progress, say what to try next, keep serving."""

import asyncio
import json
import os
import secrets
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import ClientSession
from rich.console import Console
from rich.markup import escape
from rich.status import Status

from gateway.cli.client import Client, ScenarioFailed
from gateway.cli.scenario import Scenario
from gateway.config import read_config
from gateway.service.logs import configure_logs
from gateway.service.serve import Role, Serving, serve

_PASSWORDS = ("VMGATE_ADMIN_PASSWORD", "VMGATE_GUEST_PASSWORD")
_READY_HOSTS_WITHIN_S = 60.0


Actor = Callable[[Client, float], Scenario]


async def demo(path: Path, *, keep: bool, scenario: Actor = Scenario) -> int:
    """Exit status 0 when every step was seen to work; the last line is one JSON object."""
    began_s = time.monotonic()
    environ = dict(os.environ)
    for name in _PASSWORDS:
        environ[name] = environ.get(name) or secrets.token_urlsafe(9)
    config = read_config(path, environ)
    configure_logs("error" if config.log.level == "info" else config.log.level)
    out = Console(highlight=False, soft_wrap=True)
    serving: asyncio.Future[Serving] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    running = asyncio.create_task(
        serve(config, Role.ALL, environ, ready=serving.set_result, stop=stop)
    )
    with out.status("starting"):
        both: set[asyncio.Future[Any]] = {running, serving}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        await running
        return 1
    base = f"http://127.0.0.1:{serving.result().api_port}"
    password = environ[_PASSWORDS[0]]
    out.print(f"vmgate serves at {base}/api (user admin, password {password})")
    try:
        async with ClientSession() as session:
            actor = scenario(Client(session, base, "admin", password), began_s)
            status = await _act(out, actor)
        if keep:
            _say_what_next(out, base, environ, serving.result())
            await running
        return status
    finally:
        stop.set()
        await asyncio.gather(running, return_exceptions=True)


async def _act(out: Console, scenario: Scenario) -> int:
    failure, name = "", "see the hosts"
    with out.status("") as status:
        try:
            await _hosts_seen(scenario.client)
            for name, step in scenario.script():
                started_s = time.monotonic()
                status.update(name)
                seen = await step(partial(_show, status, name))
                seconds = scenario.steps[name] = round(time.monotonic() - started_s, 3)
                out.print(f"[green]✔[/green] {name} [dim]{seconds:.2f} s[/dim]  {escape(seen)}")
        except ScenarioFailed as failed:
            failure = f"{name}: {failed}"
            out.print(f"[red]✘ {name}[/red]  {escape(str(failed))}")
    summary = {**scenario.summary, "steps": scenario.steps, "ok": not failure}
    if failure:
        summary["failure"] = failure
    print(json.dumps(summary), flush=True)
    return 1 if failure else 0


def _show(status: Status, name: str, doing: str) -> None:
    status.update(f"{name}: {doing}")


async def _hosts_seen(client: Client) -> None:
    """Wait until each host that should answer was seen once; the first survey runs by now."""
    until = time.monotonic() + _READY_HOSTS_WITHIN_S
    while time.monotonic() < until:
        waiting = []
        for datacenter in await client.collection("admin/datacenters"):
            for rack in await client.collection(f"admin/datacenters/{datacenter['id']}/racks"):
                where = f"admin/datacenters/{datacenter['id']}/racks/{rack['id']}/machines"
                machines = await client.collection(where)
                waiting += [one["name"] for one in machines if one["state"] == "STOPPED"]
        if not waiting:
            return
        await asyncio.sleep(0.05)
    raise ScenarioFailed(f"these hosts do not answer: {', '.join(waiting)}")


def _say_what_next(out: Console, base: str, environ: dict[str, str], serving: Serving) -> None:
    admin, guest = (environ[name] for name in _PASSWORDS)
    machines = f"{base}/api/admin/datacenters/1/racks/1/machines"
    out.print(f"\nServing until Ctrl-C. Users: admin {admin}, guest {guest} (may only look). Try:")
    for line in (
        f"curl -u admin:{admin} {base}/api/cloud/virtualdatacenters",
        f"curl -u admin:{admin} {base}/api/cloud/virtualmachines",
        f"curl -u admin:{admin} {machines}",
        f"curl -u admin:{admin} '{base}/api/events?limit=5'",
        f"curl http://127.0.0.1:{serving.probe_port}/metrics",
    ):
        out.print(f"  {line}", markup=False)
