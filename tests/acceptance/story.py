"""The main job as a public Abiquo client does it, with abiquo-api, following links only."""

import json
import time
from collections.abc import Callable
from typing import Any

from abiquo.client import Abiquo

MEDIA = "application/vnd.abiquo.{}+json"
TASK_WITHIN_S = 60.0


class Story:
    """One client; every step checks what the client sees."""

    def __init__(self, base: str, user: tuple[str, str], look: Callable[[], None]) -> None:
        self._api = Abiquo(base, auth=user)
        self._look = look
        self.vm: Any = None
        self.shown: set[tuple[str, int | None]] = set()
        """What the VM showed of itself while its last task ran, with the task's progress."""

    def create(self) -> None:
        """From the login to a VM of the first template."""
        code, user = self._api.login.get(headers={"accept": MEDIA.format("user")})
        assert code == 200
        enterprise = _got(user.follow("enterprise").get())
        vdcs = _got(enterprise.follow("cloud/virtualdatacenters").get())
        vdc = next(iter(vdcs))
        template = next(iter(_got(vdc.follow("templates").get())))
        appliance = _made(
            vdc.follow("virtualappliances").post(
                headers=_sends("virtualappliance"), data=json.dumps({"name": "story"})
            )
        )
        edit = next(one for one in template.links if one["rel"] == "edit")
        body = {"label": "story", "links": [{**edit, "rel": "virtualmachinetemplate"}]}
        self.vm = _made(
            appliance.follow("virtualmachines").post(
                headers=_sends("virtualmachine"), data=json.dumps(body)
            )
        )
        assert self.vm.state == "NOT_ALLOCATED"

    def act(self, rel: str, wanted: str) -> None:
        """POST an action link, wait for its task, and expect a state."""
        self._finish(self.vm.follow(rel).post(), wanted)

    def power(self, state: str, *, graceful: bool = False) -> None:
        """PUT the state link."""
        body = {"state": state, "gracefulShutdown": graceful}
        self._finish(
            self.vm.follow("state").put(
                headers=_sends("virtualmachinestate"), data=json.dumps(body)
            ),
            state,
        )

    def candidates(self) -> dict[str, Any]:
        """The machines it may move to, by name."""
        found = _got(self.vm.follow("relocatecandidates").get())
        return {one.name: one for one in found}

    def room(self, machine: Any) -> dict[str, tuple[int, int]]:
        """What a candidate has left before and after the move: vCPUs, MiB, bytes by datastore."""
        told = machine.json
        assert told["sampleAgeInSeconds"] >= 0
        rooms = {"cpu": told["cpuRoom"], "ram": told["ramRoom"]}
        rooms |= {one["name"]: one["room"] for one in told["datastores"]["collection"]}
        return {what: (one["headroomBefore"], one["headroomAfter"]) for what, one in rooms.items()}

    def machine(self) -> Any:
        """The machine it is on."""
        return _got(self.vm.follow("machine").get())

    def host(self) -> str:
        """That machine's name."""
        return str(self.machine().name)

    def relocate(self) -> tuple[str, str]:
        """Move it to the first candidate; (before, after)."""
        before = self.host()
        machine = next(iter(self.candidates().values()))
        edit = next(one for one in machine.links if one["rel"] == "edit")
        body = {"links": [{**edit, "rel": "machine"}]}
        self._finish(
            self.vm.follow("relocate").post(headers=_sends("links"), data=json.dumps(body)), "ON"
        )
        assert self.host() == machine.name
        afterwards = self.candidates()
        assert before in afterwards
        assert machine.name not in afterwards
        return before, machine.name

    def give_back(self) -> None:
        """PUT takes back whatever GET gave."""
        code, _ = self.vm.put()
        assert code in (202, 204)
        self._read()

    def _finish(self, answer: tuple[int, Any], wanted: str) -> None:
        code, accepted = answer
        assert code == 202, (code, accepted and accepted.json)
        self.shown = set()
        ends_s = time.monotonic() + TASK_WITHIN_S
        while True:
            task = _got(accepted.follow("status").get())
            if task.state.startswith("FINISHED"):
                break
            assert time.monotonic() < ends_s, task.json
            self.shown.add((_got(self.vm.refresh()).displayState, task.progress))
            self._look()
        assert task.state == "FINISHED_SUCCESSFULLY", task.json
        self._read()
        assert self.vm.state == wanted

    def _read(self) -> None:
        self.vm = _got(self.vm.refresh())


def whole_story(story: Story, booted: Callable[[int], None]) -> tuple[str, str]:
    """Every step of the main job; the hosts before and after the move. `booted` waits until the
    guest has started so many times: one that is still in its firmware hears no button."""
    story.create()
    story.give_back()
    story.act("deploy", "ON")
    booted(1)
    story.power("PAUSED")
    story.power("ON")
    story.power("OFF", graceful=True)
    story.power("ON")
    booted(2)
    story.act("reset", "ON")
    booted(3)
    assert story.host() not in story.candidates()
    return story.relocate()


def _sends(kind: str) -> dict[str, str]:
    return {"content-type": MEDIA.format(kind)}


def _got(answer: tuple[int, Any]) -> Any:
    code, body = answer
    assert code == 200, (code, body and body.json)
    return body


def _made(answer: tuple[int, Any]) -> Any:
    code, body = answer
    assert code == 201, (code, body and body.json)
    return body
