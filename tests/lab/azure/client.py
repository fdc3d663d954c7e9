"""Somebody with a token who speaks to ARM: by plain calls, or through Microsoft's SDK."""

import json
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp import ClientSession

from tests.lab.azure.replies import Body

VERSION = "2021-03-01"
SIZE = "Standard_D2s_v3"
_POLLS_MAX = 10_000


class Peer(Protocol):
    """A simulator or a replay."""

    base_url: str
    ca_file: Any


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def body(self) -> Body:
        """Its JSON; {} without any."""
        found: Body = json.loads(self.text) if self.text else {}
        return found

    @property
    def code(self) -> str:
        """The error's code, or ""."""
        return str(self.body.get("error", self.body).get("code", ""))


class Client:
    """Plain calls to a peer; `group` is the path of the resource group that all is made in."""

    def __init__(self, peer: Peer, session: ClientSession, group: str, token: str = "any") -> None:
        self._peer = peer
        self._session = session
        self._trust = ssl.create_default_context(cafile=str(peer.ca_file))
        self._token = token
        self.group = group
        self.subscription = group.rpartition("/resourceGroups/")[0]

    @classmethod
    @asynccontextmanager
    async def of(
        cls, peer: Peer, subscription: str, group: str, token: str = "any"
    ) -> AsyncIterator["Client"]:
        """One inside `async with`."""
        async with ClientSession() as session:
            where = f"/subscriptions/{subscription}/resourceGroups/{group}"
            yield cls(peer, session, where, token)

    async def call(
        self,
        method: str,
        path: str,
        body: Body | None = None,
        token: str | None = None,
        **query: str,
    ) -> Answer:
        """One call; `path` may be a whole URL, as in a nextLink."""
        token = self._token if token is None else token
        words = {} if "?" in path else {"api-version": VERSION, **query}
        async with self._session.request(
            method,
            path if path.startswith("https:") else self._peer.base_url + path,
            params=words,
            json=body,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            ssl=self._trust,
        ) as response:
            return Answer(response.status, response.headers, await response.text())

    def vm(self, name: str) -> str:
        """A VM's path."""
        return f"{self.group}/providers/Microsoft.Compute/virtualMachines/{name}"

    def network(self, kind: str, name: str) -> str:
        """The path of one of Microsoft.Network's."""
        return f"{self.group}/providers/Microsoft.Network/{kind}/{name}"

    async def nic(self, name: str, subnet: str, *, public: str = "") -> str:
        """Makes an interface, with a public address when it is named; its id."""
        properties: Body = {"subnet": {"id": subnet}}
        if public:
            address = self.network("publicIPAddresses", public)
            await self.call("PUT", address, {"location": "eastus"})
            properties["publicIPAddress"] = {"id": address}
        path = self.network("networkInterfaces", name)
        configs = [{"name": "first", "properties": properties}]
        body = {"location": "eastus", "properties": {"ipConfigurations": configs}}
        answer = await self.call("PUT", path, body)
        assert answer.status < 300, answer.text
        return path

    async def create(self, name: str, nic: str = "", size: str = SIZE, zone: str = "") -> Answer:
        """Asks for a VM; see `settled` for its end."""
        return await self.call("PUT", self.vm(name), vm_body(name, nic, size, zone))

    async def post(self, name: str, action: str, **query: str) -> Answer:
        """Asks a VM for something, such as start."""
        return await self.call("POST", f"{self.vm(name)}/{action}", **query)

    async def settled(self, answer: Answer) -> Body:
        """Polls the operation that the answer began until it ends; what the last poll says."""
        assert answer.status in (200, 201, 202), answer.text
        for _ in range(_POLLS_MAX):
            polled = await self.call("GET", answer.headers["Azure-AsyncOperation"])
            assert polled.status == 200, polled.text
            if polled.body["status"] != "InProgress":
                return polled.body
        raise AssertionError("the operation does not end")

    async def power(self, name: str) -> str:
        """A VM's power as its instance view says, or ""."""
        view = (await self.call("GET", f"{self.vm(name)}/instanceView")).body
        codes = [one["code"] for one in view["statuses"]]
        return next((code[11:] for code in codes if code.startswith("PowerState/")), "")


def vm_body(name: str, nic: str = "", size: str = SIZE, zone: str = "") -> Body:
    """What a PUT of a VM sends."""
    image = {"publisher": "Canonical", "offer": "UbuntuServer", "sku": "18.04-LTS"}
    storage = {
        "imageReference": {**image, "version": "latest"},
        "osDisk": {"name": f"{name}-os", "createOption": "FromImage"},
    }
    cards = [{"id": nic, "properties": {"primary": True}}] if nic else []
    person = {"computerName": name, "adminUsername": "lab", "adminPassword": "Canary-0-lab"}
    properties = {
        "hardwareProfile": {"vmSize": size},
        "storageProfile": storage,
        "osProfile": person,
        "networkProfile": {"networkInterfaces": cards},
    }
    return {"location": "eastus", "properties": properties, **({"zones": [zone]} if zone else {})}


class Credential:
    """A token for the SDK that any peer takes."""

    async def get_token(self, *scopes: str, **_: object) -> Any:
        """Good for an hour."""
        from azure.core.credentials import AccessToken

        assert scopes
        return AccessToken("any", int(time.time()) + 3600)

    async def close(self) -> None:
        """Nothing to close."""

    async def __aenter__(self) -> "Credential":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def sdk(peer: Peer, subscription: str) -> Any:
    """Microsoft's SDK on a peer; use it inside `async with`."""
    from azure.mgmt.compute.aio import ComputeManagementClient

    return ComputeManagementClient(
        Credential(),
        subscription,
        base_url=peer.base_url,
        connection_verify=str(peer.ca_file),
        credential_scopes=["https://management.azure.com/.default"],
        polling_interval=0,
        retry_total=0,
    )
