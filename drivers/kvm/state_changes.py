"""libvirt's lifecycle events become state changes."""

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

import libvirt

from drivers.changes import Change, StateChange, StateChangeStream
from drivers.kvm.connection import Heard

_WORDS = {
    libvirt.VIR_DOMAIN_EVENT_DEFINED: Change.DEFINED,
    libvirt.VIR_DOMAIN_EVENT_UNDEFINED: Change.UNDEFINED,
    libvirt.VIR_DOMAIN_EVENT_STARTED: Change.STARTED,
    libvirt.VIR_DOMAIN_EVENT_SUSPENDED: Change.PAUSED,
    libvirt.VIR_DOMAIN_EVENT_RESUMED: Change.RESUMED,
    libvirt.VIR_DOMAIN_EVENT_STOPPED: Change.STOPPED,
    libvirt.VIR_DOMAIN_EVENT_SHUTDOWN: Change.STOPPED,
    libvirt.VIR_DOMAIN_EVENT_PMSUSPENDED: Change.PAUSED,
    libvirt.VIR_DOMAIN_EVENT_CRASHED: Change.CRASHED,
}
# A VM that stops because it was moved away was not powered off.
_MOVES = {
    (libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_MIGRATED): Change.DEPARTED,
    (libvirt.VIR_DOMAIN_EVENT_STARTED, libvirt.VIR_DOMAIN_EVENT_STARTED_MIGRATED): Change.ARRIVED,
    (libvirt.VIR_DOMAIN_EVENT_STOPPED, libvirt.VIR_DOMAIN_EVENT_STOPPED_FAILED): Change.CRASHED,
}


def listeners(changes: StateChangeStream, host: str) -> tuple[Heard, Callable[[], None]]:
    """What one host's connection calls, from libvirt's thread."""

    def heard(vm: str, event: int, detail: int) -> None:
        word = _MOVES.get((event, detail)) or _WORDS.get(event)
        if word is not None:
            changes.put(StateChange(host, host, word, datetime.now(UTC), UUID(vm)))

    def lost() -> None:
        changes.put(StateChange(host, host, Change.LOST, datetime.now(UTC)))

    return heard, lost
