"""The simulator held to recorded traffic: it is sent the recorded requests, in their order.

An operation's id is the simulator's own, so a recorded poll is sent to the operation that the
simulator began in its place; that one is held in progress for as many polls as were recorded.
"""

import json
import re
import ssl
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aiohttp import ClientSession

from tests.lab.azure.comparison import differences
from tests.lab.azure.recordings import Exchange
from tests.lab.azure.simulator import Simulator

_NOBODY = "00000000-0000-0000-0000-000000000000"
_OPERATION = re.compile(r"/operations/([0-9a-f-]+)")


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    headers: Mapping[str, str]
    text: str


@dataclass(frozen=True, slots=True)
class Compared:
    """An exchange and in what the simulator's reply is not alike."""

    exchange: Exchange
    differences: list[str]

    def __str__(self) -> str:
        asked = f"{self.exchange.method} {self.exchange.path.rpartition('providers')[2]}"
        return f"{asked}: {'; '.join(self.differences)}"


async def compare(recorded: Iterable[Exchange]) -> list[Compared]:
    """Each exchange, sent to a simulator of its own."""
    exchanges = list(recorded)
    looks = Counter(_operation(each.path) for each in exchanges if '"InProgress"' in each.text)
    ours: dict[str, str] = {}
    found = []
    async with Simulator.start(subscription=_NOBODY) as arm, ClientSession() as session:
        arm.cloud.add_group("rgname")
        trust = ssl.create_default_context(cafile=str(arm.ca_file))
        for exchange in exchanges:
            theirs = exchange.headers.get("azure-asyncoperation", "")
            arm.pace.looks = looks[_operation(theirs)]
            async with session.request(
                exchange.method,
                arm.base_url + _path(exchange, ours),
                params={**dict(exchange.query), "api-version": exchange.version},
                data=exchange.sent or None,
                headers={"Authorization": "Bearer any", "Content-Type": "application/json"},
                ssl=trust,
            ) as response:
                reply = _Reply(response.status, response.headers, await response.text())
            if theirs:
                begun = reply.headers.get("Azure-AsyncOperation", "")
                ours[_operation(theirs)] = _operation(begun)
            alike = _own(exchange)
            found.append(Compared(exchange, list(differences(alike, reply, arm.base_url))))
    return found


def _operation(url: str) -> str:
    found = _OPERATION.search(url)
    return found[1] if found else ""


def _path(exchange: Exchange, ours: Mapping[str, str]) -> str:
    theirs = _operation(exchange.path)
    return exchange.path.replace(theirs, ours.get(theirs, theirs)) if theirs else exchange.path


def _own(exchange: Exchange) -> _Reply:
    """The reply without the VMs of others, who shared the subscription of the recording."""
    text = exchange.text
    if exchange.path.endswith("/virtualMachines"):
        body = json.loads(text)
        body["value"] = [one for one in body["value"] if one["name"].startswith("virtualmachinex")]
        indent = 2 if "\r\n" in text else None
        text = json.dumps(body, indent=indent).replace("\n", "\r\n")
    return _Reply(exchange.status, exchange.headers, text)
