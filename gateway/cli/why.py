"""`vmgate why`: the latest decision about a VM, a task's, or one by its id, as text."""

import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from gateway.cli.client import Client, ScenarioFailed
from gateway.cli.remote import asking

_ROOT = "admin/decisions"
_ALL, _OWN = "admin/virtualmachines", "cloud/virtualmachines"


async def why(about: str, environ: Mapping[str, str]) -> int:
    """Print the decision; the exit status is 0 when there is one."""
    try:
        async with asking(environ) as client:
            print(await client.text(f"{_ROOT}/{await _found(client, about)}"), end="")
    except ScenarioFailed as failed:
        print(f"vmgate: {failed}", file=sys.stderr)
        return 1
    return 0


async def _found(client: Client, about: str) -> str:
    """The id of the decision that is meant."""
    if _is_uuid(about):
        if await client.is_there(f"{_ROOT}/{about}"):
            return about
        found = await _latest(client, task=about) or await _latest(client, vm=about)
    elif about.isascii() and about.isdigit():
        found = await _latest(client, vm=about)
    else:
        found = await _latest(client, vm=await _called(client, about))
    if found is None:
        raise ScenarioFailed(
            f"there is no decision, task or virtual machine {about} with a decision"
        )
    return found


async def _called(client: Client, name: str) -> int:
    """The number of the only VM of that name or label, of all that the caller may see."""
    everywhere = await client.is_there(f"{_ALL}?limit=1", no=(403, 404))
    root = _ALL if everywhere else _OWN
    named: dict[int, str] = {}
    for field in ("name", "vmlabel"):
        for one in await client.collection(f"{root}?{urlencode({field: name})}"):
            named[one["id"]] = f"{one['id']} ({one['name']})"
    if len(named) != 1:
        which = f": ambiguous; give the id, one of {', '.join(named.values())}" if named else ""
        raise ScenarioFailed(f"{len(named)} virtual machines are called {name}{which}")
    return next(iter(named))


async def _latest(client: Client, **wanted: Any) -> str | None:
    found = await client.collection(f"{_ROOT}?{urlencode({**wanted, 'limit': 1})}")
    return str(found[0]["id"]) if found else None


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
