"""What a query may hold: each route declares its parameters, and what is not declared is refused.

A parameter that is passed over in silence gives its caller the wrong answer, or the wrong effect.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from uuid import UUID

from aiohttp import web

from gateway.denial import ApiError, ErrorKind

TEXT_MAX = 1024
NUMBER_MAX = 2**31 - 1
POSITION_MAX = 2**63 - 1
_DIGITS = re.compile(r"[0-9]{1,19}")
_NEAR = 0.6
"""How alike two names are, from 0 to 1, for one to be taken for the other misspelt."""

Check = Callable[[str], str | None]
"""What is wrong with a value, as `is needed` says it; None for nothing."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a query, and what its value must be."""

    name: str
    check: Check


def text(name: str) -> Parameter:
    """A text that is not empty and holds no control character."""
    return Parameter(name, _text)


def number(name: str, most: int = NUMBER_MAX, least: int = 0) -> Parameter:
    """A whole number."""

    def check(given: str) -> str | None:
        right = given.isascii() and _DIGITS.fullmatch(given) and least <= int(given) <= most
        return None if right else f"a number from {least} to {most} is needed"

    return Parameter(name, check)


def flag(name: str) -> Parameter:
    """True or false."""
    return one_of(name, ("true", "false"), folded=True)


def one_of(name: str, values: Iterable[str], *, folded: bool = False) -> Parameter:
    """One of these words; in any case of letters when `folded`."""
    known = tuple(values)

    def check(given: str) -> str | None:
        right = (given.lower() if folded else given) in known
        return None if right else f"one of {', '.join(known)} is needed"

    return Parameter(name, check)


def only(name: str, value: str) -> Parameter:
    """A parameter of Abiquo's of which only one value means what is done here."""

    def check(given: str) -> str | None:
        return None if given == value else f"only {value} is offered"

    return Parameter(name, check)


def moment(name: str) -> Parameter:
    """Milliseconds since 1970, or a time of RFC 3339 with its offset."""

    def check(given: str) -> str | None:
        try:
            moment_of(given)
        except ValueError:
            return "milliseconds, or an RFC 3339 time with its offset, are needed"
        return None

    return Parameter(name, check)


def moment_of(given: str) -> datetime:
    """The time that a query says; raises ValueError for what is none."""
    try:
        if given.isascii() and _DIGITS.fullmatch(given):
            return datetime.fromtimestamp(int(given) / 1000, UTC)
        found = datetime.fromisoformat(given.replace(" ", "+"))
        found.astimezone(UTC)
    except (OverflowError, OSError) as beyond:
        raise ValueError(given) from beyond
    if found.tzinfo is None:
        raise ValueError(given)
    return found


def id_of_vm(name: str) -> Parameter:
    """The number of something, or its uuid."""

    def check(given: str) -> str | None:
        if given.isascii() and re.fullmatch(r"[0-9]{1,18}", given):
            return None
        return _uuid(given)

    return Parameter(name, check)


def uuid(name: str) -> Parameter:
    """An id of the form of a uuid."""
    return Parameter(name, _uuid)


def near(name: str, known: Iterable[str]) -> str:
    """The known name that was probably meant, as the end of a sentence; empty for none."""
    by_lower = {each.lower(): each for each in known}
    found = get_close_matches(name.lower(), by_lower, n=1, cutoff=_NEAR)
    return f"; did you mean {by_lower[found[0]]}?" if found else ""


def require_declared(request: web.Request, declared: Sequence[Parameter]) -> None:
    """ApiError 400, naming it, for the first parameter that is not declared, comes twice, or has a
    value that it cannot have."""
    by_name = {each.name: each for each in declared}
    for name in dict.fromkeys(request.query):
        parameter = by_name.get(name)
        if parameter is None:
            takes = f"it takes {', '.join(sorted(by_name))}" if by_name else "it takes none"
            meant = near(name, by_name)
            raise _wrong(name, f"this request has no such query parameter{meant or '; ' + takes}")
        values = request.query.getall(name)
        if len(values) > 1:
            raise _wrong(name, "it may be given once only")
        said = parameter.check(values[0])
        if said is not None:
            raise _wrong(name, said)


def _wrong(name: str, message: str) -> ApiError:
    shown = name if len(name) <= 64 else f"{name[:64]}..."
    return ApiError(ErrorKind.INVALID, "400-BAD-REQUEST", f"{shown}: {message}", field=shown)


def _text(given: str) -> str | None:
    if not given:
        return "a text is needed; leave it out for none"
    if len(given) > TEXT_MAX:
        return f"at most {TEXT_MAX} characters are allowed"
    if any(ord(char) < 32 or 127 <= ord(char) < 160 for char in given):
        return "control characters are not allowed"
    return None


def _uuid(given: str) -> str | None:
    try:
        UUID(given)
    except ValueError:
        return "an id is needed"
    return None
