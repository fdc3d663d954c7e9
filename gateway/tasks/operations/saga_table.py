"""Which behaviour each step of each saga has: the table the executor looks things up in."""

from collections.abc import Mapping

from gateway.lifecycle import Operation
from gateway.tasks.operations.deploy import DEPLOY, UNDEPLOY
from gateway.tasks.operations.power import POWER, REDEPLOY, RESET
from gateway.tasks.operations.reconfigure import RECONFIGURE
from gateway.tasks.operations.relocate import RELOCATE
from gateway.tasks.step_actions import Behaviour

BEHAVIOURS: Mapping[Operation, Mapping[str, Behaviour]] = {
    Operation.DEPLOY: DEPLOY,
    Operation.UNDEPLOY: UNDEPLOY,
    Operation.RECONFIGURE: RECONFIGURE,
    Operation.RELOCATE: RELOCATE,
    Operation.RESET: RESET,
    Operation.REDEPLOY: REDEPLOY,
    Operation.POWER_ON: POWER,
    Operation.POWER_OFF: POWER,
    Operation.SHUTDOWN: POWER,
    Operation.PAUSE: POWER,
    Operation.RESUME: POWER,
}
