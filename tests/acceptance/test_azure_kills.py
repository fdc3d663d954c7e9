"""I1 on Azure: kill -9 of the whole gateway while Azure works, asked for by HTTP; every accepted
request ends well, and Azure was asked for each effect once."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from drivers.azure.role import ACTIONS
from gateway.store.db.pool import Store
from tests.acceptance.azure_places import on_azure
from tests.acceptance.gateway import Gateway, gateways, until
from tests.lab.azure.process import Apart
from tests.tasks.rig import books_balance


@dataclass(frozen=True, slots=True)
class Story:
    """One request and the call of it that is interrupted; how the VM is afterwards."""

    call: str
    method: str
    path: str
    body: Mapping[str, Any] | None = None
    shown: str = "ON"
    power: str = "running"
    before: str = "ON"
    boots: int = 2
    elsewhere: bool = False


OFF = {"state": "OFF"}
STORIES = {
    "interface": Story("PUT nic", "POST", "action/deploy", before=""),
    "create": Story("PUT vm", "POST", "action/deploy", before=""),
    "off after the create": Story("POST powerOff", "POST", "action/deploy", before=""),
    "start": Story("POST start", "POST", "action/deploy", before=""),
    "hard off": Story("POST deallocate", "PUT", "state", OFF, "OFF", "deallocated"),
    "reset": Story("POST restart", "POST", "action/reset", boots=3),
    "resize": Story("PATCH vm", "PUT", "", {"cpu": 2}, "OFF", "stopped", "OFF"),
    "resize by deallocation": Story(
        "POST deallocate", "PUT", "", {"cpu": 2}, "OFF", "deallocated", "OFF", elsewhere=True
    ),
    "remove": Story("DELETE vm", "POST", "action/undeploy", shown="NOT_ALLOCATED", power=""),
}
WATCHED = ("create", "start", "hard off", "reset", "resize by deallocation", "remove")
UNSAID = ("interface", "create", "off after the create", "hard off", "resize", "remove")


@pytest.fixture
async def arm(tmp_path: Path) -> AsyncIterator[Apart]:
    async with Apart.start(tmp_path, strict=1) as running:
        await running.ask("grant", actions=ACTIONS)
        yield running


@dataclass(slots=True)
class Scene:
    """A gateway, the subscription, and a VM that is ready for its story."""

    gateway: Gateway
    arm: Apart
    vm: str = ""
    story: Story = field(default_factory=lambda: STORIES["create"])

    async def ready(self) -> None:
        """The VM as the story finds it; calls are counted from now on."""
        self.vm = await self.gateway.make(await self.gateway.appliance())
        if self.story.before:
            await self.gateway.run("POST", f"{self.vm}/action/deploy")
        if self.story.before == "OFF":
            graceful = {"state": "OFF", "gracefulShutdown": True}
            await self.gateway.run("PUT", f"{self.vm}/state", graceful)
        if self.story.elsewhere:
            await self.arm.ask("elsewhere", sizes=["Standard_B2s", "Standard_D2s_v3"])
        await self.arm.ask("forget")

    async def ask(self) -> str:
        """The task of the story's request."""
        body = dict(self.story.body or {})
        if not self.story.path:
            body = await self.gateway.get(self.vm) | body
        path = f"{self.vm}/{self.story.path}".rstrip("/")
        return await self.gateway.accept(self.story.method, path, body or None)

    async def done(self) -> int:
        """How often Azure did what the story's call asks for."""
        return sum((await self.arm.ask("done", of=self.story.call)).values())

    async def is_as_told(self, task: str) -> None:
        """The task ended well, the call was made once, and the record is what Azure has."""
        ended = await self.gateway.end(task)
        assert ended["state"] == "FINISHED_SUCCESSFULLY", ended
        assert await self.done() == 1
        shown = await self.gateway.get(self.vm)
        vms = list((await self.arm.ask("vms")).values())
        assert shown["state"] == self.story.shown
        assert [vm["power"] for vm in vms] == ([self.story.power] if self.story.power else [])
        if self.story.power == "running":
            assert vms[0]["boots"] == self.story.boots
        if self.story.power:
            assert shown["deallocated"] is (self.story.power == "deallocated")
            assert vms[0]["size"] == ("Standard_B2s" if shown["cpu"] == 2 else "Standard_B1s")
        else:
            assert await self.arm.ask("left") == []


