"""JSON from outside: decoded within limits of depth and size, or refused by the limit's name.

Every step is linear in the size of the text, and none recurses deeper than `DEPTH_MAX`.
"""

from typing import Any

import msgspec

DEPTH_MAX = 32
"""Levels of arrays and objects."""
VALUES_MAX = 100_000
"""Values in arrays and objects."""


def decode(raw: bytes, *, depth_max: int = DEPTH_MAX, values_max: int = VALUES_MAX) -> Any:
    """Return the value; raises ValueError with a reason that does not repeat the text."""
    if raw.count(b",") >= values_max and _outside_strings(raw).count(b",") >= values_max:
        raise ValueError(f"it has more than {values_max} values")
    try:
        value = msgspec.json.decode(raw)
    except UnicodeDecodeError as wrong:
        raise ValueError("it is not UTF-8 text") from wrong
    except RecursionError as wrong:
        raise ValueError(f"it nests deeper than {depth_max} levels") from wrong
    members = _count_members(value, depth_max)
    if raw.count(b":") != members and _outside_strings(raw).count(b":") != members:
        raise ValueError("an object has the same key twice")
    if b"\\u0000" in raw and _has_null(value):
        raise ValueError("a text holds a null character")
    return value


def _outside_strings(raw: bytes) -> bytes:
    """Valid JSON without its strings: escaped characters first, then what is between quotes."""
    unescaped = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    return b"".join(unescaped.split(b'"')[::2])


def _count_members(value: object, depth_max: int) -> int:
    """Count the members of all objects, level by level."""
    level = [value] if isinstance(value, dict | list) else []
    members = depth = 0
    while level:
        depth += 1
        if depth > depth_max:
            raise ValueError(f"it nests deeper than {depth_max} levels")
        below: list[object] = []
        for each in level:
            if isinstance(each, dict):
                members += len(each)
                below.extend(each.values())
            elif isinstance(each, list):
                below.extend(each)
        level = [each for each in below if isinstance(each, dict | list)]
    return members


def _has_null(value: object) -> bool:
    match value:
        case str():
            return "\x00" in value
        case dict():
            return any("\x00" in name or _has_null(each) for name, each in value.items())
        case list():
            return any(_has_null(each) for each in value)
        case _:
            return False
