"""What libvirt's states and their reasons mean: a power state, why, and what leads out of it."""

from dataclasses import dataclass
from typing import Any

import libvirt

from drivers.facts import PowerState

_FOLDED = {
    libvirt.VIR_DOMAIN_RUNNING: PowerState.ON,
    libvirt.VIR_DOMAIN_BLOCKED: PowerState.ON,
    libvirt.VIR_DOMAIN_PAUSED: PowerState.PAUSED,
    libvirt.VIR_DOMAIN_PMSUSPENDED: PowerState.PAUSED,
    libvirt.VIR_DOMAIN_SHUTDOWN: PowerState.ON,  # shutting down: not off before it is
    libvirt.VIR_DOMAIN_SHUTOFF: PowerState.OFF,
    # QEMU is still there and holds the guest's memory and disks: it must be switched off.
    libvirt.VIR_DOMAIN_CRASHED: PowerState.PAUSED,
}
RUNNING = (libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_BLOCKED)

_RESUME, _OFF, _ON = "RESUME", "OFF", "ON"
_WAIT = "wait"
ASLEEP = "the guest is asleep (suspended to memory)"
_SAVED = "its memory is saved in a file of the host"
_POSTCOPY_FAILED = "a post-copy move failed midway, so memory is missing"
# Each state and reason of libvirt's enumerations that a person must know of, with what leads out
# of it; those that say no more than the power state does are in _PLAIN.
_TOLD = {
    "NOSTATE": {"UNKNOWN": ("libvirt does not know its state", _WAIT)},
    "RUNNING": {
        "POSTCOPY": ("its memory is still arriving, after a post-copy move", _WAIT),
        "POSTCOPY_FAILED": (_POSTCOPY_FAILED, _OFF),
    },
    "BLOCKED": {"UNKNOWN": ("it is blocked on a resource of the host", _OFF)},
    "PAUSED": {
        "UNKNOWN": ("libvirt does not say why", _RESUME),
        "MIGRATION": ("it is being moved", _WAIT),
        "SAVE": ("its memory is being saved", _WAIT),
        "DUMP": ("its memory is being dumped", _WAIT),
        "IOERROR": ("a disk failed (I/O error)", _RESUME),
        "WATCHDOG": ("its watchdog ran out", _RESUME),
        "FROM_SNAPSHOT": ("it was put back to a snapshot that was paused", _RESUME),
        "SHUTTING_DOWN": ("it is shutting down", _OFF),
        "SNAPSHOT": ("a snapshot is being made", _WAIT),
        "CRASHED": ("the guest crashed", _OFF),
        "STARTING_UP": ("it is being started", _WAIT),
        "POSTCOPY": ("it runs at the target of a post-copy move", _WAIT),
        "POSTCOPY_FAILED": (_POSTCOPY_FAILED, _OFF),
        "API_ERROR": ("an operation of the host failed and left it paused", _RESUME),
    },
    "SHUTDOWN": {
        "UNKNOWN": ("the guest is shutting down", _OFF),
        "USER": ("the guest is shutting down", _OFF),
    },
    "SHUTOFF": {
        "CRASHED": ("the guest or its QEMU crashed", _ON),
        "MIGRATED": ("it was moved to another host", _ON),
        "SAVED": (_SAVED, _ON),
        "FAILED": ("it failed to start", _ON),
        "DAEMON": ("libvirt ended it when it found it again", _ON),
    },
    "CRASHED": {
        "UNKNOWN": ("the guest crashed and QEMU holds what it left", _OFF),
        "PANICKED": ("the guest panicked and QEMU holds what it left", _OFF),
    },
    "PMSUSPENDED": {"UNKNOWN": (ASLEEP, _RESUME)},
}
_PLAIN = {
    "RUNNING": (
        *("UNKNOWN", "BOOTED", "MIGRATED", "RESTORED", "FROM_SNAPSHOT", "UNPAUSED"),
        *("MIGRATION_CANCELED", "SAVE_CANCELED", "WAKEUP", "CRASHED"),
    ),
    "PAUSED": ("USER",),
    "SHUTOFF": ("UNKNOWN", "SHUTDOWN", "DESTROYED", "FROM_SNAPSHOT"),
}
# Newer than the oldest libvirt that the bindings may be built for.
_NEWER = {"VIR_DOMAIN_PAUSED_API_ERROR": 14, "VIR_DOMAIN_RUNNING_POSTCOPY_FAILED": 11}


def _number(name: str) -> int:
    found = getattr(libvirt, name, None)
    return int(found) if found is not None else _NEWER[name]


_PLAIN_NUMBERS = {
    (_number(f"VIR_DOMAIN_{state}"), _number(f"VIR_DOMAIN_{state}_{reason}"))
    for state, reasons in _PLAIN.items()
    for reason in reasons
}
_TOLD_NUMBERS = {
    (_number(f"VIR_DOMAIN_{state}"), _number(f"VIR_DOMAIN_{state}_{reason}")): told
    for state, reasons in _TOLD.items()
    for reason, told in reasons.items()
}


@dataclass(frozen=True, slots=True)
class Condition:
    """How a domain stands: its power, why where that says more, and the request that leads out
    (`wait`: it ends by itself)."""

    power: PowerState
    reason: str = ""
    way_out: str = ""

    @property
    def sentence(self) -> str:
        """For errors: the power, why, and what to do."""
        why = f" ({self.reason})" if self.reason else ""
        ways = {"": "", _WAIT: "; it ends by itself"}
        return f"the VM is {self.power}{why}{ways.get(self.way_out, f'; {self.way_out} ends that')}"


def condition(state: int, reason: int, *, saved: bool = False) -> Condition:
    """What a state and its reason mean; `saved`: there is a saved image of its memory."""
    power = _FOLDED.get(state, PowerState.UNKNOWN)
    if saved and power is PowerState.OFF:
        return Condition(power, _SAVED, _ON)
    if is_moving(state, reason):
        power = PowerState.ON
    if (state, reason) in _PLAIN_NUMBERS:
        return Condition(power)
    unlisted = f"libvirt's state {state}, reason {reason}", _OFF
    return Condition(power, *_TOLD_NUMBERS.get((state, reason), unlisted))


def is_moving(state: int, reason: int) -> bool:
    """Whether it is paused by a move."""
    return (state, reason) == (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_MIGRATION)


def condition_of(domain: Any) -> Condition:
    """How a domain stands now."""
    state, reason = domain.state(0)
    saved = state == libvirt.VIR_DOMAIN_SHUTOFF and bool(domain.hasManagedSaveImage(0))
    return condition(state, reason, saved=saved)
