"""Power operations and reset: one call, and the state that was seen after it."""

from collections.abc import Mapping

from drivers.contract import Order, Outcome, Power, PowerRequest, Reset
from gateway.lifecycle import Operation
from gateway.store import vm_record
from gateway.store.pool import Connection
from gateway.tasks.steps import Behaviour, Call, Situation, place_of, seen_by, state_seen
from gateway.tasks.words import EXPECTED

GRACE_S = 120.0
"""How long a guest may take to shut down when the caller names no time."""

_REQUESTS = {
    Operation.POWER_ON: PowerRequest.ON,
    Operation.POWER_OFF: PowerRequest.OFF,
    Operation.SHUTDOWN: PowerRequest.SHUTDOWN,
    Operation.PAUSE: PowerRequest.PAUSE,
    Operation.RESUME: PowerRequest.RESUME,
}


def _order(at: Situation) -> Order:
    payload = at.task.payload
    return Power(
        at.vm.uuid,
        place_of(at.vm).host,
        _REQUESTS[at.task.operation],
        grace_s=float(payload.get("grace_s") or GRACE_S),
        force=bool(payload.get("force", False)),
    )


def _reset(at: Situation) -> Order:
    return Reset(at.vm.uuid, place_of(at.vm).host)


async def _changed(c: Connection, at: Situation, outcome: Outcome) -> None:
    state = state_seen(outcome, EXPECTED[at.task.operation])
    await vm_record.record_state(c, at.vm.id, state, seen_by(at, outcome))


POWER: Mapping[str, Behaviour] = {"power": Call(_order, _changed)}
RESET: Mapping[str, Behaviour] = {"reset": Call(_reset)}
