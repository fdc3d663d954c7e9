"""Faults L10 through the API: a question of the vCenter stands in the task, in an event and with
the VM at once; a person answers it, and then the task goes on."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.acceptance.gateway import gateways, until
from tests.acceptance.vcenter_hosts import on_vcenter
from tests.drivers.vsphere_rig import Admin
from tests.lab.vcenter import VCenter

ASKED = "The datastore is full. Retry?"


async def test_a_question_is_told_at_once_and_the_task_goes_on_after_the_answer(
    vc: VCenter, database_url: str, tmp_path: Path
) -> None:
    admin = Admin(vc, vc.home)
    async with gateways(on_vcenter(vc, tmp_path, database_url)) as (gateway,):
        vm = await gateway.make(await gateway.appliance())
        await gateway.run("POST", f"{vm}/action/deploy")
        await gateway.run("PUT", f"{vm}/state", {"state": "OFF"})
        there = admin.vm(UUID((await gateway.get(vm))["uuid"]))
        rule = vc.fault("PowerOnVM_Task", "question", text=ASKED)
        task = await gateway.accept("PUT", f"{vm}/state", {"state": "ON"})

        async def told() -> bool:
            return ASKED in str(await gateway.get(task))

        await until(told)
        shown = await gateway.get(task)
        assert shown["state"] == "STARTED"
        assert ASKED in shown["waitingFor"]
        events: list[dict[str, Any]] = []

        async def reported() -> bool:
            events[:] = (await gateway.get("events?action=TASK_WAITS"))["collection"]
            return bool(events)

        await until(reported)
        assert [each["severity"] for each in events] == ["WARN"]
        assert ASKED in events[0]["message"]
        assert "AnswerVM" not in vc.calls()
        rule.remove()
        question = await asyncio.to_thread(lambda: there.runtime.question)
        await asyncio.to_thread(there.AnswerVM, question.id, "0")
        ended = await gateway.end(task)
        assert ended["state"] == "FINISHED_SUCCESSFULLY"
        assert not ended["error"]
        assert ended["waitingFor"] is None
        await gateway.run("POST", f"{vm}/action/undeploy")
    admin.close()
