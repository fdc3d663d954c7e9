"""Microsoft's recordings of Azure, call by call through the driver's own way to Azure: whatever was
recorded is understood, and nothing is asked that was not."""

import re
from typing import Any

import pytest

from drivers.azure.connection.arm import Arm
from drivers.azure.connection.long_running import Operations, OperationState
from drivers.azure.connection.transport import Guard
from drivers.azure.faults import AzureRefused, Reaction
from drivers.azure.options import parse
from drivers.azure.vm_parser import seen_in
from drivers.facts import PowerState
from drivers.faults import Unreachable
from tests.drivers.azure_rig import QUICK, Token
from tests.drivers.rigs import permitted
from tests.lab.azure import recordings
from tests.lab.azure.recordings import Exchange
from tests.lab.azure.replay import Replay

_VM = re.compile(r".*/resourceGroups/([^/]+)/.*/virtualMachines/([^/]+)(?:/(\w+))?$", re.IGNORECASE)
VERBS = {
    ("PUT", None): "begin_create_or_update",
    ("DELETE", None): "begin_delete",
    ("POST", "start"): "begin_start",
    ("POST", "powerOff"): "begin_power_off",
    ("POST", "deallocate"): "begin_deallocate",
    ("POST", "restart"): "begin_restart",
    ("POST", "redeploy"): "begin_redeploy",
}
VERSION = "2021-03-01"


class Told:
    """A recording told again through the driver; what came of it."""

    def __init__(self, replay: Replay, group: str) -> None:
        told = {
            "subscription": "00000000-0000-0000-0000-000000000000",
            "resource_group": group,
            "sizes": "any",
            "base_url": replay.base_url,
            "ca_file": str(replay.ca_file),
        }
        options = parse({**QUICK, **told})
        self.arm = Arm("azure", options, Token)
        self._operations = Operations(self.arm, options)
        self.ends: dict[str, int] = {}
        self.refused: list[AzureRefused] = []
        self.powers: list[str] = []

    async def tell(self, each: Exchange) -> None:
        """One exchange, as the driver would make it."""
        if "/operations/" in each.path:
            return  # whoever follows the operation asks
        if each.method != "GET":
            await self._change(each)
        elif ("$expand", "instanceView") in each.query:
            vm = _VM.fullmatch(each.path)
            if vm is None:
                host = await self.arm.found(each.path, f"{VERSION}&$expand=instanceView")
                assert host is not None
                return
            record = await self.arm.vm(vm[2], vm[1])
            assert record is not None
            self.powers.append(seen_in(record).power)
        elif "value" in each.body:
            count = [
                len(page) async for page in self.arm.pages(each.path, f"api-version={VERSION}")
            ]
            assert sum(count) >= len(each.body["value"])
        else:
            assert (await self.arm.found(each.path, VERSION) is None) is (each.status == 404)

    async def _change(self, each: Exchange) -> None:
        guard, vm = Guard(permitted()), _VM.fullmatch(each.path)
        verb = VERBS.get((each.method, vm[3])) if vm is not None else None
        words: dict[str, Any] = {}
        if verb == "begin_create_or_update":
            words["parameters"] = {"location": "eastus"}
        elif verb == "begin_power_off":
            words["skip_shutdown"] = dict(each.query).get("skipShutdown") == "true"
        try:
            if verb is not None and vm is not None:
                operation = await self.arm.act(guard, verb, vm[2], **words)
            else:
                operation = await self.arm.send(guard, each.method, each.path, VERSION, {})
        except AzureRefused as refused:
            assert each.status >= 400
            self.refused.append(refused)
            return
        assert each.status < 300
        end = (await self._operations.ended(operation)).end
        self.ends[end] = self.ends.get(end, 0) + 1


def recorded(name: tuple[str, str]) -> tuple[Exchange, ...]:
    try:
        return recordings.exchanges(*name)
    except recordings.RecordingError as missing:
        pytest.skip(str(missing))


async def told_again(name: tuple[str, str]) -> tuple[Told, Replay]:
    exchanges = recorded(name)
    group = next(found[1] for each in exchanges if (found := re.search(r"Groups/(\w+)", each.path)))
    async with Replay.start(exchanges) as replay:
        told = Told(replay, group)
        try:
            for each in exchanges:
                await told.tell(each)
        finally:
            await told.arm.close()
        return told, replay


@pytest.mark.parametrize(
    "name", [recordings.LIFE_CYCLE, recordings.CONFLICTS, recordings.DEDICATED_HOSTS], ids=str
)
async def test_a_recording_is_told_again_without_a_miss(name: tuple[str, str]) -> None:
    """All that is left is what the driver has no use for: results of operations by `monitor`."""
    told, replay = await told_again(name)
    assert replay.misses == []
    assert [each.path for each in replay.left if ("monitor", "true") not in each.query] == []
    assert set(told.ends) == {OperationState.DONE}
    assert told.ends[OperationState.DONE] >= 2


async def test_recorded_refusals_are_final_and_in_azure_s_words() -> None:
    """409 of an operation that a VM is not fit for is none that may come to pass later."""
    told, _ = await told_again(recordings.CONFLICTS)
    assert [each.said.code for each in told.refused] == ["OperationNotAllowed"] * 3
    assert {each.said.reaction for each in told.refused} == {Reaction.FAIL}
    assert not any(each.no_capacity for each in told.refused)


async def test_recorded_power_is_read() -> None:
    told, _ = await told_again(recordings.LIFE_CYCLE)
    assert told.powers == ["running"]
    record = {
        "properties": {"instanceView": {"statuses": [{"code": "ProvisioningState/updating"}]}}
    }
    assert seen_in(record).state is PowerState.UNKNOWN


async def test_a_group_that_is_not_there_is_no_missing_vm() -> None:
    """As ARM itself says it: of the group, not of the thing."""
    (exchange,) = recorded(recordings.NO_SUCH_GROUP)
    async with Replay.start([exchange]) as replay:
        told = Told(replay, "none")
        with pytest.raises(Unreachable, match="ResourceGroupNotFound"):
            await told.arm.found(exchange.path, VERSION)
        await told.arm.close()
