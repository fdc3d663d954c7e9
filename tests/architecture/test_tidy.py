"""The house style, in numbers and words: what a newcomer may rely on in every file."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("gateway", "scheduler", "drivers", "bench")
MODULE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60
PARAMETERS_MAX = 5
NESTING_MAX = 3
VAGUE = re.compile(
    r"(?:^|_)(utils?|helpers?|common|misc|data|info)(?:_|$)"
    r"|^(do|my)_",
)
NESTS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.Match)
# The words of others: attributes and settings that are named elsewhere.
NAMED_ELSEWHERE = {"data_dir", "data_directory", "DataDirectory", "INFO", "data_received"}
MODULES = sorted(
    path.relative_to(ROOT)
    for package in (*PACKAGES, "tests")
    for path in (ROOT / package).rglob("*.py")
)
OURS = [path for path in MODULES if path.parts[0] != "tests"]


def tree(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for found in ast.walk(tree(path)):
        if isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef):
            yield found


def depth(found: ast.AST, level: int = 0) -> int:
    """The deepest nesting inside `found`; an elif is no deeper than its if."""
    deepest = level
    for child in ast.iter_child_nodes(found):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        step = level + 1 if isinstance(child, NESTS) else level
        if isinstance(found, ast.If) and child in found.orelse and isinstance(child, ast.If):
            step = level
        deepest = max(deepest, depth(child, step))
    return deepest


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_module_begins_with_its_promise_and_is_short(path: Path) -> None:
    source = (ROOT / path).read_text(encoding="utf-8")
    assert ast.get_docstring(tree(path))
    assert source.count("\n") <= MODULE_LINES_MAX


@pytest.mark.parametrize("path", OURS, ids=str)
def test_functions_are_small(path: Path) -> None:
    for found in functions(path):
        assert found.end_lineno is not None
        lines = found.end_lineno - found.lineno + 1
        assert lines <= FUNCTION_LINES_MAX, f"{found.name}: {lines} lines"
        given = [*found.args.posonlyargs, *found.args.args]
        counted = [one for one in given if one.arg not in ("self", "cls")]
        assert len(counted) <= PARAMETERS_MAX, f"{found.name}: {len(counted)} parameters"
        deepest = depth(found)
        assert deepest <= NESTING_MAX, f"{found.name}: nested {deepest} deep"


@pytest.mark.parametrize("path", OURS, ids=str)
def test_names_say_what_they_are(path: Path) -> None:
    names = [path.stem]
    for found in ast.walk(tree(path)):
        match found:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names.append(found.name)
            case ast.arg():
                names.append(found.arg)
            case ast.Name(ctx=ast.Store()):
                names.append(found.id)
    for name in names:
        snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
        assert name in NAMED_ELSEWHERE or not VAGUE.search(snake), name
        assert path.parts[:2] == ("gateway", "api") or "machine" not in snake.split("_"), name


@pytest.mark.parametrize("path", OURS, ids=str)
def test_public_things_are_explained(path: Path) -> None:
    for found in tree(path).body:
        if isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            assert found.name.startswith("_") or ast.get_docstring(found), found.name


@pytest.mark.parametrize("path", [p for p in MODULES if p.parts[0] == "tests"], ids=str)
def test_no_test_sleeps(path: Path) -> None:
    rig = path.parts[1] == "lab" and not path.name.startswith("test_")
    if rig or path.parts[1] == "architecture":
        return
    for found in ast.walk(tree(path)):
        if isinstance(found, ast.Call) and isinstance(found.func, ast.Attribute):
            yields = [ast.unparse(each) for each in found.args] == ["0"]
            assert found.func.attr != "sleep" or yields, f"line {found.lineno}"


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    )
    return [ROOT / name for name in listed.stdout.split("\0") if name]


def test_nothing_is_left_undone_and_no_registry_is_named() -> None:
    undone = re.compile("TO" + "DO|FIX" + "ME|X" + "XX")
    registry = re.compile(r"https?://[^\s]*(pypi|simple/|pythonhosted|registry)", re.IGNORECASE)
    for path in tracked():
        if not path.is_file():
            continue
        source = path.read_text(encoding="utf-8")
        assert not undone.search(source), path
        assert not registry.search(source), path
    assert not (ROOT / "uv.lock").exists()


def test_the_vague_words_are_found() -> None:
    for name in ("vm_data", "do_it", "my_host", "utils", "some_helper"):
        assert VAGUE.search(name), name
    for name in ("processor", "database", "hosts", "metadata"):
        assert not VAGUE.search(name), name


def test_no_package_hides_a_name_behind_a_module_of_it() -> None:
    """Importing `a.b` sets `b` in the package `a`, also over a function of that name."""
    for path in OURS:
        if path.name == "__init__.py":
            modules = {each.stem for each in (ROOT / path).parent.iterdir()}
            package = ".".join(path.parts[:-1])
            for node in ast.walk(ast.parse((ROOT / path).read_text())):
                if isinstance(node, ast.ImportFrom) and node.module != package:
                    names = {a.asname or a.name for a in node.names}
                    # From the module of that name: it is imported before the name is set.
                    hidden = {n for n in names & modules if node.module != f"{package}.{n}"}
                    assert not hidden, path
