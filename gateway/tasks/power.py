"""Power operations, reset and redeploy: one call, and the state that was seen after it."""

from collections.abc import Mapping

from drivers.contract import Order, Outcome, Power, PowerRequest, Redeploy, Reset
from gateway.lifecycle import Operation
from gateway.store.pool import Connection
from gateway.tasks.steps import Behaviour, Call, Situation, place_of, record_seen
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
        release=bool(payload.get("release", False)),
    )


def _reset(at: Situation) -> Order:
    return Reset(at.vm.uuid, place_of(at.vm).host)


def _redeploy(at: Situation) -> Order:
    return Redeploy(at.vm.uuid, place_of(at.vm).host)


async def _changed(c: Connection, at: Situation, outcome: Outcome) -> None:
    await record_seen(c, at, outcome, EXPECTED[at.task.operation])


POWER: Mapping[str, Behaviour] = {"power": Call(_order, _changed)}
RESET: Mapping[str, Behaviour] = {"reset": Call(_reset)}
REDEPLOY: Mapping[str, Behaviour] = {"redeploy": Call(_redeploy)}
