"""I1 on a vCenter: kill -9 of the gateway while the vCenter works; the work goes on without us, is
watched to its end by the next, and is never begun again."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.store.db.pool import Store
from tests.acceptance.gateway import Gateway, gateways, until
from tests.acceptance.vcenter_hosts import on_vcenter
from tests.lab.vcenter import VCenter
from tests.tasks.rig import books_balance

VERBS = {
    "CloneVM_Task": "deploy",
    "PowerOnVM_Task": "deploy",
    "RelocateVM_Task": "relocate?target=any",
    "Destroy_Task": "undeploy",
}


async def ready_for(gateway: Gateway, method: str) -> str:
    """A VM that the verb of this method can be asked of."""
    vm = await gateway.make(await gateway.appliance())
    if VERBS[method] != "deploy":
        await gateway.run("POST", f"{vm}/action/deploy")
    return vm


@pytest.mark.parametrize("method", list(VERBS))
@pytest.mark.parametrize("meanwhile", [True, False], ids=["ends while dead", "watched"])
async def test_what_runs_is_never_begun_again(
    vc: VCenter,
    store: Store,
    database_url: str,
    tmp_path: Path,
    method: str,
    meanwhile: bool,
) -> None:
    """One call of it, whether it ends while nobody is there or while the next one watches."""
    async with gateways(on_vcenter(vc, tmp_path, database_url)) as (gateway,):
        vm = await ready_for(gateway, method)
        vc.forget_calls()
        rule = vc.fault(method, "taskhold")
        task = await gateway.accept("POST", f"{vm}/action/{VERBS[method]}")
        await until(lambda: hit(rule.hits))
        await gateway.kill()
        if meanwhile:
            rule.remove()
        looked = vc.calls().get("FindByUuid", 0)
        await gateway.start()
        if not meanwhile:
            await until(lambda: hit(lambda: vc.calls().get("FindByUuid", 0) - looked - 1))
            assert not (await gateway.get(task))["state"].startswith("FINISHED")
            rule.remove()
        ended = await gateway.end(task)
        assert ended["state"] == "FINISHED_SUCCESSFULLY", ended
        assert vc.calls()[method] == 1
        shown = await gateway.get(vm)
        gone = method == "Destroy_Task"
        assert shown["state"] == ("NOT_ALLOCATED" if gone else "ON")
        assert (shown["name"] in vc.named("VirtualMachine")) is not gone
        await books_balance(store)
        if not gone:
            await gateway.run("POST", f"{vm}/action/undeploy")


async def hit(count: Callable[[], int]) -> bool:
    """Whether something has happened."""
    return count() > 0


async def test_a_reply_that_is_lost_costs_the_client_nothing(
    vc: VCenter, database_url: str, tmp_path: Path
) -> None:
    """Clone, start and move are each done once, and the task succeeds all the same."""
    async with gateways(on_vcenter(vc, tmp_path, database_url)) as (gateway,):
        vm = await ready_for(gateway, "CloneVM_Task")
        vc.forget_calls()
        for method in ("CloneVM_Task", "PowerOnVM_Task", "RelocateVM_Task"):
            vc.fault(method, "dropafter")
        await gateway.run("POST", f"{vm}/action/deploy")
        await gateway.run("POST", f"{vm}/action/relocate?target=any")
        calls = vc.calls()
        assert [calls[each] for each in list(VERBS)[:3]] == [1, 1, 1]
        await gateway.run("POST", f"{vm}/action/undeploy")


async def test_sessions_that_end_cost_the_client_nothing(
    vc: VCenter, database_url: str, tmp_path: Path
) -> None:
    """An administrator ends them all, in the middle of a move."""
    async with gateways(on_vcenter(vc, tmp_path, database_url)) as (gateway,):
        vm = await ready_for(gateway, "RelocateVM_Task")
        rule = vc.fault("RelocateVM_Task", "taskhold")
        task = await gateway.accept("POST", f"{vm}/action/relocate?target=any")
        await until(lambda: hit(rule.hits))
        vc.end_sessions()
        rule.remove()
        assert (await gateway.end(task))["state"] == "FINISHED_SUCCESSFULLY"
        await gateway.run("POST", f"{vm}/action/undeploy")
