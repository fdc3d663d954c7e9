"""docs/ways-out.md is true (K2; faults L1, L7, L8): it lists every state of a VM and every phase of
a task, and each way out is gone over HTTP, with the real engine on simulated hosts."""

import re
from pathlib import Path

import pytest

from gateway.lifecycle import VmState
from gateway.store.db.pool import Store
from tests.api.ways_house import FINAL, PHASES, House, house

PAGE = (Path(__file__).parents[2] / "docs/ways-out.md").read_text(encoding="utf-8")


def table(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    below = PAGE.split(f"\n## {heading}\n", 1)[1]
    lines = [line for line in below.splitlines() if line.startswith("|")]
    end = next((n for n, line in enumerate(below.splitlines()) if line.startswith("### ")), None)
    if end is not None:
        lines = [line for line in below.splitlines()[:end] if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    width = len(rows[0])
    return [row for row in rows if len(row) == width]


def ways(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


VMS = {row[0].strip("`"): ways(row[2]) for row in table("Virtual machines") if row[0][0] == "`"}
TASKS = {row[0]: (row[1], ways(row[3])) for row in table("Tasks")}


def test_every_state_of_a_vm_is_on_the_page() -> None:
    assert set(VMS) == set(VmState)
    assert all(VMS.values())
    assert {(state, way) for state, found in VMS.items() for way in found} >= {("LOCKED", "cancel")}


def test_every_state_of_a_task_is_on_the_page() -> None:
    assert {state for state, _ in TASKS.values()} == {"PENDING", "STARTED", *FINAL}
    assert set(TASKS) == set(PHASES)
    for phase, (_, found) in TASKS.items():
        assert found or phase.startswith("over"), phase


VM_ENDS = {
    "deploy": "ON",
    "undeploy": "NOT_ALLOCATED",
    "state ON": "ON",
    "state OFF": "OFF",
    "state PAUSED": "PAUSED",
    "the host answers": "ON",
    "cancel": "UNKNOWN",
}


@pytest.mark.parametrize("state", VMS)
async def test_each_way_out_of_a_state(store: Store, state: str) -> None:
    """From the state, by the request that the page names, to another state."""
    async with house(store) as at:
        for way in VMS[state]:
            await at.answers()
            await at.make(state)
            await goes(at, state, way)


async def goes(at: House, state: str, way: str) -> None:
    """Go it."""
    match way.split():
        case ["deploy" | "undeploy"]:
            await at.post(f"{at.vm}/action/{way}")
            await at.answers()
            assert (await at.ended())["state"] == "FINISHED_SUCCESSFULLY", (state, way)
        case ["state", wanted]:
            await at.post(f"{at.vm}/state", {"state": wanted})
            assert (await at.ended())["state"] == "FINISHED_SUCCESSFULLY", (state, way)
        case ["delete"]:
            assert (await at.api.call("DELETE", at.vm)).status == 204
            assert (await at.api.call("GET", at.vm)).status == 404
            return
        case ["cancel"]:
            await at.act("cancel")
            assert (await at.ended())["state"] == "CANCELLED"
        case _:
            assert way == "the host answers"
            await at.answers()
    await at.state(VM_ENDS[way])


@pytest.mark.parametrize(
    ("phase", "way"), [(phase, way) for phase, (_, found) in TASKS.items() for way in found or [""]]
)
async def test_each_way_out_of_a_phase(store: Store, phase: str, way: str) -> None:
    """The task ends, and the VM is free again in a state of its own."""
    async with house(store) as at:
        await PHASES[phase](at)
        body = (await at.api.call("GET", at.task)).body
        if phase != "cancelled, not over" or body["state"] == "STARTED":
            assert body["state"] == TASKS[phase][0]
        await leaves(at, way)
        assert (await at.ended())["state"] in FINAL
        await at.state(*(set(VmState) - {"LOCKED"}))


async def leaves(at: House, way: str) -> None:
    """Go it."""
    match way.split():
        case []:
            pass
        case ["cancel"] | ["cancel", "while", "it", "waits"]:
            await at.act("cancel")
            for held in list(at.rig.worker._held.values()):
                await held.cancel.wait()
            at.world.rows("update host set frozen = 0")
            assert (await at.ended())["state"] in ("CANCELLED", "FINISHED_UNSUCCESSFULLY")
        case ["resolve"]:
            await at.act("resolve")
        case ["resolve", outcome]:
            for each in ("vm", "volume"):
                at.world.rows(f"delete from {each}")
            await at.act("resolve", {"outcome": outcome})
            assert (await at.ended())["state"] == "FINISHED_UNSUCCESSFULLY"
            await at.state("NOT_ALLOCATED")
        case ["ack"]:
            await at.act("ack")
            assert (await at.ended())["state"] == "ACK_ERROR"
        case ["ends", "by", "itself"]:
            await at.answers()
        case _:
            assert way == "the host answers"
            await at.answers()
            await at.state(*(set(VmState) - {"LOCKED", "UNKNOWN"}))
