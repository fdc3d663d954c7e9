"""A configuration file is read whole or refused, with the line, the key and what was meant."""

import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from gateway.config.checks import Wrong, check
from gateway.config.lines import line_of
from gateway.config.model import Config, HypervisorSection

_UNKNOWN = re.compile(r"unknown field `([^`]*)`(?: - at `([^`]*)`)?")
_AT = re.compile(r"(.*?)(?: - at `([^`]*)`)?$", re.DOTALL)


class ConfigError(Exception):
    """The file, the line where known, and what is wrong with it."""


def read_config(path: Path, environ: Mapping[str, str]) -> Config:
    """The configuration in `path`, with PORT, PROBE_PORT, DATA_DIR and DATABASE put over it."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    return parse(text, str(path), environ)


def parse(text: str, name: str, environ: Mapping[str, str]) -> Config:
    """The configuration in `text`; `name` is what errors call it."""
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name}: {error}") from error
    _override(given, environ)
    try:
        config = msgspec.convert(given, Config, dec_hook=_read_path)
    except msgspec.ValidationError as error:
        raise ConfigError(_message(name, text, _named(given, str(error)))) from error
    try:
        check(config)
    except Wrong as wrong:
        raise ConfigError(_located(name, text, wrong.path, wrong.message)) from wrong
    return config


def secret(what: str, env: str | None, file: Path | None, environ: Mapping[str, str]) -> str:
    """A secret from the environment or a file; raises ConfigError that names the place only."""
    if env is not None and environ.get(env):
        return environ[env]
    if file is not None:
        try:
            found = file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{what}: {file}: {type(error).__name__}") from error
        if not found:
            raise ConfigError(f"{what}: {file} is empty")
        return found
    raise ConfigError(f"{what}: the environment variable {env} is not set")


def _read_path(wanted: type[Any], value: Any) -> Any:
    if wanted is not Path or not isinstance(value, str) or not value:
        raise ValueError("a path is needed")
    return Path(value)


def _override(given: dict[str, Any], environ: Mapping[str, str]) -> None:
    """What is said most often for one run needs no file of its own."""
    for name, section, key in (
        ("PORT", "server", "port"),
        ("PROBE_PORT", "probes", "port"),
        ("DATA_DIR", "store", "data_dir"),
        ("DATABASE", "store", "source"),
    ):
        value: Any = environ.get(name)
        if not value:
            continue
        if key == "port":
            if not value.isascii() or not value.isdigit() or int(value) > 65535:
                raise ConfigError(f"the environment variable {name}: a port is needed")
            value = int(value)
        table = given.setdefault(section, {})
        if isinstance(table, dict):
            table[key] = value


def _message(name: str, text: str, error: str) -> str:
    unknown = _UNKNOWN.search(error)
    if unknown:
        key, path = unknown[1], unknown[2] or "$"
        hint = _hint(key, _fields(path))
        return _located(name, text, f"{path}.{key}", f"there is no such key{hint}")
    found = _AT.match(error)
    assert found is not None
    return _located(name, text, found[2] or "$", found[1])


def _named(given: Mapping[str, Any], error: str) -> str:
    """msgspec says `[...]` for a block's name: the first block that fails alone is meant."""
    if "$.hypervisor[...]" not in error:
        return error
    for name, block in given["hypervisor"].items():
        try:
            msgspec.convert(block, HypervisorSection)
        except msgspec.ValidationError:
            return error.replace("hypervisor[...]", f"hypervisor.{name}", 1)
    return error


def _located(name: str, text: str, path: str, message: str) -> str:
    line = line_of(text, path)
    where = f"{name}:{line}" if line else name
    return f"{where}: {path.removeprefix('$').removeprefix('.') or 'the file'}: {message}"


def _hint(key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(key, known, 1)
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(sorted(known))}"


def _fields(path: str) -> list[str]:
    """The keys of the table a path names, read off the types."""
    here: Any = msgspec.inspect.type_info(Config)
    for step in re.findall(r"\.([A-Za-z0-9_-]+)|\[(?:\d+|\.\.\.)\]", path.removeprefix("$")):
        if isinstance(here, msgspec.inspect.ListType):
            here = here.item_type
        elif isinstance(here, msgspec.inspect.DictType):
            here = here.value_type
        elif isinstance(here, msgspec.inspect.StructType):
            here = next(field.type for field in here.fields if field.encode_name == step)
    return [field.encode_name for field in here.fields] if hasattr(here, "fields") else []
