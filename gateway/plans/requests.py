"""Reckoning: the questions whose answers take more computing than an event loop has to spare."""

from typing import Any

import msgspec

from gateway.analysis.headroom_report import HeadroomQuestion, headroom
from gateway.plans.propose import PlanQuestion, propose
from gateway.store.db.pool import Store


class Reckoning(msgspec.Struct, frozen=True):
    """One of the two."""

    headroom: HeadroomQuestion | None = None
    plan: PlanQuestion | None = None


async def reckon(store: Store, question: Reckoning) -> dict[str, Any]:
    """The answer, ready for JSON, from one moment of the store; raises StoreError."""
    if question.headroom is not None:
        return await headroom(store, question.headroom)
    assert question.plan is not None
    return await propose(store, question.plan)
