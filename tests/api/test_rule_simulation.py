"""Foresight in a process of its own says what it would say here, and a broken one is no answer."""

import pytest

from gateway.analysis.rule_simulation import SimulationRequest, foresee
from gateway.service.analysis_process import AnalysisPool
from gateway.store.db.pool import Store, StoreError
from tests.api import vm_world

RULE = {
    "kind": "machine_load",
    "level": "rack",
    "element_id": 1,
    "other_id": 0,
    "cpu_percent": 50,
    "ram_percent": 100,
    "storage_percent": None,
    "aggregated": False,
    "fit_policy": None,
    "packing": False,
}
TEST = {"name": "big", "cpu": 9, "ram_mib": 1, "disk_bytes": 1, "datacenter": 1, "type": "KVM"}


async def test_the_process_answers_as_we_would(store: Store) -> None:
    """The event loop turns on meanwhile; the answer is the same."""
    await vm_world.build(store)
    question = SimulationRequest([RULE], [{**TEST, "hosts_min": 3}])
    here = await foresee(store, question)
    assert here["effect"]["headroom"]["cpu"]["change"] < 0
    assert here["failedTests"][0]["hosts"] == 1
    assert await AnalysisPool().foresee(store, question) == here


async def test_a_process_that_is_late_is_ended_and_no_answer(store: Store) -> None:
    """The caller hears that the store does not answer, and may ask again."""
    with pytest.raises(StoreError, match="not done"):
        await AnalysisPool(patience_s=0.0).foresee(store, SimulationRequest([], []))
