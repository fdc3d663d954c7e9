"""What is told of each edit of the workload rules."""

from typing import Any

from gateway.api.request_context import RequestContext
from gateway.events.event import Event
from gateway.store.db.pool import Connection
from gateway.store.rules import rules
from gateway.store.rules.rules import Rule

_TOPICS = {
    "machine_load": "LOADLEVEL",
    "datastore_load": "LOADLEVEL",
    "fit_policy": "LOADBALANCE",
    "enterprise_exclusion": "RESTRICTSHARED",
}


async def tell_rule(turn: RequestContext, c: Connection, one: Rule, *, gone: bool = False) -> None:
    """A rule is applied, or lifted."""
    word = one.kind.replace("_", " ")
    await turn.tell(
        c,
        Event(
            "RULES",
            f"{_TOPICS[one.kind]}_{'DELETE' if gone else 'APPLY'}",
            one.id,
            message=f"{word.capitalize()} rule {one.id} was {'lifted' if gone else 'applied'}",
            details=_details(one),
        ),
    )


async def tell_all(
    turn: RequestContext, c: Connection, datacenter_id: int | None, counts: dict[str, int]
) -> None:
    """All rules, of a datacenter or of everything, were replaced by so many of each kind."""
    where = "" if datacenter_id is None else f" of datacenter {datacenter_id}"
    await turn.tell(
        c,
        Event(
            "RULES",
            "APPLY",
            datacenter_id or 0,
            message=f"The rules{where} were replaced",
            details=counts,
        ),
    )


async def drop_about(turn: RequestContext, c: Connection, level: str, element_id: int) -> None:
    """The rules about an element that goes, go with it."""
    for one in await rules.about(c, level, element_id):
        await rules.drop(c, one.id)
        await tell_rule(turn, c, one, gone=True)


def _details(one: Rule) -> dict[str, Any]:
    said = {
        "cpuLoadPercentage": one.cpu_percent,
        "ramLoadPercentage": one.ram_percent,
        "storageLoadPercentage": one.storage_percent,
        "fitPolicy": one.fit_policy,
    }
    return {
        "rule": one.id,
        "kind": one.kind,
        "level": one.level,
        "element": [one.element_id, one.other_id] if one.other_id else one.element_id,
        "aggregated": one.aggregated,
        "packing": one.packing,
        **{name: value for name, value in said.items() if value is not None},
    }
