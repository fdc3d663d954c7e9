"""Azure reports nothing by itself: what two surveys show otherwise, and what we did, is told."""

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

from drivers.changes import Change, StateChange
from drivers.facts import Facts, PowerState

_WORDS = {PowerState.ON: Change.STARTED, PowerState.OFF: Change.STOPPED}


class StateChangeFeed:
    """What is known of each VM; `told` is called with what is new."""

    def __init__(self, endpoint: str, told: Callable[[StateChange], None]) -> None:
        self._endpoint = endpoint
        self._told = told
        self._known: dict[UUID, tuple[str, PowerState]] | None = None

    def surveyed(self, facts: Facts) -> None:
        """Compare with what was known; the first survey is no news."""
        now = {vm.vm: (vm.host, vm.state) for vm in facts.vms}
        before, self._known = self._known, now
        if before is None:
            return
        for vm, (host, state) in now.items():
            if vm not in before:
                self._tell(vm, host, Change.DEFINED)
            elif state in _WORDS and before[vm][1] is not state:
                self._tell(vm, host, _WORDS[state])
        for vm in before.keys() - now.keys():
            self._tell(vm, before[vm][0], Change.UNDEFINED)

    def became(self, vm: UUID, host: str, state: PowerState) -> None:
        """Something that we did has ended well."""
        if self._known is not None:
            self._known[vm] = (host, state)
        self._tell(vm, host, _WORDS[state])

    def _tell(self, vm: UUID, host: str, what: Change) -> None:
        self._told(StateChange(self._endpoint, host, what, datetime.now(UTC), vm))
