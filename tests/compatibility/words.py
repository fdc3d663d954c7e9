"""The words that are recorded: which a store holds, which the source has, and the configuration's.

Each is one line, so that a list can be read and compared. A word may be added; one that was
recorded must stay.
"""

import re
import types
import typing
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from gateway.config.model import Config
from gateway.store.db.migrate import load
from scheduler.decisions.decision import decode, to_mapping
from tests.compatibility.saved import Rows

ROOT = Path(__file__).parents[2]
_WORDS = {
    "task": ("kind", "state", "result"),
    "job": ("type", "state", "rollback_state"),
    "journal": ("step", "entry"),
    "feed": ("topic", "entity"),
    "decision": ("kind", "outcome", "scheduler"),
    "vm": ("state", "known_state", "type"),
    "ledger": ("kind",),
    "plan": ("kind", "state"),
    "plan_move": ("state",),
    "rule": ("kind", "level"),
}
"""Columns whose values are words."""
_EVENT_WORDS = ("action", "severity", "type")
_DYNAMIC = re.compile(r"[0-9]+|[0-9a-f]{8}-[0-9a-f-]{27}|.* .*|.*:.*")
"""Keys that name one thing: a number, a UUID, a text."""
_CODE = re.compile(r'"([A-Z]+(?:-[A-Z]+)*-[0-9]+|[0-9]{3}-[A-Z-]+)"')
_UPPER = re.compile(r'"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*)"')
_METRIC = re.compile(r"vmgate_[a-z0-9_]+")


def of_rows(rows: Rows) -> list[str]:
    """Return the words that a store holds: names of columns are not among them."""
    found: set[str] = set()
    for table, some in rows.items():
        for row in some:
            for column in _WORDS.get(table, ()):
                found.add(f"{table}.{column} = {row[column]}")
            for column, value in row.items():
                if isinstance(value, dict | list):
                    found.update(f"{table}.{column}{path}" for path in paths(value))
        if table == "feed":
            found.update(_of_events(some))
        if table == "decision":
            for row in some:
                body = to_mapping(decode(bytes.fromhex(row["body"][2:])))
                found.update(f"decision.body{path}" for path in paths(body))
    return sorted(found)


def _of_events(some: list[dict[str, Any]]) -> Iterator[str]:
    for row in some:
        if row["topic"] == "event":
            for name in _EVENT_WORDS:
                if name in row["payload"]:
                    yield f"event {name} = {row['payload'][name]}"
        else:
            for path in paths(row["payload"]):
                yield f"feed {row['topic']} {row['entity']}{path}"


def paths(value: Any) -> set[str]:
    """Return the paths of a JSON value: `.name` into an object, `[]` into a list."""
    found: set[str] = set()
    if isinstance(value, dict):
        for key, inner in value.items():
            name = "*" if _DYNAMIC.fullmatch(key) else key
            found.add(f".{name}")
            found.update(f".{name}{path}" for path in paths(inner))
    elif isinstance(value, list):
        for inner in value:
            found.update(f"[]{path}" for path in paths(inner))
    return found


def of_source() -> list[str]:
    """Return codes of errors, words in capitals and metrics, wherever the product has them."""
    found: set[str] = set()
    for package in ("gateway", "scheduler", "drivers"):
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text()
            found.update(f"code {code}" for code in _CODE.findall(text))
            found.update(f"word {word}" for word in _UPPER.findall(text) if len(word) > 1)
            found.update(f"metric {name}" for name in _METRIC.findall(text))
    return sorted(found)


def checksum(migration: str) -> str:
    """Return the checksum that a database keeps of a migration that was applied to it."""
    found = {
        one.name: one.checksum for one in load(resources.files("gateway.store") / "migrations")
    }
    return found[migration]


def of_configuration() -> list[str]:
    """Return the path of every key of the configuration."""
    return sorted(set(_keys(Config, "")))


def _keys(of: Any, path: str) -> Iterator[str]:
    if isinstance(of, type) and issubclass(of, msgspec.Struct):
        for each in msgspec.structs.fields(of):
            yield f"{path}{each.encode_name}"
            yield from _keys(each.type, f"{path}{each.encode_name}.")
    elif isinstance(of, types.UnionType) or typing.get_origin(of) is not None:
        for inner in typing.get_args(of):
            yield from _keys(inner, path)
