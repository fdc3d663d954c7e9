"""The main job, acted out over HTTP: each step is one thing a user does, and looks whether it
worked."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from gateway.cli.client import Client, ScenarioFailed, link

TOO_MANY_CPUS = 768  # the most that each kind of hypervisor could take; no host here has as many
Shown = Callable[[str], None]
Step = Callable[[Shown], Awaitable[str]]


@dataclass(slots=True)
class Scenario:
    """`summary` grows with what was seen; `steps` holds seconds by step."""

    client: Client
    began_s: float
    summary: dict[str, Any] = field(default_factory=dict)
    steps: dict[str, float] = field(default_factory=dict)
    _vdc: dict[str, Any] = field(default_factory=dict)
    _template: dict[str, Any] = field(default_factory=dict)
    _vapp: dict[str, Any] = field(default_factory=dict)
    _vm: dict[str, Any] = field(default_factory=dict)
    _host: str = ""

    def script(self) -> tuple[tuple[str, Step], ...]:
        """The steps in order, by name."""
        return (
            ("log in", self._log_in),
            ("create from a template", self._create),
            ("deploy", self._deploy),
            ("pause", lambda shown: self._power(shown, "PAUSED")),
            ("resume", lambda shown: self._power(shown, "ON")),
            ("power off gracefully", lambda shown: self._power(shown, "OFF", graceful=True)),
            ("power on", lambda shown: self._power(shown, "ON")),
            ("reset", self._reset),
            ("list relocation candidates", self._list_candidates),
            ("relocate live", self._relocate),
            ("ask for too much", self._ask_too_much),
            ("undeploy", self._undeploy),
        )

    async def _log_in(self, shown: Shown) -> str:
        user = await self.client.call("GET", "login")
        vdcs = await self.client.collection("cloud/virtualdatacenters")
        if not vdcs:
            raise ScenarioFailed("there is no virtual datacenter")
        self._vdc = vdcs[0]
        templates = await self.client.collection(link(self._vdc, "templates"))
        self._template = templates[0]
        return f"{user['nick']}, virtual datacenter {self._vdc['name']}"

    async def _create(self, shown: Shown) -> str:
        where = link(self._vdc, "virtualappliances")
        self._vapp = await self.client.call("POST", where, {"name": "demo"}, wanted=(201,))
        self._vm = await self._new_vm({"label": "demo"})
        self.summary["vm"] = self._vm["uuid"]
        return f"{self._vm['name']} from {self._template['name']}"

    async def _new_vm(self, body: dict[str, Any]) -> dict[str, Any]:
        href = link(self._template, "edit")
        wanted = {"links": [{"rel": "virtualmachinetemplate", "href": href}], **body}
        where = link(self._vapp, "virtualmachines")
        made: dict[str, Any] = await self.client.call("POST", where, wanted, wanted=(201,))
        return made

    async def _act(
        self, shown: Shown, rel: str, body: Any = None, method: str = "POST"
    ) -> dict[str, Any]:
        """Ask for an action, wait for its task, and read the VM anew; what was accepted."""
        where = link(self._vm, rel)
        accepted: dict[str, Any] = await self.client.call(method, where, body, wanted=(202,))
        task = await self.client.finished(accepted, shown)
        if task["state"] != "FINISHED_SUCCESSFULLY":
            raise ScenarioFailed(f"the task failed: {task['error']}")
        self._vm = await self.client.call("GET", link(self._vm, "edit"))
        return accepted

    def _expect(self, state: str) -> None:
        if self._vm["state"] != state:
            raise ScenarioFailed(f"the VM is {self._vm['state']}, not {state}")

    async def _deploy(self, shown: Shown) -> str:
        await self._act(shown, "deploy")
        self._expect("ON")
        self.summary["seconds_to_first_on"] = round(time.monotonic() - self.began_s, 3)
        host = await self._place()
        self.summary["hypervisor"] = f"{host['product']} {host['version']}".strip()
        self._host = self.summary["host_before"] = host["name"]
        return f"ON at {host['name']} ({self.summary['hypervisor']})"

    async def _place(self) -> dict[str, Any]:
        host: dict[str, Any] = await self.client.call("GET", link(self._vm, "machine"))
        return host

    async def _power(self, shown: Shown, state: str, *, graceful: bool = False) -> str:
        body: dict[str, Any] = {"state": state}
        if graceful:
            body["gracefulShutdown"] = True
        await self._act(shown, "state", body, "PUT")
        self._expect(state)
        return state

    async def _reset(self, shown: Shown) -> str:
        await self._act(shown, "reset")
        self._expect("ON")
        return "ON"

    async def _list_candidates(self, shown: Shown) -> str:
        found = await self.client.collection(link(self._vm, "relocatecandidates"))
        names = [host["name"] for host in found]
        if not names or self._host in names:
            raise ScenarioFailed(f"the candidates are {names}")
        return ", ".join(names)

    async def _relocate(self, shown: Shown) -> str:
        found = await self.client.call("GET", link(self._vm, "relocatecandidates"))
        target = found["collection"][0]
        href = link(target, "edit")
        await self._act(shown, "relocate", {"links": [{"rel": "machine", "href": href}]})
        self._expect("ON")
        after = (await self._place())["name"]
        self.summary["host_after"] = after
        if after != target["name"]:
            raise ScenarioFailed(f"the VM is at {after}, not at {target['name']}")
        names = [
            host["name"]
            for host in await self.client.collection(link(self._vm, "relocatecandidates"))
        ]
        if self._host not in names or after in names:
            raise ScenarioFailed(f"the candidates afterwards are {names}")
        return f"{self._host} to {after}; {self._host} is a candidate again"

    async def _ask_too_much(self, shown: Shown) -> str:
        huge = await self._new_vm({"label": "too much", "cpu": TOO_MANY_CPUS})
        accepted = await self.client.call("POST", link(huge, "deploy"), None, wanted=(202,))
        task = await self.client.finished(accepted, shown)
        if task["state"] != "FINISHED_UNSUCCESSFULLY" or not task["error"]:
            raise ScenarioFailed(f"the task is {task['state']}")
        await self.client.call("DELETE", link(huge, "edit"), wanted=(202, 204))
        return f"refused: {task['error']}"

    async def _undeploy(self, shown: Shown) -> str:
        await self._act(shown, "undeploy")
        self._expect("NOT_ALLOCATED")
        return "NOT_ALLOCATED"
