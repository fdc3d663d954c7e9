"""One subscription as the driver speaks to it; everything here runs in the driver's own loop.

Verbs of VMs are the SDK's. Listings, polls and interfaces are plain requests through the same
pipeline: the SDK's models of 10,000 VMs take seconds to build, and its network package 40 MiB.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline.policies import (
    ContentDecodePolicy,
    HeadersPolicy,
    RequestIdPolicy,
    UserAgentPolicy,
)
from azure.core.polling import AsyncNoPolling
from azure.core.rest import HttpRequest
from azure.mgmt.compute.aio import ComputeManagementClient
from azure.mgmt.core.policies import AsyncARMChallengeAuthenticationPolicy

from drivers.azure.connection.credentials import Renewable
from drivers.azure.connection.rate_limit import Budget
from drivers.azure.connection.retry_policy import UNTIL, Patience
from drivers.azure.connection.transport import GUARD, Guard, Transport
from drivers.azure.faults import body_of, is_gone, meaning, wait_said
from drivers.azure.options import AzureOptions
from drivers.azure.vm_parser import checked

NETWORK_VERSION = "2024-05-01"
COMPUTE_DISKS_VERSION = "2024-03-02"
VM_SIZES_VERSION = "2024-07-01"
SKUS_VERSION = "2021-07-01"
PERMISSIONS_VERSION = "2022-04-01"
PAGES_MAX = 10_000
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ArmOperation:
    """A change that Azure has accepted. `path` asks how far it is; without one it is `done`, or
    nothing says how far it is.

    Only the path is kept, never a host: our token is sent to nobody but the configured address.
    """

    path: str
    wait_s: float | None = None
    done: bool = False


class Arm:
    """Opens its client with the first call."""

    def __init__(self, name: str, options: AzureOptions, credential: Callable[[], Any]) -> None:
        self.name = name
        self._options = options
        self._made_credential = credential
        self._credential: Renewable | None = None
        self._client: ComputeManagementClient | None = None
        self.budget = Budget(options.concurrent)
        self.steps = asyncio.Semaphore(options.concurrent)

    # -- looks ---------------------------------------------------------------------------------

    async def vm(self, name: str, group: str = "") -> Json | None:
        """A VM with its instance view; None when Azure says of the VM itself that it is not there.

        Raises Unreachable, Busy.
        """
        group = group or self._options.resource_group

        async def call() -> Json:
            found = await self._opened().virtual_machines.get(
                group, name, expand="instanceView", cls=_raw, **self._until()
            )
            return checked(found, name)

        return await self._look(call)

    def legible(self, record: Json) -> Json:
        """A VM of a listing; raises Unreachable for what cannot be read as one with an id."""
        try:
            if not record.get("id"):
                raise ValueError("a VM of a listing has no id")
            return checked(record)
        except ValueError as wrong:
            raise meaning(wrong, self.name, None, None) from wrong

    async def sizes_near(self, name: str) -> set[str]:
        """The sizes, in lower case, that a VM of ours may get on the hardware where it is."""
        path = self.of_group(f"providers/Microsoft.Compute/virtualMachines/{name}/vmSizes")
        found: set[str] = set()
        async for page in self.pages(path, f"api-version={VM_SIZES_VERSION}"):
            found |= {str(each.get("name", "")).lower() for each in page}
        return found

    async def found(self, path: str, version: str) -> Json | None:
        """What is at a path; None when Azure says of the thing itself that it is not there."""
        return await self._look(lambda: self._json(f"{path}?api-version={version}"))

    async def pages(self, path: str, query: str) -> AsyncIterator[list[Json]]:
        """A listing page by page, to its end; raises Unreachable, Busy."""
        url = f"{path}?{query}"
        for _ in range(PAGES_MAX):
            page = await self._look(lambda at=url: self._json(at))  # type: ignore[misc]
            if page is None or not _is_page(page):
                raise meaning(ValueError("malformed list response"), self.name, None, "")
            yield page["value"]
            following = page.get("nextLink")
            if not following:
                return
            try:
                url = self._own(str(following))
            except ValueError as astray:
                raise meaning(astray, self.name, None, None) from astray
        raise meaning(ValueError("a listing has no end"), self.name, None, "")

    async def poll(self, operation: ArmOperation) -> tuple[int, Any, float | None]:
        """Status, body and Retry-After of an operation; raises Unreachable, Busy."""
        try:
            async with asyncio.timeout(self._options.call_timeout_s):
                response = await self._sent(HttpRequest("GET", operation.path), **self._until())
                body = body_of(response)
                if not isinstance(body, dict) and response.text().strip():
                    raise ValueError("the status of an operation cannot be read")
                if response.status_code in (200, 201, 202, 204, 404):
                    return response.status_code, body, wait_said(response)
                raise HttpResponseError(response=response)
        except Exception as error:
            raise meaning(error, self.name, None, None) from error

    def kept(self, text: str) -> ArmOperation | None:
        """The operation that was kept so; None when it is none of our subscription's."""
        try:
            return ArmOperation(self._own(text)) if text else None
        except ValueError:
            return None

    # -- changes -------------------------------------------------------------------------------

    async def act(self, guard: Guard, verb: str, name: str, **words: Any) -> ArmOperation:
        """Ask for a verb of the SDK's, such as `begin_start`, of one VM; sent once.

        Raises RetryLater and Unreachable where Azure did nothing, Rejected, Missing, Indeterminate.
        """
        accepted = _Accepted()

        async def call() -> None:
            method = getattr(self._opened().virtual_machines, verb)
            told = {"polling": accepted, GUARD: guard, **words}
            await method(self._options.resource_group, name, **told)

        await self._change(guard, name, call)
        return self._operation(accepted.response)

    async def create(self, guard: Guard, name: str, body: Json) -> ArmOperation:
        """Make a VM that is not there; RetryLater when it is there by now."""
        words = {"parameters": body, "etag": "*", "match_condition": MatchConditions.IfMissing}
        return await self.act(guard, "begin_create_or_update", name, **words)

    async def send(
        self, guard: Guard, method: str, path: str, version: str, body: Json | None = None
    ) -> ArmOperation:
        """Make or delete something that the SDK has no verb for here; sent once."""
        answered: list[Any] = []

        async def call() -> None:
            request = HttpRequest(method, f"{path}?api-version={version}", json=body)
            response = await self._sent(request, **{GUARD: guard})
            if response.status_code >= 300:
                raise HttpResponseError(response=response)
            answered.append(response)

        await self._change(guard, path.rpartition("/")[2], call)
        return self._operation(answered[0])

    # -- addresses -----------------------------------------------------------------------------

    def of_subscription(self, rest: str) -> str:
        """A path in the subscription."""
        return f"/subscriptions/{self._options.subscription}/{rest}"

    def of_group(self, rest: str) -> str:
        """A path in the resource group where VMs are made."""
        return self.of_subscription(f"resourceGroups/{self._options.resource_group}/{rest}")

    async def close(self) -> None:
        """Close every connection."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()
        if self._credential is not None:
            await self._credential.close()

    # -- the way there -------------------------------------------------------------------------

    def _opened(self) -> ComputeManagementClient:
        if self._client is None:
            options = self._options
            self._credential = Renewable(self._made_credential)
            self._client = ComputeManagementClient(
                self._credential,
                options.subscription,
                base_url=options.base_url.rstrip("/"),
                transport=Transport(ca_file=options.ca_file, timeout_s=options.call_timeout_s),
                # Few, and none that retries, follows, logs or registers anything by itself.
                policies=[
                    RequestIdPolicy(),
                    HeadersPolicy(),
                    UserAgentPolicy(base_user_agent="vmgate"),
                    ContentDecodePolicy(),
                    Patience(self.budget, options, self._credential.forget),
                    AsyncARMChallengeAuthenticationPolicy(self._credential, options.scopes),
                ],
            )
        return self._client

    def _until(self) -> dict[str, float]:
        return {UNTIL: asyncio.get_running_loop().time() + self._options.call_timeout_s}

    async def _sent(self, request: HttpRequest, **words: Any) -> Any:
        return await self._opened().send_request(request, **words)

    async def _json(self, url: str) -> Json:
        response = await self._sent(HttpRequest("GET", url), **self._until())
        if response.status_code != 200:
            raise HttpResponseError(response=response)
        body = body_of(response)
        if not isinstance(body, dict):
            raise ValueError("malformed response")
        return body

    async def _look(self, call: Callable[[], Awaitable[Json]]) -> Json | None:
        try:
            async with asyncio.timeout(self._options.call_timeout_s):
                return await call()
        except HttpResponseError as refused:
            if refused.response is not None and is_gone(refused.response):
                return None
            raise meaning(refused, self.name, None, None) from refused
        except Exception as error:  # the SDK raises much that is not documented
            raise meaning(error, self.name, None, None) from error

    async def _change(self, guard: Guard, name: str, call: Callable[[], Awaitable[None]]) -> None:
        try:
            # It may have to wait for its turn; from then on it has its own time.
            async with asyncio.timeout(self._options.throttled_timeout_s):
                await call()
        except Exception as error:
            raise meaning(error, self.name, guard, name) from error

    def _operation(self, response: Any) -> ArmOperation:
        headers: Mapping[str, str] = response.headers
        at = headers.get("Azure-AsyncOperation") or headers.get("Location") or ""
        try:
            path = self._own(at)
        except ValueError:
            path = ""  # elsewhere: what became of it is seen by looking
        return ArmOperation(path, wait_said(response), not at and response.status_code != 202)

    def _own(self, url: str) -> str:
        """The path and query of an address in our subscription; ValueError for any other."""
        there, ours = urlsplit(url), urlsplit(self._options.base_url)
        if there.netloc and (there.scheme, there.netloc) != (ours.scheme, ours.netloc):
            raise ValueError("an address leads elsewhere")
        path = unquote(there.path).lower()
        inside = path.startswith(self.of_subscription("").lower())
        if not inside or not {".", ".."}.isdisjoint(path.split("/")):
            raise ValueError("an address leads out of the subscription")
        return there._replace(scheme="", netloc="").geturl()


class _Accepted(AsyncNoPolling[Any]):  # type: ignore[misc]
    """Takes the place of the SDK's poller, which would wait; keeps the reply that accepted."""

    response: Any = None

    def initialize(self, client: Any, initial_response: Any, deserialization_callback: Any) -> None:
        self.response = initial_response.http_response


def _is_page(page: Json) -> bool:
    """Whether it is one of a listing of things."""
    found = page.get("value")
    return isinstance(found, list) and all(isinstance(each, dict) for each in found)


def _raw(response: Any, *_: Any) -> Any:
    """The JSON as it came, in place of a model."""
    return body_of(response.http_response)
