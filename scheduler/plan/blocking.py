"""Why a VM stays although it should move, from what the rulebook said of every host."""

from scheduler.explanation import summary
from scheduler.placement import Refusal
from scheduler.plan.moves import Blocked
from scheduler.plan.resident import Resident
from scheduler.reason import Lack


def blocked_by(resident: Resident, refusal: Refusal) -> Blocked:
    """Every kind of lack that some host has, in the order of the kinds."""
    lacks = {reason.lack for each in refusal.verdicts for reason in each.reasons}
    reasons = tuple(lack.value for lack in Lack if lack in lacks and lack is not Lack.SAME_HOST)
    return Blocked(resident.vm, resident.host, reasons, summary(refusal))
