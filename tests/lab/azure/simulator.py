"""An ARM simulator: `async with Simulator.start() as arm:`; `process` runs one apart.

It speaks TLS with a certificate of its own at `arm.base_url`; trust `arm.ca_file`. It serves one
subscription with the resource group `vmgate` and the subnet `arm.subnet`, and Entra ID's token
endpoint for one client. Any bearer token is good, unless `strict`: then only those it gave.

What it does as Azure, as recorded in 2020 and 2021: the protocol of long-running operations; VMs
with views, power operations, deallocation, sizes, updates and deletion; networks, interfaces and
addresses; dedicated hosts; limits told in headers. From documentation only: capacity refused,
Compute's 429, status-only lists, the loss of dynamic addresses.

What it does not check, whatever a test there may say: API versions, images, names, most fields of
bodies; nothing boots; billing, Spot, availability sets, scale sets.
"""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from tests.lab.azure import identity, lies, networks, routes, vms
from tests.lab.azure.client import vm_body
from tests.lab.azure.cloud import Cloud, Pace, Resource, Vm
from tests.lab.azure.faults import Faults, Rule
from tests.lab.azure.limits import Limits
from tests.lab.azure.power import become
from tests.lab.azure.replies import Call, Refused, Reply, arm_fault, new_id
from tests.lab.azure.rights import Rights
from tests.lab.azure.serving import served
from tests.lab.azure.sizes import Sizes

GROUP = "vmgate"


@dataclass(frozen=True, slots=True)
class Answered:
    """One call: its name, the resource it names, how it was answered (0: not at all)."""

    of: str
    target: str
    status: int


