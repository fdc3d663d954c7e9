"""Why a VM stays although it should move, from what the rulebook said of every host."""

from scheduler.decisions.explanation import summary
from scheduler.model.placement import Refusal
from scheduler.model.reason import ReasonCode
from scheduler.model.values import replace
from scheduler.plan.moves import Blocked
from scheduler.plan.resident import MovableVm

NO_OTHER_HOST = "NO_OTHER_HOST"


def blocked_by(resident: MovableVm, refusal: Refusal) -> Blocked:
    """Every kind of lack that some other host has, in the order of the kinds."""
    others = replace(
        refusal,
        verdicts=tuple(each for each in refusal.verdicts if each.host != resident.host),
        patterns=tuple(each for each in refusal.patterns if ReasonCode.SAME_HOST not in each[0]),
    )
    lacks = {lack for pattern, _ in others.patterns for lack in pattern}
    reasons = tuple(lack.value for lack in ReasonCode if lack in lacks)
    return Blocked(resident.vm, resident.host, reasons or (NO_OTHER_HOST,), summary(others))
