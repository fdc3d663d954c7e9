"""What Azure's words for a VM's power and provisioning mean: one of our states, and why.

Each reason begins with words of ours that name no place, and say what leaves the state where that
is not the opposite power action; Azure's own words come after a colon. A word that is not known
here is no state: nothing is concluded from it.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from drivers.facts import PowerState

POWER: Mapping[str, tuple[PowerState, str]] = {
    "running": (PowerState.ON, ""),
    "starting": (PowerState.ON, "it is being started"),
    "stopping": (PowerState.ON, "it is being stopped"),
    "deallocating": (PowerState.ON, "it is being stopped, and gives its compute back"),
    "stopped": (PowerState.OFF, ""),
    "deallocated": (PowerState.OFF, ""),
    "creating": (PowerState.UNKNOWN, "it is being made"),
    "unknown": (PowerState.UNKNOWN, "the hypervisor does not know whether it runs"),
}
CHANGING = ("starting", "stopping", "deallocating")
FAILED, NEVER_MADE = "its last change failed", "its making failed"
PROVISIONING: Mapping[str, str] = {
    "succeeded": "",
    "creating": "it is being made",
    "updating": "it is being changed",
    "deleting": "it is being deleted",
    "migrating": "it is being moved",
    "failed": FAILED,
    "canceled": "its last change was cancelled",
}
BUSY = ("creating", "updating", "deleting", "migrating")
NOTES: Mapping[str, str] = {
    "hibernationstate/hibernated": "its memory is saved: power it on to go on with it",
    "osstate/generalized": "it is generalized and cannot start: undeploy it",
}
UNSAID = "the hypervisor does not say whether it runs"
UNNAMED = "its state is not known to this version"
SAID_MAX = 300


def power_of(word: str) -> PowerState:
    """A state of ours for Azure's word, which is empty where it said none."""
    return POWER.get(word, (PowerState.UNKNOWN, ""))[0]


def reason_of(power: str, provisioning: str, statuses: Iterable[Mapping[str, Any]]) -> str:
    """Why a VM is in its state; empty where the state says it all."""
    listed = list(statuses)
    told = _of_power(power), _of_provisioning(provisioning, listed, made=bool(power))
    notes = [NOTES.get(str(each.get("code", "")).lower(), "") for each in listed]
    found = list(dict.fromkeys(filter(None, (*told, *notes))))
    if not found and power_of(power) is PowerState.UNKNOWN:
        return UNSAID
    return "; ".join(found)


def _of_power(word: str) -> str:
    if not word:
        return ""
    return POWER[word][1] if word in POWER else f"{UNNAMED}: {word[:SAID_MAX]}"


def _of_provisioning(word: str, statuses: list[Mapping[str, Any]], *, made: bool) -> str:
    if not word:
        return ""
    told = PROVISIONING.get(word)
    if told is None:
        return f"{UNNAMED}: {word[:SAID_MAX]}"
    if told != FAILED:
        return told
    said = _why_failed(statuses)
    first = FAILED if made else NEVER_MADE
    return f"{first}: {said}" if said else first


def _why_failed(statuses: list[Mapping[str, Any]]) -> str:
    """The error code of ProvisioningState/failed/CODE, with the message beside it."""
    for each in statuses:
        state, _, code = str(each.get("code", "")).partition("/")[2].partition("/")
        if state.lower() == "failed" and str(each["code"]).lower().startswith("provisioningstate/"):
            lines = str(each.get("message") or "").strip().splitlines()
            return ": ".join(filter(None, (code, lines[0] if lines else "")))[:SAID_MAX]
    return ""
