"""What a user does with a VM in Azure, acted out: off twice over, and what each off costs."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from gateway.cli.client import ScenarioFailed, link
from gateway.cli.scenario import Scenario, Shown, Step
from tests.lab.azure.client import Client as Outsider
from tests.lab.azure.simulator import Simulator

_SEEN_WITHIN_S = 30.0
_LOOK_EACH_S = 0.2


@dataclass(slots=True)
class AzureScenario(Scenario):
    """`outsider` is somebody else with rights in the subscription, who speaks to ARM itself."""

    arm: Simulator = field(kw_only=True)
    outsider: Outsider = field(kw_only=True)

    def script(self) -> tuple[tuple[str, Step], ...]:
        """The steps in order, by name."""
        return (
            ("log in", self._log_in),
            ("create from a template", self._create),
            ("deploy", self._deploy),
            ("pause is refused", self._pause),
            ("relocate is refused", self._relocate),
            ("power off gracefully", self._power_off),
            ("power on", self._power_on),
            ("power off hard", self._deallocate),
            ("power on again", self._power_on),
            ("deallocated by somebody else", self._deallocated_outside),
            ("ask for too much", self._ask_too_much),
            ("undeploy", self._undeploy),
        )

    async def _refused(self, method: str, where: str, body: Any, code: str) -> str:
        """A call must be refused with a code; no call to Azure may come of it."""
        before = len(self.arm.done("POST powerOff") + self.arm.done("POST deallocate"))
        refused = await self.client.call(method, where, body, wanted=(409,))
        error = refused["collection"][0]
        after = len(self.arm.done("POST powerOff") + self.arm.done("POST deallocate"))
        if error["code"] != code or after != before:
            raise ScenarioFailed(f"refused with {error['code']}, not {code}")
        return f"{code}: {error['message']}"

    async def _pause(self, shown: Shown) -> str:
        return await self._refused("PUT", link(self._vm, "state"), {"state": "PAUSED"}, "VM-4")

    async def _relocate(self, shown: Shown) -> str:
        offered = [one["rel"] for one in self._vm["links"]]
        if "relocate" in offered:
            raise ScenarioFailed("the VM offers to be relocated")
        where = f"{link(self._vm, 'edit')}/action/relocate?target=any"
        return await self._refused("POST", where, None, "VM-RELOCATE-3")

    async def _off(self, shown: Shown, *, graceful: bool) -> str:
        body = {"state": "OFF", **({"gracefulShutdown": True} if graceful else {})}
        told = (await self._act(shown, "state", body, "PUT"))["consequences"]
        self._expect("OFF")
        if (self._vm["deallocated"], told["stillCharged"]) != (not graceful, graceful):
            raise ScenarioFailed(f"deallocated is {self._vm['deallocated']}; {told}")
        await self._expect_power("stopped" if graceful else "deallocated")
        return str(told["message"])

    async def _power_off(self, shown: Shown) -> str:
        said = await self._off(shown, graceful=True)
        if not await self._addresses():
            raise ScenarioFailed("its addresses are gone")
        return said

    async def _deallocate(self, shown: Shown) -> str:
        said = await self._off(shown, graceful=False)
        await self._expect_no_addresses()
        return said

    async def _power_on(self, shown: Shown) -> str:
        await self._power(shown, "ON")
        await self._expect_power("running")
        if not await self._addresses():
            raise ScenarioFailed("it has no address")
        return "ON"

    async def _deallocated_outside(self, shown: Shown) -> str:
        began_s = time.monotonic()
        accepted = await self.outsider.post(self._azure_name(), "deallocate")
        await self.outsider.settled(accepted)
        while not self._vm["deallocated"]:
            if time.monotonic() - began_s > _SEEN_WITHIN_S:
                raise ScenarioFailed(f"it was not seen within {_SEEN_WITHIN_S:.0f} s")
            await asyncio.sleep(_LOOK_EACH_S)
            self._vm = await self.client.call("GET", link(self._vm, "edit"))
        self._expect("OFF")
        await self._expect_no_addresses()
        seen_s = self.summary["seconds_to_see_it"] = round(time.monotonic() - began_s, 3)
        return f"seen after {seen_s} s: OFF and deallocated, without addresses"

    async def _undeploy(self, shown: Shown) -> str:
        said = await Scenario._undeploy(self, shown)
        kinds = ("Microsoft.Compute/disks", "Microsoft.Network/networkInterfaces")
        left = self.arm.vms() + [one.name for kind in kinds for one in self.arm.resources(kind)]
        if left:
            raise ScenarioFailed(f"left in Azure: {', '.join(left)}")
        return f"{said}, and nothing is left in Azure"

    def _azure_name(self) -> str:
        (name,) = self.arm.vms()
        return name

    async def _expect_power(self, power: str) -> None:
        found = await self.outsider.power(self._azure_name())
        if found != power:
            raise ScenarioFailed(f"in Azure it is {found}, not {power}")

    async def _addresses(self) -> list[str]:
        """Those that the gateway shows."""
        nics = await self.client.collection(link(self._vm, "nics"))
        return [one["ip"] for one in nics if one["ip"]]

    async def _expect_no_addresses(self) -> None:
        """None is shown; the interface keeps the fixed one for the next start, as Azure does."""
        shown = await self._addresses()
        if shown:
            raise ScenarioFailed(f"it still has addresses: {shown}")