@dataclass(slots=True)
class Simulator:
    """One that runs."""

    base_url: str
    ca_file: Path
    cloud: Cloud
    entra: identity.Entra
    log: list[Answered] = field(default_factory=list)
    subnet: str = ""

    @classmethod
    @asynccontextmanager
    async def start(
        cls,
        home: Path | None = None,
        *,
        pace: Pace | None = None,
        subscription: str = "",
        port: int = 0,
        strict: bool = False,
    ) -> AsyncIterator["Simulator"]:
        """One that runs inside `async with`; `home` is where its certificate is put."""
        cloud = Cloud(subscription or new_id(), pace or Pace())
        arm = cls("", Path(), cloud, identity.Entra(strict=strict))
        arm._furnish()
        async with served(arm._serve, home, port) as (arm.base_url, arm.ca_file):
            try:
                yield arm
            finally:
                arm.faults.clear()

    def _furnish(self) -> None:
        self.cloud.add_group(GROUP)
        where = f"/subscriptions/{self.subscription}/resourceGroups/{GROUP}/providers"
        network = f"{where}/Microsoft.Network/virtualNetworks/lab"
        body = {
            "location": "eastus",
            "properties": {
                "addressSpace": {"addressPrefixes": ["10.0.0.0/8"]},
                "subnets": [{"name": "lab", "properties": {"addressPrefix": "10.0.0.0/8"}}],
            },
        }
        names = {"subscription": self.subscription, "group": GROUP, "of": "PUT network"}
        call = Call("PUT", network, names, {}, {}, body, "")
        networks.put(self.cloud, call, networks.NETWORKS)
        self.finish()
        self.subnet = f"{network}/subnets/lab"

    @property
    def subscription(self) -> str:
        """Its id."""
        return self.cloud.subscription

    @property
    def faults(self) -> Faults:
        """What befalls calls."""
        return self.cloud.faults

    @property
    def sizes(self) -> Sizes:
        """SKUs, restrictions and quotas."""
        return self.cloud.sizes

    @property
    def rights(self) -> Rights:
        """What the client may do: everything, until it is granted a role."""
        return self.cloud.rights

    @property
    def limits(self) -> Limits:
        """How much may be asked."""
        return self.cloud.limits

    @property
    def pace(self) -> Pace:
        """How long operations take, how long pages are."""
        return self.cloud.pace

    @property
    def calls(self) -> Counter[str]:
        """How many calls there were, such as {"POST start": 1}; see `routes.ROUTES`."""
        return Counter(each.of for each in self.log)

    def done(self, of: str) -> Counter[str]:
        """How often such a call was done, by the VM's name in lower case."""
        return Counter(each.target for each in self.log if each.of == of and 0 < each.status < 300)

    def forget_calls(self) -> None:
        """Counts from zero again."""
        self.log.clear()

    def vm(self, name: str) -> Vm:
        """A VM as it is; KeyError when there is none."""
        return self.cloud.vm(name)

    def vms(self) -> list[str]:
        """The names of all."""
        return [vm.name for vm in self.cloud.vms()]

    def resources(self, kind: str) -> list[Resource]:
        """All of a kind, such as Microsoft.Network/networkInterfaces or Microsoft.Compute/disks."""
        return [one for one in self.cloud.resources.values() if one.kind == kind]

    def add(self, name: str, location: str = "eastus", **tags: str) -> Vm:
        """Somebody else made a VM, which runs."""
        where = f"/subscriptions/{self.subscription}/resourceGroups/{GROUP}/providers/{vms.KIND}"
        body = vm_body(name)
        body |= {"location": location, "tags": tags}
        names = {"subscription": self.subscription, "group": GROUP, "vm": name, "of": "PUT vm"}
        vms.put(self.cloud, Call("PUT", f"{where}/{name}", names, {}, {}, body, ""))
        vm = self.vm(name)
        assert vm.operation is not None
        vm.operation.finish()
        return vm

    def power(self, name: str, power: str) -> None:
        """Somebody else or the guest did it: the VM is running, stopped or deallocated now."""
        vm = self.vm(name)
        become(self.cloud, vm, power, vm.power)

    def deallocate(self, name: str) -> None:
        """Somebody deallocated the VM."""
        self.power(name, "deallocated")

    def vanish(self, name: str) -> None:
        """Somebody deleted the VM."""
        vms.vanish(self.cloud, self.vm(name))

    def finish(self) -> None:
        """All operations that go on end now."""
        for operation in list(self.cloud.operations.values()):
            operation.finish()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        text = await request.text()
        if request.path.endswith("/oauth2/v2.0/token"):
            self.log.append(Answered("POST token", "", 200))
            return self.entra.token(text)
        query = {name.lower(): value for name, value in request.query.items()}
        of, names = "", {}
        try:
            self.entra.check(request.headers)
            route, names = routes.find(request.method, request.path)
            of = names["of"]
            if "api-version" not in query:
                message = "The api-version query parameter (?api-version=) is required."
                raise arm_fault(400, "MissingApiVersionParameter", message)
            if of == "GET all vms" and query.get("statusonly") == "true":
                of = names["of"] = "GET statusOnly"
            call = Call(
                request.method,
                request.path,
                names,
                query,
                {name.lower(): value for name, value in request.headers.items()},
                json.loads(text) if text else {},
                self.base_url,
            )
            self.rights.check(call)
            self.cloud.locks.check(call)
            self.cloud.policies.check(call)
            return await self._answer(request, route, call)
        except Refused as refused:
            return self._send(of or request.method, names, refused.reply)

    async def _answer(
        self, request: web.Request, route: routes.Route, call: Call
    ) -> web.StreamResponse:
        of, words = call.names["of"], self._words(call)
        for rule in self.faults.befall(("reply", "drop", "absent", "hold"), words):
            if rule.kind == "reply":
                return self._send(of, call.names, _refusal(rule))
            if rule.kind == "drop":
                return self._drop(request, call)
            if rule.kind == "absent":
                return self._send(of, call.names, lies.absent(call))
            await rule.released.wait()
        told, limited = self.limits.charge_by_arm(call.method)
        limited = limited or self.limits.charge(route.limit)
        if limited is not None:
            limited.headers |= told
            return self._send(of, call.names, limited)
        try:
            reply = route.handler(self.cloud, call)
        except Refused as refused:
            reply = refused.reply
        reply.headers |= self.limits.told(route.limit) | told
        if "Azure-AsyncOperation" in reply.headers and self.pace.retry_after_s is not None:
            reply.headers["Retry-After"] = str(self.pace.retry_after_s)
        for rule in self.faults.befall(lies.KINDS, words):
            lies.falsify(rule, call, reply)
        text = reply.text()
        for rule in self.faults.befall(("dropafter", "holdafter"), words):
            if rule.kind == "dropafter":
                return self._drop(request, call, reply.status)
            await rule.released.wait()
        return self._send(of, call.names, reply, text)

    def _words(self, call: Call) -> dict[str, str]:
        found = {"of": call.names["of"], "vm": call.names.get("vm", call.names.get("name", ""))}
        properties = call.body.get("properties") or {}
        found["size"] = (properties.get("hardwareProfile") or {}).get("vmSize", "")
        found["location"] = str(call.body.get("location") or call.names.get("location", ""))
        found["zone"] = (call.body.get("zones") or [""])[0]
        return found

    def _send(
        self, of: str, names: dict[str, str], reply: Reply, text: str | None = None
    ) -> web.Response:
        self.log.append(Answered(of, _target(names), reply.status))
        response = web.Response(status=reply.status, headers=reply.headers)
        response.headers["x-ms-request-id"] = new_id()
        if reply.body is not None or reply.raw is not None:
            response.text = reply.text() if text is None else text
            response.content_type = reply.media
        return response

    def _drop(self, request: web.Request, call: Call, status: int = 0) -> web.StreamResponse:
        self.log.append(Answered(call.names["of"], _target(call.names), status))
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)


def _target(names: dict[str, str]) -> str:
    return names.get("vm", names.get("name", names.get("operation", ""))).lower()


def _refusal(rule: Rule) -> Reply:
    code = rule.code or {429: "TooManyRequests", 409: "Conflict"}.get(rule.status, "ServerError")
    body = {"error": {"code": code, "message": rule.message or "as the fault has it"}}
    return Reply(rule.status, body, {"Retry-After": rule.retry_after} if rule.retry_after else {})


if __name__ == "__main__":
    from tests.lab.azure import process

    asyncio.run(process.run(sys.argv[1:]))
