"""The simulator apart, in a process of its own: `async with Apart.start() as arm:`.

`python -m tests.lab.azure.simulator home=DIR looks=1 seconds=0 port=0` prints how to get in as one
JSON line, and ends when its input ends. Each line of input is an order in JSON, such as
{"do": "fault", "kind": "hang", "of": "POST start"}, and is answered by a line: what came of it.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.lab.azure.cloud import Pace
from tests.lab.azure.faults import Rule
from tests.lab.azure.simulator import Simulator

_ROOT = Path(__file__).parents[3]


async def run(words: Sequence[str]) -> None:
    """Serves until its input ends."""
    told = dict(word.split("=", 1) for word in words)
    pace = Pace(int(told.get("looks", 1)), float(told.get("seconds", 0)))
    async with Simulator.start(
        Path(told["home"]) if "home" in told else None,
        pace=pace,
        port=int(told.get("port", 0)),
        subscription=told.get("subscription", ""),
        strict="strict" in told,
    ) as arm:
        arm.sizes.limit = int(told.get("quota", arm.sizes.limit))
        for number in range(int(told.get("vms", 0))):
            arm.add(f"vm-{number}")
        found = {"base_url": arm.base_url, "ca_file": str(arm.ca_file)}
        found |= {"subscription": arm.subscription, "subnet": arm.subnet}
        found |= {"tenant": arm.entra.tenant, "client_id": arm.entra.client_id}
        found |= {"client_secret": arm.entra.client_secret}
        print(json.dumps(found), flush=True)
        orders = _Orders(arm)
        while line := await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps(orders.obey(json.loads(line))), flush=True)


@dataclass(slots=True)
class _Orders:
    """What can be asked of the simulator from outside."""

    arm: Simulator
    rules: list[Rule] = field(default_factory=list)

    def obey(self, order: dict[str, Any]) -> Any:
        """Does what `do` names; the answer, or {"error": …}."""
        what = order.pop("do")
        try:
            return getattr(self, f"_{what}")(**order)
        except (AttributeError, LookupError, TypeError, ValueError) as wrong:
            return {"error": str(wrong)}

    def _fault(self, kind: str, of: str = "*", **words: Any) -> int:
        self.rules.append(self.arm.faults.add(kind, of, **words))
        return len(self.rules) - 1

    def _hits(self, rule: int) -> int:
        return self.rules[rule].hits

    def _release(self, rule: int) -> None:
        self.rules[rule].release()

    def _calls(self) -> dict[str, int]:
        return dict(self.arm.calls)

    def _done(self, of: str) -> dict[str, int]:
        return dict(self.arm.done(of))

    def _forget(self) -> None:
        self.arm.forget_calls()

    def _vms(self) -> dict[str, dict[str, Any]]:
        vms = [self.arm.vm(name) for name in self.arm.vms()]
        return {vm.name: {"power": vm.power, "size": vm.size, "boots": vm.boots} for vm in vms}

    def _left(self) -> list[str]:
        kinds = ("Microsoft.Compute/disks", "Microsoft.Network/networkInterfaces")
        return [*self.arm.vms(), *(one.id for kind in kinds for one in self.arm.resources(kind))]

    def _tokens(self) -> list[str]:
        return sorted(self.arm.entra.given)

    def _elsewhere(self, sizes: list[str]) -> None:
        self.arm.sizes.elsewhere.update(sizes)

    def _pace(self, **words: Any) -> None:
        for name, value in words.items():
            setattr(self.arm.pace, name, value)

    def _lock(self, what: str, name: str, level: str = "CanNotDelete") -> None:
        """On each resource of a kind, such as Microsoft.Compute/disks, or on the group."""
        found = [one.id for one in self.arm.resources(what)]
        group = [self.arm.cloud.groups["vmgate"]["id"]] if what == "group" else []
        for scope in (*found, *group):
            self.arm.cloud.locks.add(scope, name, level)

    def _unlock(self, name: str) -> None:
        self.arm.cloud.locks.remove(name)

    def _require(self, tag: str, name: str) -> None:
        self.arm.cloud.policies.require(tag, name)

    def _tags(self, what: str) -> list[dict[str, str]]:
        return [one.body.get("tags", {}) for one in self.arm.resources(what)]

    def _grant(self, actions: list[str]) -> None:
        self.arm.rights.grant(actions)


class Apart:
    """One that runs in a process of its own; `told` is how to get in."""

    def __init__(self, process: asyncio.subprocess.Process, told: dict[str, str]) -> None:
        self._process = process
        self._turn = asyncio.Lock()
        self.told = told

    @classmethod
    @asynccontextmanager
    async def start(cls, home: Path, **words: object) -> AsyncIterator["Apart"]:
        """One that runs inside `async with`; its certificate is put into `home`."""
        given = [f"{name}={value}" for name, value in {"home": home, **words}.items()]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.lab.azure.simulator", *given),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=_ROOT,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield cls(process, json.loads(await process.stdout.readline()))
        finally:
            process.stdin.close()
            await process.wait()

    async def ask(self, do: str, **words: Any) -> Any:
        """What came of an order; AssertionError for one that is none."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        async with self._turn:
            self._process.stdin.write(json.dumps({"do": do, **words}).encode() + b"\n")
            answer = json.loads(await self._process.stdout.readline())
        assert not (isinstance(answer, dict) and answer.keys() == {"error"}), answer
        return answer
