"""Power operations, reset and redeploy: one call, and the state that was seen after it."""

from collections.abc import Mapping

from drivers.contract import Order, Outcome, Power, PowerRequest, Redeploy, Reset
from gateway.lifecycle import Operation
from gateway.store.db.pool import Connection
from gateway.tasks.labels import EXPECTED
from gateway.tasks.step_actions import Behaviour, CallStep, StepContext, place_of, record_seen

GRACE_S = 120.0
"""How long a guest may take to shut down when the caller names no time."""

_REQUESTS = {
    Operation.POWER_ON: PowerRequest.ON,
    Operation.POWER_OFF: PowerRequest.OFF,
    Operation.SHUTDOWN: PowerRequest.SHUTDOWN,
    Operation.PAUSE: PowerRequest.PAUSE,
    Operation.RESUME: PowerRequest.RESUME,
}


def _order(at: StepContext) -> Order:
    payload = at.task.payload
    return Power(
        at.vm.uuid,
        place_of(at.vm).host,
        _REQUESTS[at.task.operation],
        grace_s=float(payload.get("grace_s") or GRACE_S),
        force=bool(payload.get("force", False)),
        release=bool(payload.get("release", False)),
    )


def _reset(at: StepContext) -> Order:
    return Reset(at.vm.uuid, place_of(at.vm).host)


def _redeploy(at: StepContext) -> Order:
    return Redeploy(at.vm.uuid, place_of(at.vm).host)


async def _changed(c: Connection, at: StepContext, outcome: Outcome) -> None:
    await record_seen(c, at, outcome, EXPECTED[at.task.operation])


POWER: Mapping[str, Behaviour] = {"power": CallStep(_order, _changed)}
RESET: Mapping[str, Behaviour] = {"reset": CallStep(_reset)}
REDEPLOY: Mapping[str, Behaviour] = {"redeploy": CallStep(_redeploy)}
