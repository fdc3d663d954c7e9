"""What the watch hears becomes state changes: the difference between what was and what is.

So a full listing after the connection was lost tells what happened meanwhile, as single reports
would have.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from drivers.changes import Change, StateChange

Named = Callable[[str], str | None]
"""A host's own name by what the vCenter calls it; None when it is not ours."""
_POWER = {
    "poweredOn": Change.STARTED,
    "poweredOff": Change.STOPPED,
    "suspended": Change.PAUSED,
}


@dataclass(frozen=True, slots=True)
class Known:
    """A VM, or a host, as last heard of: `host` is what the vCenter calls it, or that it is on."""

    host: str
    state: str
    vm: UUID | None = None


Told = tuple[str, Change, UUID | None]
"""What happened to which VM, and what the vCenter calls the host."""


class VcenterState:
    """What is known of one vCenter; used by the watch's thread alone."""

    def __init__(self, endpoint: str, named: Named) -> None:
        self._endpoint = endpoint
        self._named = named
        self._values: dict[str, dict[str, Any]] = {}
        self._known: dict[str, Known] = {}
        self._touched: set[str] = set()

    def forget(self) -> None:
        """A full listing follows; what was known stays, to be compared with."""
        self._values = {}
        self._touched = set(self._known)

    def hear(self, id_: str, values: Mapping[str, Any]) -> None:
        """Some of an object's properties."""
        self._values.setdefault(id_, {}).update(values)
        self._touched.add(id_)

    def left(self, id_: str) -> None:
        """An object is gone."""
        self._values.pop(id_, None)
        self._touched.add(id_)

    def changes(self, *, silent: bool = False) -> list[StateChange]:
        """What is otherwise than at the last call; nothing when `silent`."""
        told = [each for id_ in sorted(self._touched) for each in self._moved(id_)]
        self._touched = set()
        now = datetime.now(UTC)
        named = [(self._named(host), what, vm) for host, what, vm in told if not silent]
        return [
            StateChange(self._endpoint, host, what, now, vm)
            for host, what, vm in named
            if host is not None
        ]

    def about_us(self, what: Change) -> StateChange:
        """A report of the connection itself."""
        return StateChange(self._endpoint, "", what, datetime.now(UTC))

    def _moved(self, id_: str) -> Iterator[Told]:
        was, is_ = self._known.pop(id_, None), self._now(id_)
        if is_ is not None:
            self._known[id_] = is_
        if was is not None and is_ is not None:
            yield from _compared(was, is_)
        elif is_ is not None and is_.vm is not None:
            yield is_.host, Change.DEFINED, is_.vm
            if is_.state == "poweredOn":  # it was made and started between two reports
                yield is_.host, Change.STARTED, is_.vm
        elif was is not None and was.vm is not None:
            yield was.host, Change.UNDEFINED, was.vm

    def _now(self, id_: str) -> Known | None:
        values = self._values.get(id_, {})
        if "runtime.connectionState" in values:
            return Known(str(values.get("name")), str(values["runtime.connectionState"]))
        host, vm = values.get("runtime.host"), values.get("config.instanceUuid")
        if host is None or not vm:
            return None
        name = str(self._values.get(host._moId, {}).get("name"))
        return Known(name, str(values.get("runtime.powerState")), UUID(vm))


def _compared(was: Known, is_: Known) -> Iterator[Told]:
    if is_.vm is None:
        if was.state != is_.state:
            yield is_.host, Change.REGAINED if is_.state == "connected" else Change.LOST, None
        return
    if was.host != is_.host:
        yield was.host, Change.DEPARTED, is_.vm
        yield is_.host, Change.ARRIVED, is_.vm
    word = _POWER.get(is_.state)
    if was.state != is_.state and word is not None:
        resumed = was.state == "suspended" and word is Change.STARTED
        yield is_.host, Change.RESUMED if resumed else word, is_.vm
