"""JSON from outside: decoded within limits of depth and size, or refused by the limit's name.

Every step is linear in the size of the text, and none recurses deeper than `DEPTH_MAX`.
"""

import json
from typing import Any

import msgspec

DEPTH_MAX = 32
"""Levels of arrays and objects."""
VALUES_MAX = 100_000
"""Values in arrays and objects."""
NAME_MAX = 128
"""Characters of a name or a path that a refusal repeats."""


class NullCharacter(ValueError):
    """A text holds a null character, which PostgreSQL stores nowhere; `field` is its path."""

    def __init__(self, field: str) -> None:
        super().__init__(f"{field}: a text holds a null character")
        self.field = field


def decode(raw: bytes, *, depth_max: int = DEPTH_MAX, values_max: int = VALUES_MAX) -> Any:
    """Return the value; raises ValueError, with a reason that repeats no more than names."""
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
        raise ValueError(f"{_doubled(raw)!r} is twice in an object")
    if b"\\u0000" in raw and (field := _null_at(value, "")) is not None:
        raise NullCharacter(field)
    return value


def _doubled(raw: bytes) -> str:
    """Return the name that an object has twice."""
    found: list[str] = []

    def once(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                found.append(name)
            seen.add(name)

    json.loads(raw, object_pairs_hook=once)
    return found[0][:NAME_MAX] if found else "a name"


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


def _null_at(value: object, path: str) -> str | None:
    """Return the path of the first text with a null character, None without one."""
    match value:
        case str():
            return _shown(path) if "\x00" in value else None
        case dict():
            for name, each in value.items():
                if "\x00" in name:
                    return _shown(f"{path}.{name}" if path else name)
                found = _null_at(each, f"{path}.{name}" if path else name)
                if found is not None:
                    return found
        case list():
            for n, each in enumerate(value):
                found = _null_at(each, f"{path}[{n}]")
                if found is not None:
                    return found
    return None


def _shown(path: str) -> str:
    plain = "".join(each if each.isprintable() else "?" for each in path) or "the body"
    return plain if len(plain) <= NAME_MAX else f"{plain[:NAME_MAX]}..."
