"""Measure the layout and the style of the product's code, and print the figures as a table.

`python tools/house.py [ROOT]` measures the tree at ROOT (here). A figure that grows shows where a
rule of the house is no longer followed; `-v` lists the places of each figure.
"""

import argparse
import ast
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

PACKAGES = ("gateway", "scheduler", "drivers")
SIBLINGS_MAX = 20
SHORT_LINES = 40
POSITIONAL_MAX = 4
STORE = "gateway.store"
_SQL = re.compile(
    r"^\s*(select\s.+\sfrom|insert\s+into|update\s+\S+\s+set|delete\s+from|with\s+\w+\s+as)\s",
    re.IGNORECASE | re.DOTALL,
)
_WEAK = ("What", "Whether", "There")


@dataclass(frozen=True, slots=True)
class Module:
    """One module of the product: its dotted name, its text and its syntax tree."""

    name: str
    path: Path
    lines: int
    tree: ast.Module

    def at(self, node: ast.AST) -> str:
        """Return `path:line` of a node."""
        return f"{self.path}:{getattr(node, 'lineno', 1)}"


@dataclass(slots=True)
class Figures:
    """Counts by name, and the places that were counted."""

    places: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    values: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, place: str) -> None:
        """Count one place."""
        self.places[name].append(place)


def modules(root: Path) -> dict[str, Module]:
    """Return the product's modules by dotted name; a package is named as its `__init__`."""
    found = {}
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            text = path.read_text()
            relative = path.relative_to(root)
            found[name] = Module(name, relative, text.count("\n"), ast.parse(text))
    return found


def imports(module: Module, names: Mapping[str, Module]) -> set[str]:
    """Return the product's modules that a module imports when it is loaded."""
    found = set()
    for node in _when_loaded(module.tree.body):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if whole in names else node.module)
    return {name for name in found if name in names} - {module.name}


