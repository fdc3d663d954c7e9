"""The Azure rig: a zone and a region of a simulated subscription, and another subscription beside.

All places of a subscription answer or are silent together: there is one way to all of them.
"""

import time
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

from azure.core.credentials import AccessToken

from drivers.azure.driver import AzureDriver
from drivers.azure.options import parse
from drivers.contract import (
    Deploy,
    Driver,
    HostLink,
    Location,
    Order,
    Permit,
    PowerRequest,
    Ticket,
    VmSpec,
)
from tests.drivers.rigs import Rig, made_by, permitted
from tests.lab.azure import vms
from tests.lab.azure.faults import Rule
from tests.lab.azure.replies import Call
from tests.lab.azure.simulator import GROUP, Simulator

SIZES = "Standard_B1s Standard_B1ms Standard_B2s Standard_D2s_v3 Standard_D4s_v3"
QUICK: dict[str, Any] = {
    "poll_s": 0.01,
    "polls_per_s": 1000.0,
    "backoff_s": 0.02,
    "survey_each_s": 0.0,
    "listing_each_s": 0.0,
    "quota_each_s": 0.0,
    "call_timeout_s": 5.0,
    "throttled_timeout_s": 5.0,
    "silence_s": 0.5,
}


class Token:
    """A credential that needs nobody."""

    def __init__(self, text: str = "token") -> None:
        self._text = text

    async def get_token(self, *scopes: str, **words: Any) -> AccessToken:
        return AccessToken(self._text, int(time.time() + 3600))

    async def close(self) -> None:
        """Nothing is open."""


class AzureRig(Rig):
    """The simulator is a test's own; its operations end when they are polled."""

    template = "Canonical:ubuntu-24_04-lts:server:latest"
    first, second = "zone-1", "west"

    def __init__(self, arm: Simulator, beside: Simulator) -> None:
        self.arm = arm
        self.driver = self.opened()
        self.other = self.opened(beside)
        self._silence: list[Rule] = []

    def opened(self, arm: Simulator | None = None, **options: Any) -> AzureDriver:
        """A driver of the subscription, or of another."""
        at = arm or self.arm
        told = {
            "subscription": at.subscription,
            "resource_group": GROUP,
            "sizes": SIZES,
            "base_url": at.base_url,
            "ca_file": str(at.ca_file),
            **QUICK,
            **options,
        }
        driver = AzureDriver("azure", parse(told), Token)
        stores = ("disks", "more-disks")
        driver.attach(HostLink(self.first, "eastus/1", {"default": at.subnet}, stores))
        driver.attach(HostLink(self.second, "westus", {"default": at.subnet}, stores))
        return driver

    def at(self, host: str, *, shared: bool = True) -> Location:
        return Location(host, "disks" if shared else "more-disks", shared)

    def impatient(self) -> Driver:
        return self.opened(call_timeout_s=1.0, survey_timeout_s=1.0, throttled_timeout_s=1.0)

    def slow(self) -> Driver:
        return self.opened()

    async def others_answer(self, driver: Driver) -> None:
        """Places of one subscription are silent together; those of another are not."""
        assert await self.other.look(uuid4(), self.first) is None

    def keeping(self, permit: Permit, kept: list[str]) -> Permit:
        """The permit, with what is kept of its calls."""

        async def keep(text: str) -> None:
            kept.append(text)

        return replace(permit, keep=keep)

    def kept(self, permit: Permit, order: Order, kept: list[str]) -> Ticket:
        """The ticket as another process finds it."""
        return Ticket(permit.task, permit.step, order, kept[-1] if kept else "")

    async def volumes(self, at: Location) -> set[str]:
        disks = self.arm.resources("Microsoft.Compute/disks")
        return {disk.name for disk in disks if disk.body["location"] == self._region(at.host)}

    async def everything(self, host: str) -> set[UUID]:
        vms = [self.arm.vm(name) for name in self.arm.vms()]
        return {_uuid(vm.body) for vm in vms if vm.location == self._region(host)}

    def _region(self, host: str) -> str:
        return "eastus" if host == self.first else "westus"

    async def foreign(self, host: str) -> UUID:
        """As somebody makes it in the portal, in another resource group."""
        body = {
            "location": self._region(host),
            "properties": {"hardwareProfile": {"vmSize": "Standard_B1s"}},
        }
        if host == self.first:
            body["zones"] = ["1"]
        return await made_by_hand(self.arm, f"by-hand-{uuid4().hex[:8]}", body)

    async def guest_is_up(self, vm: UUID, times: int) -> None:
        assert self.boots(vm) >= times

    def boots(self, vm: UUID) -> int:
        """Less the one that is part of its making."""
        name = f"vmgate-{vm}"
        return self.arm.vm(name).boots - 1 if name in self.arm.vms() else 0

    async def started_deaf(self) -> VmSpec:
        """Azure waits for its guest, for as long as this is so."""
        spec = await self.deployed()
        await self.power(spec, PowerRequest.ON)
        self.arm.faults.add("hang", "POST powerOff", times=0, vm=f"vmgate-{spec.vm}")
        return spec

    async def cut(self, host: str) -> None:
        self._silence.append(self.arm.faults.add("drop", "*", times=0))

    async def mend(self, host: str) -> None:
        self._heard()

    async def freeze(self, host: str) -> None:
        self._silence.append(self.arm.faults.add("hold", "*", times=0))

    async def thaw(self, host: str) -> None:
        self._heard()

    def _heard(self) -> None:
        for rule in self._silence:
            rule.release()
        self._silence.clear()

    async def lose_power(self, host: str) -> None:
        await self.cut(host)
        for name in self.arm.vms():
            self.arm.power(name, "stopped")

    async def boot(self, host: str) -> None:
        self._heard()


def new_vm(rig: Rig, cpu: int = 1, ram_mib: int = 16) -> tuple[Permit, Deploy]:
    """A VM to make at the first place."""
    permit = permitted()
    spec = made_by(permit.task, rig.spec())
    sized = VmSpec(spec.vm, spec.name, cpu, ram_mib, spec.disk, spec.nics)
    return permit, Deploy(sized, rig.at(rig.first))


def name_of(order: Deploy) -> str:
    """What Azure calls its VM."""
    return f"vmgate-{order.spec.vm}"


async def running(rig: AzureRig) -> VmSpec:
    """A VM that runs; calls are counted from now on."""
    spec = await rig.deployed()
    await rig.power(spec, PowerRequest.ON)
    rig.arm.forget_calls()
    return spec


async def made_by_hand(arm: Simulator, name: str, body: dict[str, Any]) -> UUID:
    """A running VM of somebody else's; its id is Azure's own."""
    arm.cloud.add_group("theirs")
    path = f"/subscriptions/{arm.subscription}/resourceGroups/theirs/providers"
    path += f"/Microsoft.Compute/virtualMachines/{name}"
    names = {"subscription": arm.subscription, "group": "theirs", "vm": name, "of": "PUT vm"}
    vms.put(arm.cloud, Call("PUT", path, names, {}, {}, body, arm.base_url))
    arm.finish()
    return _uuid(arm.vm(name).body)


def _uuid(body: dict[str, Any]) -> UUID:
    return UUID((body.get("tags") or {}).get("vmgate-vm") or body["properties"]["vmId"])