@pytest.mark.parametrize("name", WATCHED)
async def test_what_azure_works_at_is_never_begun_again(
    arm: Apart, store: Store, database_url: str, tmp_path: Path, name: str
) -> None:
    """It goes on without us, and ends while the next one watches."""
    async with gateways(on_azure(arm, tmp_path, database_url)) as (gateway,):
        scene = Scene(gateway, arm, story=STORIES[name])
        await scene.ready()
        rule = await arm.ask("fault", kind="hang", of=scene.story.call)
        task = await scene.ask()
        polls = (await arm.ask("calls")).get("GET poll", 0)
        await until(lambda: polled(arm, polls + 1))
        await gateway.kill()
        await gateway.start()
        polls = (await arm.ask("calls"))["GET poll"]
        await until(lambda: polled(arm, polls + 1))
        assert not (await gateway.get(task))["state"].startswith("FINISHED")
        await arm.ask("release", rule=rule)
        await scene.is_as_told(task)
        await books_balance(store)


@pytest.mark.parametrize("name", UNSAID)
async def test_what_azure_did_and_could_not_say_is_never_begun_again(
    arm: Apart, store: Store, database_url: str, tmp_path: Path, name: str
) -> None:
    """Killed between what Azure accepted and its reply, so that nobody knows of the operation."""
    async with gateways(on_azure(arm, tmp_path, database_url)) as (gateway,):
        scene = Scene(gateway, arm, story=STORIES[name])
        await scene.ready()
        rule = await arm.ask("fault", kind="holdafter", of=scene.story.call)
        task = await scene.ask()
        await until(lambda: hit(arm, rule))
        await gateway.kill()
        await arm.ask("release", rule=rule)
        await gateway.start()
        await scene.is_as_told(task)
        await books_balance(store)


async def test_a_reset_that_nobody_can_know_of_fails_and_is_not_repeated(
    arm: Apart, store: Store, database_url: str, tmp_path: Path
) -> None:
    """Killed before its reply: the VM runs, and may have been reset once."""
    async with gateways(on_azure(arm, tmp_path, database_url)) as (gateway,):
        scene = Scene(gateway, arm, story=STORIES["reset"])
        await scene.ready()
        rule = await arm.ask("fault", kind="holdafter", of="POST restart")
        task = await scene.ask()
        await until(lambda: hit(arm, rule))
        await gateway.kill()
        await arm.ask("release", rule=rule)
        await gateway.start()
        ended = await gateway.end(task)
        assert ended["state"] == "FINISHED_UNSUCCESSFULLY"
        assert "Indeterminate" in ended["error"]
        assert await scene.done() == 1
        assert (await gateway.get(scene.vm))["state"] == "ON"
        await gateway.run("POST", f"{scene.vm}/action/reset")


async def test_what_azure_was_not_asked_for_yet_is_asked_for_once(
    arm: Apart, store: Store, database_url: str, tmp_path: Path
) -> None:
    """Killed while the call was on its way, so that Azure never saw it."""
    async with gateways(on_azure(arm, tmp_path, database_url)) as (gateway,):
        for name in ("create", "hard off", "resize by deallocation"):
            scene = Scene(gateway, arm, story=STORIES[name])
            await scene.ready()
            rule = await arm.ask("fault", kind="drop", of=scene.story.call)
            held = await arm.ask("fault", kind="hold", of="GET vm", times=0)
            task = await scene.ask()
            await until(lambda held=held: hit(arm, held))
            await arm.ask("release", rule=held)
            await until(lambda rule=rule: hit(arm, rule))
            await gateway.kill()
            await gateway.start()
            await scene.is_as_told(task) if name == "create" else await gateway.end(task)
            assert await scene.done() == 1
            await gateway.run("POST", f"{scene.vm}/action/undeploy")
        assert await arm.ask("left") == []
        await books_balance(store)


async def polled(arm: Apart, times: int) -> bool:
    """Whether an operation was asked for so often."""
    return bool((await arm.ask("calls")).get("GET poll", 0) >= times)


async def hit(arm: Apart, rule: int) -> bool:
    """Whether a fault has befallen a call."""
    return bool(await arm.ask("hits", rule=rule))
