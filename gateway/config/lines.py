"""Which line of a TOML text a path such as `$.users[1].login` is about."""

import re
import tomllib
from collections import Counter

_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"""^\s*("[^"]*"|'[^']*'|[A-Za-z0-9_-]+(?:\s*\.\s*[A-Za-z0-9_-]+)*)\s*=""")
_STEP = re.compile(r"\.([A-Za-z0-9_-]+)|\[(\d+)\]|\[\.\.\.\]")


def line_of(text: str, path: str) -> int | None:
    """The number (from 1) of the line with the longest beginning of `path`; None for none."""
    wanted = _steps(path)
    best, found = 0, None
    for number, here in _walk(text):
        length = len(here)
        if length > best and here == wanted[:length]:
            best, found = length, number
    return found


def _steps(path: str) -> tuple[str | int, ...]:
    return tuple(
        name or int(index) for name, index in _STEP.findall(path.removeprefix("$")) if name or index
    )


def _walk(text: str) -> list[tuple[int, tuple[str | int, ...]]]:
    """Each line that opens a table or sets a key, with the path it is about."""
    seen: Counter[tuple[str | int, ...]] = Counter()
    table: tuple[str | int, ...] = ()
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        header = _HEADER.match(line)
        if header:
            table = _table(header[2], header[1] == "[[", seen)
            found.append((number, table))
            continue
        key = _KEY.match(line)
        if key:
            found.append((number, (*table, *_names(key[1]))))
    return found


def _table(name: str, several: bool, seen: Counter[tuple[str | int, ...]]) -> tuple[str | int, ...]:
    """The path of a header; inside arrays of tables the last element is meant."""
    path: tuple[str | int, ...] = ()
    names = _names(name)
    for n, part in enumerate(names):
        path = (*path, part)
        if several and n == len(names) - 1:
            seen[path] += 1
        if seen[path]:
            path = (*path, seen[path] - 1)
    return path


def _names(dotted: str) -> list[str]:
    try:
        value = tomllib.loads(f"{dotted} = 0")
    except tomllib.TOMLDecodeError:
        return [dotted]
    names = []
    while isinstance(value, dict):
        name, value = next(iter(value.items()))
        names.append(name)
    return names
