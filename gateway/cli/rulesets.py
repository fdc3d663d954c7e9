"""`vmgate rules ...` and `vmgate cluster export`: rule sets and the cluster's file over the API."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import cyclopts
from aiohttp import ClientError, ClientResponse
from cyclopts import Parameter

from gateway.cli.client import Client, ScenarioFailed
from gateway.cli.remote import asking

ROOT = "admin/rulesets"
DONE, NOT_DONE = 0, 1
_TOML = "application/toml"
_SERVICE = (
    "The service is at VMGATE_URL; credentials: VMGATE_USER (default admin) and VMGATE_PASSWORD."
)

rules = cyclopts.App(name="rules", help=f"Versions and drafts of the workload rules. {_SERVICE}")
cluster = cyclopts.App(name="cluster", help=f"The cluster as one JSON file. {_SERVICE}")
Output = Annotated[Path | None, Parameter(name=["--output", "-o"])]
Asking = Callable[[Client], Awaitable[int]]


@rules.command(name="list")
async def _list() -> int:
    """The versions, newest first, and the drafts."""

    async def asked(client: Client) -> int:
        for one in await client.collection(ROOT):
            mark = "*" if one["inForce"] else " "
            told = (f"{mark} {one['version']}", one["timestamp"][:19], one["author"] or "-")
            print("  ".join((*told, one["comment"])).rstrip())
        for one in await client.collection(f"{ROOT}/drafts"):
            told = (f"  draft {one['id']} of {one['base']}", one["timestamp"][:19], one["author"])
            print("  ".join((*told, one["comment"])).rstrip())
        return DONE

    return await _with(asked)


@rules.command(name="show")
async def _show(ruleset: str) -> int:
    """A version (its number) or a draft (d1, d2, ...) as TOML."""
    return await _export(ruleset)


@rules.command(name="export")
async def _export(ruleset: str, *, output: Output = None) -> int:
    """A version or a draft as TOML, to a file or to the standard output."""

    async def asked(client: Client) -> int:
        async with client.request("GET", _path(ruleset), headers={"Accept": _TOML}) as answer:
            _write(await _good(answer), output)
        return DONE

    return await _with(asked)


@rules.command(name="import")
async def _import(file: Path, *, draft: str | None = None) -> int:
    """Make a draft of a TOML file, or renew one with it; prints its name."""
    content = await asyncio.to_thread(file.read_bytes)

    async def asked(client: Client) -> int:
        headers = {"Content-Type": _TOML}
        method, path = ("POST", ROOT) if draft is None else ("PUT", _path(draft))
        if draft is not None:
            headers["If-Match"] = await _tag(client, path)
        async with client.request(method, path, headers=headers, body=content) as answer:
            made = json.loads(await _good(answer))
        print(f"d{made['id']}")
        return DONE

    return await _with(asked)


@rules.command(name="diff")
async def _diff(ruleset: str, other: str | None = None) -> int:
    """Compare a draft with its base, or a version with the version OTHER."""
    query = "" if other is None else f"?with={other}"

    async def asked(client: Client) -> int:
        found = await _json(client, "GET", f"{_path(ruleset)}/action/diff{query}")
        print(json.dumps(found, indent=1))
        return DONE

    return await _with(asked)


@rules.command(name="validate")
async def _validate(draft: str) -> int:
    """Try a draft and its tests; exit 1 when it is refused or a test fails."""

    async def asked(client: Client) -> int:
        found = await _json(client, "POST", f"{_path(draft)}/action/validate")
        for failed in found["failedTests"]:
            print(failed["message"])
        print("valid" if found["valid"] else "not valid")
        return DONE if found["valid"] else NOT_DONE

    return await _with(asked)


@rules.command(name="simulate")
async def _simulate(draft: str, *, days: int = 7) -> int:
    """What a draft would do to the present inventory, and would have made of the requests of the
    last days, as JSON."""

    async def asked(client: Client) -> int:
        found = await _json(client, "POST", f"{_path(draft)}/action/simulate?days={days}")
        print(json.dumps(found, indent=1))
        return DONE

    return await _with(asked)


@rules.command(name="activate")
async def _activate(draft: str, *, comment: str = "") -> int:
    """Put a draft in force from the next decision on."""
    return await _changed(f"{_path(draft)}/action/activate", _path(draft), comment)


@rules.command(name="rollback")
async def _rollback(version: int, *, comment: str = "") -> int:
    """Put in force again what an old version said, as a new version."""
    return await _changed(f"{ROOT}/{version}/action/rollback", None, comment)


@cluster.command(name="export")
async def _export_cluster(*, output: Output = None) -> int:
    """Write the live cluster as it is now: `vmgate place --cluster FILE` decides from it."""

    async def asked(client: Client) -> int:
        found = await _json(client, "GET", "admin/cluster")
        _write(json.dumps(found, indent=1), output)
        return DONE

    return await _with(asked)


async def _changed(path: str, tagged: str | None, comment: str) -> int:
    async def asked(client: Client) -> int:
        if tagged is None:
            newest = next(one for one in await client.collection(ROOT) if one["inForce"])
            tag = f'"{newest["version"]}"'
        else:
            tag = await _tag(client, tagged)
        body = json.dumps({"comment": comment} if comment else {}).encode()
        headers = {"If-Match": tag, "Content-Type": "application/json"}
        async with client.request("POST", path, headers=headers, body=body) as answer:
            made = json.loads(await _good(answer))
        print(f"version {made['version']} is in force")
        return DONE

    return await _with(asked)


async def _tag(client: Client, path: str) -> str:
    async with client.request("GET", path) as answer:
        await _good(answer)
        return answer.headers["ETag"]


async def _json(client: Client, method: str, path: str) -> Any:
    headers = {"Content-Type": "application/json"}
    async with client.request(method, path, headers=headers) as answer:
        return json.loads(await _good(answer))


async def _good(answer: ClientResponse) -> str:
    """The body of an answer that is not a refusal; StepFailed with what was refused otherwise."""
    text = await answer.text()
    if answer.status < 400:
        return text
    try:
        told = [f"{one['code']}: {one['message']}" for one in json.loads(text)["collection"]]
    except (ValueError, KeyError, TypeError):
        told = [f"the service answered {answer.status}"]
    raise ScenarioFailed("; ".join(told))


def _path(ruleset: str) -> str:
    """Of a version by its number, of a draft by its name."""
    draft = ruleset.removeprefix("d")
    return f"{ROOT}/drafts/{draft}" if draft != ruleset else f"{ROOT}/{ruleset}"


def _write(text: str, output: Path | None) -> None:
    if output is None:
        sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
    else:
        output.write_text(text, encoding="utf-8")


async def _with(asked: Asking) -> int:
    """The exit status; what was refused is one line."""
    try:
        async with asking(os.environ) as client:
            return await asked(client)
    except (ScenarioFailed, ClientError) as failed:
        print(f"vmgate: {failed}", file=sys.stderr)
        return NOT_DONE
