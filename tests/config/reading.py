"""What the tests of the configuration share: the files, their lines, the model's keys."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec
import pytest

from gateway.config import Config, ConfigError
from gateway.config.reading import parse

ROOT = Path(__file__).parents[2]
NAME = "there.toml"
PRODUCTION = (ROOT / "configs/production.toml").read_text(encoding="utf-8")
_HEADER = re.compile(r"\[+([A-Za-z.]+)\]+")
_KEY = re.compile(r"(\w+) = ")
_COMMENT = re.compile(r"\s+# (.*)$")


@dataclass(frozen=True)
class Entry:
    """One key of production.toml: its line (from 1), its table, and what its comment says."""

    line: int
    table: str
    key: str
    value: Any
    comment: str

    def __str__(self) -> str:
        return f"{self.line}-{self.table}.{self.key}"


def entries() -> Iterator[Entry]:
    """Every key in order; the name of a hypervisor block reads `*`."""
    table = ""
    for number, line in enumerate(PRODUCTION.splitlines(), 1):
        if header := _HEADER.match(line):
            table = re.sub(r"^(hypervisor)\.\w+", r"\1.*", header[1])
        elif key := _KEY.match(line):
            comment = _COMMENT.search(line)
            value = tomllib.loads(line)[key[1]]
            yield Entry(number, table, key[1], value, comment[1] if comment else "")


def tables() -> dict[str, dict[str, Any]]:
    """The model's tables by their path, each with its keys and their defaults (`...` for none)."""
    found: dict[str, dict[str, Any]] = {}
    _collect(Config, "", found)
    return found


def _collect(kind: Any, path: str, found: dict[str, dict[str, Any]]) -> None:
    keys = found.setdefault(path, {})
    for field in msgspec.structs.fields(kind):
        inner, step = _struct_in(field.type)
        if inner is not None:
            _collect(inner, f"{path}.{field.encode_name}{step}".removeprefix("."), found)
            continue
        default = field.default
        if field.default_factory is not msgspec.NODEFAULT:
            default = field.default_factory()
        keys[field.encode_name] = ... if default is msgspec.NODEFAULT else default


def _struct_in(kind: Any) -> tuple[Any, str]:
    """The table a field holds, by itself or many times; `.*` where tables have names."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind, ""
    for each in get_args(kind):
        inner, _ = _struct_in(each)
        if inner is not None:
            return inner, ".*" if get_origin(kind) is dict else ""
    return None, ""


def read(text: str, environ: Mapping[str, str] | None = None) -> Config:
    """The configuration in a text."""
    return parse(text, NAME, environ or {})


def refusal(text: str, environ: Mapping[str, str] | None = None) -> str:
    """What is said of a text that is refused; fails when it is taken."""
    with pytest.raises(ConfigError) as refused:
        read(text, environ)
    return str(refused.value)


def with_line(number: int, line: str) -> str:
    """production.toml with another line at `number`."""
    lines = PRODUCTION.splitlines()
    lines[number - 1] = line
    return "\n".join(lines)


def changed(old: str, new: str) -> tuple[str, int]:
    """production.toml with the first line that begins with `old` replaced, and its number."""
    found = re.search(rf"^{re.escape(old)}[^\n]*$", PRODUCTION, re.MULTILINE)
    assert found is not None, old
    number = PRODUCTION[: found.start()].count("\n") + 1
    return with_line(number, new), number
