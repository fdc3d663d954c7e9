"""Every error of a call times every place where the VM may really be then; the same for any rig.

`KINDS` are the names that a driver may give an error: each fault, one of no kind, a bug. `LATE`
errors come after the call had its effect. A `Truth` is where the VM really is afterwards.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from drivers.contract import Permit
from drivers.faults import Fault, Rejected
from gateway.store.db.pool import Store

PLANNED = "planned by the test"
_VERBS = ("deploy", "power", "reset", "reconfigure", "relocate", "remove", "clear")

KINDS = (
    "Rejected",
    "NoCapacity",
    "Missing",
    "Unsupported",
    "Unreachable",
    "Busy",
    "Indeterminate",
    "Fault",
    "Bug",
)
LASTING = ("Rejected", "NoCapacity", "Missing", "Unsupported")
"""After these nothing is tried again."""
LATE = (False, True)


@dataclass(frozen=True, slots=True)
class Truth:
    """How the world really is after a call: `source`, `target` and `third` say of these hosts
    that the VM is `on`, `off` (defined and not running) or not there (empty).

    It must be recorded on `lives`, one of those words, or nowhere for sure (empty); `moved` tells
    whether the task must succeed, None where a retry may bring that about.
    """

    source: str = ""
    target: str = ""
    third: str = ""
    lives: str = ""
    moved: bool | None = False


MOVES = {
    "moved": Truth(target="on", lives="target", moved=True),
    "moved, source not undefined": Truth(source="off", target="on", lives="target", moved=True),
    "not moved": Truth(source="on", lives="source", moved=None),
    "not moved, target defined": Truth(source="on", target="off", lives="source"),
    "stopped, on both": Truth(source="off", target="off", lives="source"),
    "runs on both": Truth(source="on", target="on"),
    "nowhere": Truth(),
    "moved by somebody else": Truth(third="on", lives="third"),
}


def kept(truth: Truth) -> Sequence[str]:
    """The hosts whose copies nobody may delete, as nobody knows which counts."""
    running = [each for each in ("source", "target", "third") if getattr(truth, each) == "on"]
    return running if len(running) > 1 else ()


async def places(store: Store, vm: int) -> dict[str, Any]:
    """A VM's state, its host on record, the hosts that it is booked on, and its open tasks."""
    async with store.read() as c:
        row = await c.fetchrow(
            """select v.state, v.seen, h.name host,
                 (select array_agg(b.name order by b.name) from booking x
                  join host b on b.id = x.host_id where x.vm_id = v.id) booked,
                 (select count(*) from task t where t.vm_id = v.id and t.state <> 'done') open
               from vm v left join host h on h.id = v.host_id where v.id = $1""",
            vm,
        )
    assert row is not None
    return dict(row)


async def told(store: Store, action: str) -> list[dict[str, Any]]:
    """The events of that action."""
    async with store.read() as c:
        rows = await c.fetch(
            """select payload from feed where topic = 'event' and payload->>'action' = $1
               union all
               select payload from outbox where topic = 'event' and payload->>'action' = $1""",
            action,
        )
    return [row["payload"] for row in rows]


@dataclass(frozen=True, slots=True)
class Plan:
    """The next call of `verb` for a VM ends in an error of `kind`, after `act` brought about what
    is really so; before that it is carried out where `late`. It does so again where it `lasts`."""

    verb: str
    kind: str
    act: Callable[[], Awaitable[None]]
    late: bool = False
    lasts: bool = False


class Erring:
    """A driver whose calls end as planned for their VM."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        self.plans: dict[UUID, Plan] = {}

    def __getattr__(self, name: str) -> Any:
        inner = getattr(self._driver, name)
        if name not in _VERBS:
            return inner

        async def verb(permit: Permit, order: Any) -> None:
            vm = order.spec.vm if hasattr(order, "spec") else order.vm
            plan = self.plans.get(vm)
            if plan is None or plan.verb != name:
                return await inner(permit, order)
            if not plan.lasts:
                del self.plans[vm]
            if plan.late:
                await inner(permit, order)
            await plan.act()
            raise error(plan.kind)

        return verb


def error(kind: str) -> Exception:
    """The error of that kind."""
    if kind == "Bug":
        return RuntimeError(PLANNED)
    if kind == "NoCapacity":
        return Rejected(PLANNED, no_capacity=True)
    kinds: dict[str, type[Fault]] = {each.__name__: each for each in Fault.__subclasses__()}
    return kinds.get(kind, Fault)(PLANNED)
