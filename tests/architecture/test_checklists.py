"""Steps of the checklists in CONTRIBUTING.md that no other test sees: tables have every member."""

import ast
import re
import tomllib
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

import msgspec
import pytest

from drivers.registry import KINDS, address_reader
from gateway.api.representations.consequences import consequences
from gateway.api.representations.rules import RULE_WORDS
from gateway.config.model import Config
from gateway.lifecycle import Operation
from gateway.store.rules import rule_versions
from gateway.store.rules.rules import NewRule
from tests.config.test_documents import OPTIONS

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONTRACTS = PYPROJECT["tool"]["importlinter"]["contracts"]
RULE_KEY = {"kind", "level", "element_id", "other_id"}
WITHOUT_SDK = {"simulated"}
WITHOUT_CONSEQUENCES = {
    Operation.DEPLOY,
    Operation.UNDEPLOY,
    Operation.RECONFIGURE,
    Operation.RELOCATE,
}
"""Operations that are no change of power: docs/api.md promises no such field."""


def tables_of_rule_kinds() -> dict[str, set[str]]:
    """Return the keys of each module-level table of API and store that has two kinds of rules."""
    found = {}
    for package in ("gateway.api", "gateway.store"):
        for each in walk_packages(import_module(package).__path__, f"{package}."):
            for name, value in vars(import_module(each.name)).items():
                if isinstance(value, dict) and len(RULE_WORDS.keys() & set(value)) > 1:
                    found[f"{each.name}.{name}"] = set(value)
    return found


def test_each_table_of_rule_kinds_has_every_kind() -> None:
    tables = tables_of_rule_kinds()
    assert len(tables) >= 9
    assert {name: keys for name, keys in tables.items() if keys != set(RULE_WORDS)} == {}


def test_each_value_of_a_rule_is_written_by_an_activated_draft() -> None:
    put = {name for name, _ in re.findall(r"(\w+) = excluded\.(\w+)", rule_versions._PUT)}
    assert {field.name for field in fields(NewRule)} - RULE_KEY == put


def test_each_driver_package_is_in_every_list() -> None:
    packages = {path.parent.name for path in (ROOT / "drivers").glob("*/__init__.py")}
    independent = next(one for one in CONTRACTS if one["name"].startswith("3 "))["modules"]
    unknown = next(one for one in CONTRACTS if one["name"].startswith("5 "))["forbidden_modules"]
    assert set(KINDS) == packages
    assert {name.removeprefix("drivers.") for name in independent} == packages
    assert {name.removeprefix("drivers.") for name in unknown} == packages | {"registry"}
    assert {name.split(".")[1] for name in OPTIONS} == packages


@pytest.mark.parametrize("kind", KINDS)
def test_each_driver_opens_and_reads_addresses(kind: str) -> None:
    """Addresses are read without the SDK; `open_driver` is called by its name only."""
    package = (ROOT / "drivers" / kind / "__init__.py").read_text(encoding="utf-8")
    assert re.search(r"^def open_driver\(", package, re.MULTILINE)
    assert callable(address_reader(kind, {}))


@pytest.mark.parametrize("kind", KINDS)
def test_each_driver_is_held_to_the_contract(kind: str) -> None:
    """Its test inherits the suite; the text is read because its SDK may be missing."""
    tree = ast.parse((ROOT / "tests" / "drivers" / f"test_{kind}.py").read_text(encoding="utf-8"))
    bases = {
        base.id
        for node in tree.body
        if isinstance(node, ast.ClassDef)
        for base in node.bases
        if isinstance(base, ast.Name)
    }
    assert bases & {"DriverContract", "CloudContract"}


def test_each_sdk_is_an_extra_with_a_lock() -> None:
    extras = set(PYPROJECT["project"]["optional-dependencies"])
    assert extras == set(KINDS) - WITHOUT_SDK
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\nlock:")[2]
    assert set(re.findall(r"--extra (\w+)", recipe)) == extras
    locks = {path.stem for path in (ROOT / "requirements").glob("*.lock")}
    assert locks == extras | {"runtime", "dev"}


def test_each_change_of_power_has_consequences() -> None:
    told = {operation for operation in Operation if consequences(operation)}
    assert told == set(Operation) - WITHOUT_CONSEQUENCES


def keys_of(section: Any) -> set[str]:
    """Return the names of all keys of a section of the configuration and of those in it."""
    if isinstance(section, type) and issubclass(section, msgspec.Struct):
        found = set()
        for field in msgspec.structs.fields(section):
            found |= {field.name} | keys_of(field.type)
        return found
    return {name for inner in getattr(section, "__args__", ()) for name in keys_of(inner)}


def test_each_configuration_key_is_read() -> None:
    """A key that changes nothing is refused by no check and noticed by nobody."""
    read = {
        node.attr
        for path in (ROOT / "gateway").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
    }
    keys = keys_of(Config)
    assert len(keys) > 80
    assert sorted(keys - read) == []