def _when_loaded(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        yield node
        for inner in ("body", "orelse", "finalbody"):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield from _when_loaded(getattr(node, inner, []))


def layers(graph: Mapping[str, set[str]]) -> tuple[int, list[list[str]]]:
    """Return how many import levels a graph has, and its circles."""
    circles = [sorted(one) for one in _components(graph) if len(one) > 1]
    group = {name: name for name in graph}
    for circle in circles:
        group.update(dict.fromkeys(circle, circle[0]))
    below: dict[str, set[str]] = defaultdict(set)
    for name, others in graph.items():
        below[group[name]] |= {group[one] for one in others} - {group[name]}
    heights: dict[str, int] = {}

    def height(name: str) -> int:
        if name not in heights:
            heights[name] = 1 + max((height(one) for one in below[name]), default=0)
        return heights[name]

    return max((height(name) for name in list(below)), default=0), circles


def _components(graph: Mapping[str, set[str]]) -> list[set[str]]:
    """Return the strongly connected components (by Kosaraju's two passes)."""
    order: list[str] = []
    seen: set[str] = set()

    def leave(name: str) -> None:
        stack = [(name, iter(sorted(graph[name])))]
        seen.add(name)
        while stack:
            at, rest = stack[-1]
            following = next((one for one in rest if one not in seen), None)
            if following is None:
                order.append(at)
                stack.pop()
            else:
                seen.add(following)
                stack.append((following, iter(sorted(graph[following]))))

    for name in sorted(graph):
        if name not in seen:
            leave(name)
    above: dict[str, set[str]] = defaultdict(set)
    for name, others in graph.items():
        for one in others:
            above[one].add(name)
    taken: set[str] = set()
    found = []
    for name in reversed(order):
        if name in taken:
            continue
        component, wanted = set(), [name]
        while wanted:
            one = wanted.pop()
            if one not in taken:
                taken.add(one)
                component.add(one)
                wanted += above[one] - taken
        found.append(component)
    return found


def rooms(package: str, graph: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Return the import graph of a package's children; its own modules are rooms of one file."""
    depth = package.count(".") + 2

    def room(name: str) -> str:
        return ".".join(name.split(".")[:depth])

    found: dict[str, set[str]] = defaultdict(set)
    inside = {name for name in graph if name.startswith(f"{package}.")}
    for name in inside:
        found[room(name)] |= {room(one) for one in graph[name] & inside} - {room(name)}
    return dict(found)


def measure(root: Path) -> Figures:
    """Measure the tree at `root`."""
    known = modules(root)
    figures = Figures()
    graph = {name: imports(module, known) for name, module in known.items()}
    _layout(known, graph, figures)
    classes: dict[str, list[str]] = defaultdict(list)
    for module in known.values():
        _style(module, figures)
        for node in module.tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                classes[node.name].append(module.at(node))
    for name, places in sorted(classes.items()):
        if len(places) > 1:
            figures.add("public class names defined twice", f"{name}: {', '.join(places)}")
    return figures


def _layout(known: Mapping[str, Module], graph: Mapping[str, set[str]], figures: Figures) -> None:
    folders = Counter(str(module.path.parent) for module in known.values())
    for module in known.values():
        figures.add("modules", str(module.path))
        if module.lines < SHORT_LINES and module.path.name != "__init__.py":
            figures.add(f"modules under {SHORT_LINES} lines", f"{module.path}: {module.lines}")
    for folder, count in folders.most_common():
        if count - 1 > SIBLINGS_MAX:
            figures.add(f"folders with more than {SIBLINGS_MAX} modules", f"{folder}: {count - 1}")
    for package in PACKAGES:
        own = {
            name: {one for one in others if one.startswith(f"{package}.")}
            for name, others in graph.items()
            if name.startswith(f"{package}.")
        }
        levels, circles = layers(own)
        figures.values[f"import levels of the modules of {package}"] = levels
        figures.values[f"import levels of the rooms of {package}"], mixed = layers(
            rooms(package, graph)
        )
        for circle in circles:
            figures.add("import circles of modules", ", ".join(circle))
        for circle in mixed:
            figures.add("import circles of rooms", ", ".join(circle))


def _style(module: Module, figures: Figures) -> None:
    for node in ast.walk(module.tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                if node.returns is not None and _is_mixed_tuple(node.returns):
                    figures.add("tuple results", f"{module.at(node)} {node.name}")
                _docstring(module, node, figures)
            case ast.ClassDef() | ast.Module():
                _docstring(module, node, figures)
            case ast.Call() if len(node.args) > POSITIONAL_MAX and not _is_statement(node):
                figures.add(
                    f"calls with more than {POSITIONAL_MAX} positional arguments",
                    f"{module.at(node)} {ast.unparse(node.func)}",
                )
            case ast.Subscript() if ast.unparse(node) == "dict[str, Any]":
                figures.add("dict[str, Any]", module.at(node))
            case ast.Constant(value=str(text)) if _SQL.match(text):
                if module.name.startswith("gateway.") and not module.name.startswith(STORE):
                    figures.add("SQL outside the store", module.at(node))


def _is_mixed_tuple(returns: ast.expr) -> bool:
    """Return whether a result is a tuple of a fixed length."""
    text = ast.unparse(returns)
    return bool(re.match(r"tuple\[", text)) and not text.endswith(", ...]") and text != "tuple[()]"


def _is_statement(call: ast.Call) -> bool:
    """Return whether a call runs SQL, whose parameters are positional in asyncpg."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    return name in ("execute", "fetch", "fetchrow", "fetchval", "executemany")


def _docstring(
    module: Module,
    node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef,
    figures: Figures,
) -> None:
    text = ast.get_docstring(node)
    if text and text.split()[0].rstrip(",.:") in _WEAK:
        figures.add(f"docstrings that begin with {', '.join(_WEAK)}", module.at(node))


def main() -> int:
    """Print the figures; the exit status is 0."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("root", nargs="?", default=".", type=Path)
    parser.add_argument("-v", action="store_true", help="list the places of each figure")
    given = parser.parse_args()
    figures = measure(given.root)
    for name, value in sorted(
        {**figures.values, **{name: len(found) for name, found in figures.places.items()}}.items()
    ):
        print(f"{value:6}  {name}")
        if given.v and name != "modules":
            for place in figures.places.get(name, ()):
                print(f"          {place}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
