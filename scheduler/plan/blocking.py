"""Why a VM stays although it should move, from what the rulebook said of every host."""

from scheduler.explanation import summary
from scheduler.placement import Refusal
from scheduler.plan.moves import Blocked
from scheduler.plan.resident import Resident
from scheduler.reason import Lack
from scheduler.values import replace

NO_OTHER_HOST = "NO_OTHER_HOST"


def blocked_by(resident: Resident, refusal: Refusal) -> Blocked:
    """Every kind of lack that some other host has, in the order of the kinds."""
    others = replace(
        refusal,
        verdicts=tuple(each for each in refusal.verdicts if each.host != resident.host),
        patterns=tuple(each for each in refusal.patterns if Lack.SAME_HOST not in each[0]),
    )
    lacks = {lack for pattern, _ in others.patterns for lack in pattern}
    reasons = tuple(lack.value for lack in Lack if lack in lacks)
    return Blocked(resident.vm, resident.host, reasons or (NO_OTHER_HOST,), summary(others))
