"""The six faults a driver may raise; the saga executor's policy is one match over them."""

from collections.abc import Iterator
from contextlib import contextmanager

from drivers.addresses import AddressError

SAID_MAX = 500


class Fault(Exception):
    """A hypervisor did not do what was asked.

    `message` is one sentence for people, free of secrets; `host` names the place, when known.
    """

    def __init__(self, message: str, *, host: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.host = host


class Unreachable(Fault):
    """The call certainly did not begin, because nobody answered: try again."""


class Busy(Fault):
    """The hypervisor, or our lane to it, is full right now: try again later."""


class Rejected(Fault):
    """The hypervisor said no and did nothing that lasts: undo.

    `no_capacity`: for want of capacity there and now, so that another place may say yes.
    """

    def __init__(self, message: str, *, host: str | None = None, no_capacity: bool = False) -> None:
        super().__init__(message, host=host)
        self.no_capacity = no_capacity


class Missing(Fault):
    """The thing to act on was positively seen not to be there: undo, or already done."""


class Unsupported(Fault):
    """The driver's capabilities promised what it cannot do: a bug of ours."""


class Indeterminate(Fault):
    """Nobody knows whether the call happened: look first, never repeat blindly."""


def said_of(trouble: Exception) -> str:
    """One sentence for people about what a driver raised, foreseen or not."""
    if isinstance(trouble, Fault | AddressError):
        return str(trouble)
    return f"the driver failed: {type(trouble).__name__}: {trouble}"[:SAID_MAX]


@contextmanager
def begun() -> Iterator[None]:
    """Inside, a call has begun: that nobody answers now does not say that nothing happened."""
    try:
        yield
    except (Unreachable, Busy) as blind:
        raise Indeterminate(blind.message, host=blind.host) from blind
