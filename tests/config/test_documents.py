"""The documents say what the code says: options, codes, limits, files and links."""

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from importlib import import_module
from pathlib import Path

import pytest

from tests.config.reading import ROOT

DOCS = sorted((ROOT / "docs").rglob("*.md"))
DECISIONS = sorted((ROOT / "docs/decisions").glob("*.md"))
DRIVERS = (ROOT / "docs/drivers.md").read_text(encoding="utf-8")
API = (ROOT / "docs/api.md").read_text(encoding="utf-8")
OPERATIONS = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
PARTS = ["Status", "Context", "Decision", "Consequences", "What would change our mind"]
CODE = r"(?:[A-Z]+-)+[0-9]+|[0-9]{3}-[A-Z]+(?:-[A-Z]+)*"
CITED = re.compile(r"`((?:gateway|drivers|scheduler|tests|configs|docs|tools)/[\w./-]*)`")
OPTIONS = {
    "drivers.esxi.options": "EsxiOptions",
    "drivers.azure.options": "AzureOptions",
    "drivers.kvm.options": "KvmOptions",
    "drivers.simulated.options": "SimulatedOptions",
}


def table_after(marker: str) -> list[list[str]]:
    """The cells of the table behind a marker, less its two heading lines."""
    rows = DRIVERS.partition(f"<!-- options: {marker} -->\n")[2].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows[2:]]


@pytest.mark.parametrize(("module", "name"), OPTIONS.items())
def test_the_table_of_options_is_the_dataclass(module: str, name: str):
    """Each option in order, with its type and default; none too many, none forgotten."""
    told = [
        (option.strip("`"), kind, ast.literal_eval(default.strip("`")), bool(meaning))
        for option, kind, default, meaning in table_after(f"{module}.{name}")
    ]
    kind = getattr(import_module(module), name)
    defaults = [(one.name, getattr(kind(), one.name)) for one in fields(kind)]
    known = [(option, type(value).__name__, value, True) for option, value in defaults]
    assert told == known


def test_the_role_is_the_code_s():
    """Each privilege that the vCenter's user needs, and no other."""
    told = re.findall(r"^- `((?:[A-Z]\w*\.)+\w+)`$", DRIVERS, re.MULTILINE)
    assert told == list(import_module("drivers.esxi.role").PRIVILEGES)


def test_the_role_in_azure_is_the_code_s():
    """Each right that vmgate's identity needs, and no other."""
    told = re.findall(r"^- `(Microsoft\.\w+/[\w/]+)`$", DRIVERS, re.MULTILINE)
    role = import_module("drivers.azure.role")
    assert told == list(role.ACTIONS) == role.role("s")["Actions"]


def test_the_table_of_drivers_is_the_registry():
    registry = import_module("drivers.registry")
    told = re.findall(r"^\| `(\w+)` \| `(drivers/\w+)`", DRIVERS, re.MULTILINE)
    assert {kind for kind, _ in told} == set(registry.KINDS)
    assert all((ROOT / package / "__init__.py").exists() for _, package in told)


def sources() -> str:
    return "\n".join(
        path.read_text(encoding="utf-8") for path in sorted((ROOT / "gateway").rglob("*.py"))
    )


def test_every_code_is_documented_and_no_other():
    """A code that clients may get is in api.md, in the tables of errors."""
    used = set(re.findall(rf'"({CODE})"', sources()))
    told = set(re.findall(rf"`({CODE})`", API.partition("## Errors")[2]))
    assert told == used


def test_every_status_is_documented():
    problems = import_module("gateway.api.http.problems")
    assert set(problems.STATUS) == set(import_module("gateway.denial").ErrorKind)
    told = {int(status) for status in re.findall(r"^\| ([45]\d\d) \|", API, re.MULTILINE)}
    assert told == {*problems.STATUS.values(), 405, 413, 500}


def metrics() -> Iterator[str]:
    """The names under which Prometheus reads the metrics; a counter's ends with `_total`."""
    for node in ast.walk(ast.parse(sources())):
        match node:
            case ast.Call(func=ast.Name(id=kind), args=[ast.Constant(value=str(name)), *_]):
                if kind.startswith("Counter") and name.startswith("vmgate_"):
                    yield f"{name}_total"
                elif kind.startswith(("Gauge", "Histogram")):
                    yield name


def test_metrics_are_documented_and_no_other():
    """The table of operations.md names each metric of the source."""
    table = OPERATIONS.partition("| metric | watch for |")[2].partition("\n\n")[0]
    assert set(re.findall(r"vmgate_\w+", table)) == set(metrics())


def test_each_word_of_a_route_is_documented():
    """The table of resources has the fixed parts of each path."""
    table = API.partition("## Resources")[2].partition("\n## ")[0]
    routes = import_module("gateway.api.routes").ROUTES
    words = {word for _, path, *_ in routes for word in path.split("/") if "{" not in word}
    assert sorted(words - set(re.findall(r"\w+", table)) - {""}) == []


@pytest.mark.parametrize(
    "module",
    [
        "request_bodies",
        "rules.rule_body",
        "http.paging",
        "http.media",
        "capacity.hold_body",
        "capacity.plan_body",
    ],
)
def test_the_named_limits_are_the_code_s(module: str):
    """Each `..._MAX` of the readers of bodies and queries stands in api.md, with its value."""
    limits = {
        name: value
        for name, value in vars(import_module(f"gateway.api.{module}")).items()
        if re.fullmatch(r"[A-Z_]+_MAX(_S)?", name)
    }
    assert limits
    for name, value in limits.items():
        row = next((line for line in API.splitlines() if f"`{name}`" in line), "")
        assert re.search(rf"\b{value}\b|1 MiB", row), name


def test_the_page_s_default_size_is_told():
    paging = import_module("gateway.api.http.paging")
    assert f"| `limit` | rows of a page; 0: all | {paging.LIMIT_DEFAULT} |" in API


def test_every_privilege_is_told():
    privileges = import_module("gateway.config.privileges")
    told = set(re.findall(r"^\| ([A-Z_]+) \|", API, re.MULTILINE))
    assert told == set(privileges.ALL_PRIVILEGES)


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_what_a_document_names_is_there(path: Path):
    """Files in backticks, and links to other documents."""
    text = path.read_text(encoding="utf-8")
    for cited in CITED.findall(text):
        assert "NAME" in cited or (ROOT / cited).exists(), cited
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (path.parent / link).exists(), link


def test_decisions_are_numbered_without_a_gap():
    assert [int(path.name[:4]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.name[:4])
def test_a_decision_has_its_parts_and_fits_a_page(path: Path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith(f"# {path.name[:4]} ")
    assert [line[3:] for line in lines if line.startswith("## ")] == PARTS
    assert len(lines) <= 60
